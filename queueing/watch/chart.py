"""A picture of curves with its axes, as lines of text. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rich.text import Text

from queueing.watch.canvas import ACROSS, Canvas
from queueing.watch.curves import Axis, Curve, band
from queueing.watch.scale import Scale, along_words, scale_of, span_of, tick_words

_LABELS = 8
_BAND, _MIDDLE = "bright_black", "white"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Line:
    """A curve of its own style. `mark`: the letter at its end."""

    curve: Curve
    style: str
    mark: str = ""


def chart(
    lines: Sequence[Line], among: Sequence[Curve], width: int, height: int, *, axis: Axis = Axis.STEP, log: bool = False
) -> list[Text]:
    """`height` lines: later lines above earlier ones, behind all of them the middle half of `among` and its median."""
    across, rows = width - _LABELS - 1, height - 1
    if across < 4 or rows < 2:
        return [Text("") for _ in range(height)]
    curves = [line.curve for line in lines]
    canvas = Canvas(across, rows)
    shown = [*curves, *among]
    x_scale = span_of(shown, axis)
    at = np.array([x_scale.at((dot + 0.5) / (across * ACROSS)) for dot in range(across * ACROSS)])
    middle = band(among, axis, at)
    y_scale = scale_of([curve.values for curve in curves] + ([middle[0], middle[2]] if middle else []), log=log)
    if middle is not None:
        canvas.area(y_scale.place(middle[0]), y_scale.place(middle[2]), _BAND)
        canvas.line(x_scale.place(at), y_scale.place(middle[1]), _MIDDLE)
    for line in lines:
        canvas.line(x_scale.place(line.curve.along(axis)), y_scale.place(line.curve.values), line.style)
    for line in lines:
        _mark(canvas, line, x_scale, y_scale, axis)
    return _with_axes(canvas, x_scale, y_scale, axis, _beyond(curves, y_scale))


def _beyond(curves: Sequence[Curve], scale: Scale) -> tuple[bool, bool]:
    """Whether any value lies above the picture, and below it."""
    finite = [curve.values[np.isfinite(curve.values)] for curve in curves]
    above = any(bool((values > scale.high).any()) for values in finite)
    return above, any(bool((values < scale.low).any()) for values in finite)


def _mark(canvas: Canvas, line: Line, x_scale: Scale, y_scale: Scale, axis: Axis) -> None:
    x, y = x_scale.place(line.curve.along(axis)), y_scale.place(line.curve.values)
    known = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    if line.mark and len(known):
        canvas.mark(float(x[known[-1]]), float(y[known[-1]]), line.mark, f"bold {line.style}")


def _with_axes(canvas: Canvas, x_scale: Scale, y_scale: Scale, axis: Axis, beyond: tuple[bool, bool]) -> list[Text]:
    """An arrow at the end of the axis beyond which there are values."""
    labels = _labels(canvas.height, y_scale)
    ticks = ["┤" if row in labels else "│" for row in range(canvas.height)]
    ticks[0], ticks[-1] = "▲" if beyond[0] else ticks[0], "▼" if beyond[1] else ticks[-1]
    drawn = [
        Text.assemble((f"{labels.get(row, ''):>{_LABELS - 1}} {ticks[row]}", "dim"), line, no_wrap=True)
        for row, line in enumerate(canvas.lines())
    ]
    left, right = along_words(x_scale.low, axis), along_words(x_scale.high, axis)
    ruler = f"{left}{axis.value:^{max(0, canvas.width - len(left) - len(right))}}{right}"
    return [*drawn, Text(" " * (_LABELS + 1) + ruler[: canvas.width], style="dim", no_wrap=True)]


def _labels(rows: int, scale: Scale) -> dict[int, str]:
    """By row. Where two would share one, the first stays."""
    found: dict[int, str] = {}
    span = 0.0 if scale.log else scale.high - scale.low
    for value in scale.ticks(max(2, rows // 3)):
        place = float(scale.place(np.array([value]))[0])
        row = min(rows - 1, max(0, int((1.0 - place) * rows)))
        found.setdefault(row, tick_words(value, span)[: _LABELS - 1])
    return found
