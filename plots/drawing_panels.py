"""What a panel with its axes looks like."""

import math
from typing import Any

import numpy as np

from notify.pictures import paper
from notify.pictures.canvas import NORMAL, SMALL, TINY, Box, Canvas, ticks
from notify.pictures.palette import BAD, FAINT, INK, PAPER, RUN, SOFT
from notify.words import number
from plots.picture import Axis, Panel, Stroke

LETTER = {TINY: 5.9, SMALL: 6.8, NORMAL: 8.0}
"""About how many pixels a letter takes."""
_FEW = 40
_MARK_PX = 4

_BEST_TINT = "#eaf2fe"


# ── panels ──
def draw_panel(on: Canvas, panel: Panel, box: Box, *, with_x: bool, with_y: bool, framed: bool) -> None:
    """`framed`: one of a grid, with a line all around."""
    _paper(on, panel, box, framed=framed)
    _axes(on, panel, box, with_x=with_x, with_y=with_y)
    for area in panel.areas:
        low, high = box.clipped(area.low), box.clipped(area.high)
        on.between(box.across(area.xs), low, high, color=area.colour, alpha=0.16, linewidth=0, zorder=2)
    for stroke in panel.strokes:
        _stroke(on, stroke, box)
    for stroke in panel.strokes:
        _not_finite(on, stroke, box)
    if panel.corner is not None:
        style: dict[str, Any] = {"color": RUN, "weight": "bold"} if panel.best else {"color": INK}
        on.write(box.right - 5, box.top + 10, number(panel.corner), ha="right", halo=True, **style)


def _paper(on: Canvas, panel: Panel, box: Box, *, framed: bool) -> None:
    if not framed:
        return
    on.box(box, facecolor=_BEST_TINT if panel.best else PAPER, edgecolor=FAINT, linewidth=0.9, zorder=0.5)
    if panel.best:
        on.box(box, fill=False, edgecolor=RUN, linewidth=1.5, zorder=6)
    if not panel.strokes:
        on.write((box.left + box.right) / 2, (box.top + box.bottom) / 2, "–", ha="center")


def _axes(on: Canvas, panel: Panel, box: Box, *, with_x: bool, with_y: bool) -> None:
    for value, text in _tick_words(panel.y, box.y, box.height / 32):
        y = float(box.down([value])[0])
        if y != y:
            continue
        on.lines([([box.left, box.right], [y, y])], color=FAINT, linewidth=0.7, zorder=1)
        if with_y:
            on.write(box.left - 6, y, text, ha="right", fontsize=TINY)
    on.lines([([box.left, box.right], [box.bottom] * 2)], color=SOFT, linewidth=0.9, zorder=1)
    if with_x:
        _x_axis(on, panel, box)
    if with_y and panel.y.label and panel.y.label != panel.title:
        at = box.left - 50
        on.write(
            at,
            (box.top + box.bottom) / 2,
            paper.plain(panel.y.label, max(6, int(box.height / 6))),
            rotation=90,
            ha="center",
            fontsize=TINY,
        )


def _x_axis(on: Canvas, panel: Panel, box: Box) -> None:
    for value, text in _tick_words(panel.x, box.x, box.width / 62):
        x = float(box.across([value])[0])
        if x == x:
            on.lines([([x, x], [box.bottom, box.bottom + 4])], color=SOFT, linewidth=0.9, zorder=1)
            on.write(x, box.bottom + 12, text, ha="center", fontsize=TINY)
    label = panel.x.label + (" (log)" if box.x[2] else "")
    if label:
        on.write((box.left + box.right) / 2, box.bottom + 28, paper.plain(label), ha="center", fontsize=TINY)


def _tick_words(axis: Axis, ends: Any, most: float) -> list[tuple[float, str]]:
    if axis.ticks:
        step = max(1, math.ceil(len(axis.ticks) / max(most, 1)))
        return list(axis.ticks[::step])
    least, greatest, is_log = ends
    found = ticks(ends, most)
    if is_log and len(found) < 2:
        between = [
            t * 10.0**p
            for p in range(math.floor(math.log10(least)), math.ceil(math.log10(greatest)) + 1)
            for t in (1, 2, 3, 5, 7)
        ]
        found = [value for value in between if least <= value <= greatest]
    return [
        (value, paper.short_number(0.0 if abs(value) < 1e-12 * max(abs(least), abs(greatest)) else value))
        for value in found
    ]


def _stroke(on: Canvas, stroke: Stroke, box: Box) -> None:
    xs, ys = box.across(stroke.xs), box.down(stroke.ys)
    if stroke.dots:
        on.lines(
            [(xs, ys)],
            marker="o",
            markersize=2.4 * stroke.width,
            color=stroke.colour,
            mew=0,
            alpha=0.8,
            linestyle="none",
            zorder=4,
        )
        return
    few = len(stroke.xs) < _FEW and not stroke.raw and box.width > 200
    lone = {"marker": "o", "markersize": 2.8, "mew": 0} if few or len(stroke.xs) == 1 else {}
    style: dict[str, Any] = {"color": stroke.colour, "linewidth": stroke.width, **lone}
    if stroke.dashed:
        style["dashes"] = (3, 1.6)
    on.lines([(xs, ys)], zorder=2.5 if stroke.raw else 4, alpha=0.25 if stroke.raw else 1.0, **style)


def _not_finite(on: Canvas, stroke: Stroke, box: Box) -> None:
    """Ticks at the foot, where there is no number."""
    xs = box.across(stroke.bad)
    xs = np.unique(np.round(xs[np.isfinite(xs)] / _MARK_PX)) * _MARK_PX
    if len(xs):
        marks = {"marker": "|", "markersize": 4, "mew": 0.9, "linestyle": "none", "color": BAD}
        on.lines([(xs, np.full(len(xs), box.bottom - 4))], zorder=7, **marks)
