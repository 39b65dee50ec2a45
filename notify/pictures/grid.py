"""A panel of curves for each pair of values of two parameters: the figure in which a study is usually printed."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from notify.pictures import paper
from notify.pictures.canvas import TINY, Box, Canvas, heading, ticks, whole_ends
from notify.pictures.palette import BAD, FADED, FAINT, HUES, INK, RUN, RUN_TRAINING, SOFT
from notify.pictures.paper import Ends
from notify.siblings import key_of
from notify.story import Curve, Sweep
from notify.words import number, value_words
from store.directions import greater_is_better
from store.states import State

_LEFT, _RIGHT, _TOP, _FOOT, _GAP = 46, 30, 66, 28, 6
_WORST, _BEST = (0.985, 0.988, 0.995), (0.80, 0.88, 0.99)

Cells = dict[tuple[str, str], list[Curve]]
Places = Mapping[tuple[str, str], Box]
Hue = tuple[str, dict[str, str]] | None


def grid(sweep: Sweep, rows: str, columns: str) -> bytes:
    """Of each cell the best few runs; the tint says how good the best of them is, its value stands in the corner."""
    cells, hue = _cells(sweep.curves, rows, columns), _hue(sweep, rows, columns)
    places = _places(sweep, rows, columns, _ends(sweep.curves, with_training=hue is None))
    on = Canvas(paper.WIDTH_PX, round(max(place.bottom for place in places.values()) + _FOOT))
    _papers(on, places, cells, greatest=greater_is_better(sweep.metric or ""))
    _strokes(on, places, cells, hue)
    _margins(on, sweep, (rows, columns), places)
    heading(on, 12, 16, sweep.metric or "", _entries(sweep, hue), paper.WIDTH_PX - 4)
    return on.png()


def _places(sweep: Sweep, rows: str, columns: str, ends: tuple[Ends, Ends]) -> Places:
    down, across = sweep.varying[rows], sweep.varying[columns]
    width = (paper.WIDTH_PX - _LEFT - _RIGHT - _GAP * (len(across) - 1)) / len(across)
    height = max(54.0, min(0.72 * width, 120.0))
    return {
        (key_of(row), key_of(column)): Box(
            left=_LEFT + j * (width + _GAP),
            top=_TOP + i * (height + _GAP),
            width=width,
            height=height,
            x=ends[0],
            y=ends[1],
        )
        for i, row in enumerate(down)
        for j, column in enumerate(across)
    }


def _cells(curves: Iterable[Curve], rows: str, columns: str) -> Cells:
    """Curves come with the best first."""
    found: Cells = {}
    for curve in curves:
        if rows in curve.params and columns in curve.params:
            found.setdefault((key_of(curve.params[rows]), key_of(curve.params[columns])), []).append(curve)
    return found


def _hue(sweep: Sweep, rows: str, columns: str) -> Hue:
    """The one further parameter of few values, and the colour of each."""
    others = [name for name in sweep.varying if name not in (rows, columns)]
    if len(others) != 1 or len(sweep.varying[others[0]]) > len(HUES):
        return None
    values = sweep.varying[others[0]]
    return others[0], {key_of(value): colour for value, colour in zip(values, HUES, strict=False)}


def _ends(curves: Sequence[Curve], *, with_training: bool) -> tuple[Ends, Ends]:
    """The same for all panels; what diverged leaves them at the top."""
    shown = [curve.series for curve in curves if curve.series is not None]
    known = paper.finite(value for one in shown for value in one.values)
    training = [
        value for curve in curves if with_training and curve.training is not None for value in curve.training.values
    ]
    values = [float(known.min()), float(np.quantile(known, 0.985))] if len(known) else []
    return whole_ends(step for one in shown for step in one.steps), paper.limits(values, (), _robust(training))


def _robust(values: Sequence[float]) -> list[float]:
    known = paper.finite(values)
    return [float(known.min()), float(np.quantile(known, 0.95))] if len(known) else []


def _papers(on: Canvas, places: Places, cells: Cells, *, greatest: bool) -> None:
    """The tint and the number of each cell."""
    bests = {cell: next((c.best for c in curves if c.best is not None), None) for cell, curves in cells.items()}
    order = sorted((value for value in bests.values() if value is not None), reverse=not greatest)
    for cell, place in places.items():
        value = bests.get(cell)
        if value is None:
            _empty(on, place, cells.get(cell, ()))
            continue
        is_best = value == order[-1]
        share = (order.index(value) / max(len(order) - 1, 1)) ** 2
        tint = tuple(w + (b - w) * share for w, b in zip(_WORST, _BEST, strict=True))
        on.box(place, facecolor=tint, edgecolor=FAINT, linewidth=0.8, zorder=1)
        if is_best:
            on.box(place, fill=False, edgecolor=RUN, linewidth=1.6, zorder=5)
        style: dict[str, Any] = {"color": RUN, "weight": "bold"} if is_best else {"color": INK}
        on.write(place.right - 5, place.top + 9, number(value), ha="right", **style)


def _empty(on: Canvas, place: Box, curves: Iterable[Curve]) -> None:
    on.box(place, facecolor="white", edgecolor=FAINT, linewidth=0.8, zorder=1)
    has_failed = any(curve.state is State.FAILED for curve in curves)
    word, colour = ("failed", BAD) if has_failed else ("–", SOFT)
    on.write((place.left + place.right) / 2, (place.top + place.bottom) / 2, word, ha="center", color=colour)


def _strokes(on: Canvas, places: Places, cells: Cells, hue: Hue) -> None:
    by_colour: dict[str, list[tuple[Any, Any]]] = {}
    for cell, curves in cells.items():
        place = places.get(cell)
        if place is None:
            continue
        for rank, curve in enumerate(curves):
            if curve.training is not None and hue is None:
                by_colour.setdefault(RUN_TRAINING, []).append(_stroke(place, curve.training))
            if curve.series is not None:
                by_colour.setdefault(_colour(curve, rank, hue), []).append(_stroke(place, curve.series))
    for colour, strokes in by_colour.items():
        weight, order = (1.0, 2) if colour in (FADED, RUN_TRAINING) else (1.5, 3)
        on.lines(strokes, color=colour, linewidth=weight, zorder=order)


def _stroke(place: Box, series: Any) -> tuple[Any, Any]:
    return place.across(series.steps), place.down(series.values)


def _colour(curve: Curve, rank: int, hue: Hue) -> str:
    if hue is not None:
        return hue[1].get(key_of(curve.params.get(hue[0])), FADED)
    return RUN if rank == 0 else FADED


def _margins(on: Canvas, sweep: Sweep, names: tuple[str, str], places: Places) -> None:
    """Values of the rows at the right, of the columns above; the sides of the panels at the left and below."""
    rows, columns = names
    down, across = [key_of(value) for value in sweep.varying[rows]], [key_of(value) for value in sweep.varying[columns]]
    for value, column in zip(sweep.varying[columns], across, strict=True):
        place = places[down[0], column]
        on.write((place.left + place.right) / 2, _TOP - 9, value_words(value)[:16], ha="center", color=INK)
    for value, row in zip(sweep.varying[rows], down, strict=True):
        place = places[row, across[-1]]
        middle = (place.top + place.bottom) / 2
        on.write(place.right + 14, middle, value_words(value)[:16], ha="center", color=INK, rotation=270)
        _y_numbers(on, places[row, across[0]])
    on.write(_LEFT, _TOP - 25, f"{columns} →")
    on.write(places[down[0], across[-1]].right + 24, _TOP - 25, f"{rows} ↓", ha="right")
    _x_numbers(on, places[down[-1], across[0]])


def _y_numbers(on: Canvas, place: Box) -> None:
    for tick in ticks(place.y):
        y = float(place.down([tick])[0])
        if y == y:
            on.write(place.left - 5, y, number(tick), ha="right", fontsize=TINY)


def _x_numbers(on: Canvas, place: Box) -> None:
    y = place.bottom + 12
    on.write(place.left, y, paper.short_number(place.x[0]), fontsize=TINY)
    on.write(place.right, y, paper.short_number(place.x[1]), ha="right", fontsize=TINY)
    on.write((place.left + place.right) / 2, y, "step", ha="center", fontsize=TINY)


def _entries(sweep: Sweep, hue: Hue) -> list[tuple[str, dict[str, Any]]]:
    if hue is not None:
        name, colours = hue
        return [
            (f"{name} {value_words(value)}", {"color": colours[key_of(value)], "linewidth": 1.6})
            for value in sweep.varying[name]
        ]
    entries: list[tuple[str, dict[str, Any]]] = [("best of the cell", {"color": RUN, "linewidth": 1.6})]
    if sweep.training_metric and any(curve.training is not None for curve in sweep.curves):
        entries.append((sweep.training_metric, {"color": RUN_TRAINING, "linewidth": 1.1}))
    if len(sweep.varying) > 2:
        entries.append(("others", {"color": FADED, "linewidth": 1.0}))
    return entries
