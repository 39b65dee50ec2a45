"""A run's curves: a PNG for mail and files, braille dots for the terminal."""

import io
import math
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from store.families import panels
from store.metrics import Series

WIDTH_IN, PANEL_HEIGHT_IN, DPI = 7.0, 2.6, 100


def png(series: Sequence[Series], title: str) -> bytes:
    """The curves as a PNG image. Non-finite values leave a gap."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    by_name = {one.name: one for one in series}
    groups = panels(list(by_name)) or [[]]
    figure = Figure(figsize=(WIDTH_IN, PANEL_HEIGHT_IN * len(groups) + 0.4), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(groups), 1, squeeze=False)[:, 0]
    figure.suptitle(title, fontsize=10)
    for axis, group in zip(axes, groups, strict=True):
        for name in group:
            marker = "o" if len(by_name[name].steps) < 30 else None
            axis.plot(by_name[name].steps, by_name[name].values, label=name, linewidth=1.2, marker=marker, markersize=3)
        axis.grid(alpha=0.3)
        axis.tick_params(labelsize=8)
        axis.set_xlabel("step", fontsize=8)
        if group:
            axis.legend(fontsize=8)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": "labq"})
    return buffer.getvalue()


def terminal(series: Sequence[Series], width: int, height: int = 16) -> str:
    """The same curves as text."""
    plotext: Any = import_module("plotext")
    by_name = {one.name: one for one in series}
    drawn = []
    for group in panels(list(by_name)):
        plotext.clear_figure()
        plotext.theme("clear")
        plotext.plotsize(width, height)
        for name in group:
            pairs = zip(by_name[name].steps, by_name[name].values, strict=True)
            points = [(step, value) for step, value in pairs if math.isfinite(value)]
            if points:
                plotext.plot(*zip(*points, strict=True), label=name, marker="braille")
        drawn.append(str(plotext.uncolorize(plotext.build())).rstrip())
    return "\n\n".join(drawn)
