"""A sweep without a grid: all curves in one panel, and below the best value against each parameter."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from notify.pictures import paper
from notify.pictures.canvas import TINY, Box, Canvas, frame, heading, ticks, whole_ends
from notify.pictures.palette import BEST, FADED, FAINT, INK, OTHERS, RUN, RUN_TRAINING, SOFT
from notify.pictures.paper import Ends
from notify.siblings import key_of
from notify.story import Curve, Sweep
from notify.words import number, value_words

_LEFT, _RIGHT, _HEAD, _FOOT = 50, 12, 34, 44
_FAN_PX, _SMALL_PX, _GAP, _PER_ROW, _MOST = 190, 96, 14, 3, 6
_TOP_COLOURS = (RUN, BEST, OTHERS[0])


def overview(sweep: Sweep) -> bytes:
    """The three best curves in colours, the others pale."""
    names = _shown_params(sweep)
    rows = -(-len(names) // _PER_ROW)
    on = Canvas(paper.WIDTH_PX, _HEAD + _FAN_PX + _FOOT + rows * (_SMALL_PX + 46))
    drawn = [curve for curve in sweep.curves if curve.series is not None]
    spot = Box(
        left=_LEFT, top=_HEAD, width=paper.WIDTH_PX - _LEFT - _RIGHT, height=_FAN_PX,
        x=whole_ends(step for curve in drawn if curve.series for step in curve.series.steps), y=_values(drawn),
    )  # fmt: skip
    frame(on, spot, x_label="step")
    _fan(on, spot, drawn)
    heading(on, 12, _HEAD - 18, sweep.metric or "", _entries(sweep, drawn), paper.WIDTH_PX - 4)
    if names:
        _scatters(on, sweep, names, spot.bottom + _FOOT)
    return on.png()


def _entries(sweep: Sweep, drawn: Sequence[Curve]) -> list[tuple[str, dict[str, Any]]]:
    entries: list[tuple[str, dict[str, Any]]] = [
        (f"{curve.label}: {number(curve.best)}", {"color": colour, "linewidth": 1.8})
        for curve, colour in zip(drawn, _TOP_COLOURS, strict=False)
    ]
    if drawn[0].training is not None and sweep.training_metric:
        entries.append((f"{drawn[0].label}: {sweep.training_metric}", {"color": RUN_TRAINING, "linewidth": 1.1}))
    if len(drawn) > len(_TOP_COLOURS):
        entries.append((f"{len(drawn) - len(_TOP_COLOURS)} others", {"color": FADED, "linewidth": 1.0}))
    return entries


def _fan(on: Canvas, spot: Box, drawn: Sequence[Curve]) -> None:
    strokes = [(spot.across(c.series.steps), spot.down(c.series.values)) for c in drawn if c.series is not None]
    on.lines(strokes[len(_TOP_COLOURS) :], color=FADED, linewidth=1.0, zorder=2)
    if drawn[0].training is not None:
        training = drawn[0].training
        stroke = spot.across(training.steps), spot.down(training.values)
        on.lines([stroke], color=RUN_TRAINING, linewidth=1.1, zorder=3)
    for place, colour in reversed(list(enumerate(_TOP_COLOURS))):
        on.lines(strokes[place : place + 1], color=colour, linewidth=1.8, zorder=9 - place)


def _values(drawn: Sequence[Curve]) -> paper.Ends:
    """What diverged leaves the panel at the top."""
    known = paper.finite(value for curve in drawn if curve.series is not None for value in curve.series.values)
    return paper.limits([float(known.min()), float(np.quantile(known, 0.97))] if len(known) else [])


def _shown_params(sweep: Sweep) -> list[str]:
    """Those whose values say most about the result: numbers by their rank correlation, then the others."""
    found = [(_weight(sweep, name), name) for name in sweep.varying]
    return [name for _, name in sorted(found, key=lambda one: -one[0])[:_MOST]]


def _weight(sweep: Sweep, name: str) -> float:
    mine = [curve for curve in sweep.curves if name in curve.params]
    pairs = [(curve.params[name], curve.best) for curve in mine if curve.best is not None]
    numbers = [(float(x), y) for x, y in pairs if _is_number(x)]
    if len(numbers) < 3 or len(numbers) < len(pairs):
        return 0.1 if len(sweep.varying[name]) < len(pairs) else 0.0
    xs, ys = (np.unique(side, return_inverse=True)[1] for side in zip(*numbers, strict=True))
    together = np.corrcoef(xs, ys)[0][1] if xs.any() and ys.any() else 0.0
    return 0.2 + abs(float(together))


def _scatters(on: Canvas, sweep: Sweep, names: Sequence[str], top: float) -> None:
    known = [curve for curve in sweep.curves if curve.best is not None and math.isfinite(curve.best)]
    values = sorted(curve.best for curve in known if curve.best is not None)
    upper = values[min(len(values) - 1, int(0.95 * len(values)))] if values else 1.0
    y = paper.limits([values[0], upper] if values else [])
    width = (paper.WIDTH_PX - _LEFT - _RIGHT - _GAP * (_PER_ROW - 1)) / _PER_ROW
    for place, name in enumerate(names):
        row, column = divmod(place, _PER_ROW)
        spot = Box(
            left=_LEFT + column * (width + _GAP), top=top + 22 + row * (_SMALL_PX + 46), width=width, height=_SMALL_PX,
            x=_x_ends(sweep, name), y=y,
        )  # fmt: skip
        _scatter(on, sweep, name, spot, known, with_ticks=column == 0)


def _scatter(on: Canvas, sweep: Sweep, name: str, spot: Box, known: Sequence[Curve], *, with_ticks: bool) -> None:
    on.box(spot, facecolor="#fbfcfe", edgecolor=FAINT, linewidth=0.8, zorder=1)
    on.write(spot.left, spot.top - 9, name[:26], color=INK, weight="bold")
    mine = [curve for curve in known if name in curve.params]
    xs = spot.across([_position(sweep, name, curve.params[name]) for curve in mine])
    ys = spot.down([curve.best or 0.0 for curve in mine])
    dots: dict[str, Any] = {"linestyle": "none", "marker": "o", "mew": 0}
    on.lines([(xs[1:], ys[1:])], markersize=3.4, color=SOFT, alpha=0.7, zorder=3, **dots)
    on.lines([(xs[:1], ys[:1])], markersize=6, color=RUN, zorder=4, **dots)
    for x, text in _x_ticks(sweep, name, spot):
        on.write(x, spot.bottom + 9, text, ha="center", fontsize=TINY)
    for tick in ticks(spot.y) if with_ticks else ():
        on.write(_LEFT - 5, float(spot.down([tick])[0]), number(tick), ha="right", fontsize=TINY)


def _x_ends(sweep: Sweep, name: str) -> Ends:
    values = sweep.varying[name]
    if not _are_numbers(sweep, name):
        return -0.5, len(values) - 0.5, False
    numbers = [float(value) for value in values if math.isfinite(value)]
    return paper.limits(numbers)


def _x_ticks(sweep: Sweep, name: str, spot: Box) -> list[tuple[float, str]]:
    values = sweep.varying[name]
    if _are_numbers(sweep, name):
        shown: Sequence[Any] = [value for value in values if math.isfinite(value)]
        chosen = [shown[0], shown[-1]] if len(shown) > 4 else shown
    else:
        chosen = values if len(values) <= 4 else [values[0], values[-1]]
    spots = spot.across([_position(sweep, name, value) for value in chosen])
    longest = max(4, 26 // max(len(chosen), 1))
    return [(float(x), value_words(value)[:longest]) for x, value in zip(spots, chosen, strict=True) if x == x]


def _position(sweep: Sweep, name: str, value: Any) -> float:
    if _are_numbers(sweep, name):
        return float(value)
    return float([key_of(one) for one in sweep.varying[name]].index(key_of(value)))


def _are_numbers(sweep: Sweep, name: str) -> bool:
    return all(_is_number(value) for value in sweep.varying[name]) and any(map(math.isfinite, sweep.varying[name]))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300
