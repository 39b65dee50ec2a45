"""Curves in memory: thinned so that spikes stay, and growing at their end. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from store.glances import Stroke, extremes

MOST_POINTS = 2000
"""A curve that has grown longer is thinned to half: more than the dots of the widest terminal."""

Numbers = NDArray[np.float64]


class Axis(StrEnum):
    """What runs from left to right. Times count from the first point of the run."""

    STEP = "step"
    TIME = "time"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Curve:
    """Parallel arrays, oldest first; `times` in seconds since 1970."""

    steps: Numbers
    times: Numbers
    values: Numbers

    def __len__(self) -> int:
        return len(self.values)

    def along(self, axis: Axis) -> Numbers:
        """Where the points lie from left to right."""
        return self.steps if axis is Axis.STEP else self.times - self.times[:1].sum()


EMPTY = Curve(steps=np.zeros(0), times=np.zeros(0), values=np.zeros(0))


def grown(curve: Curve, strokes: Sequence[Stroke]) -> Curve:
    """The curve with what is new, thinned when it has become too long."""
    steps, times, values = (_array(getattr(one, of) for one in strokes) for of in ("steps", "times", "values"))
    longer = Curve(
        steps=np.concatenate([curve.steps, steps]),
        times=np.concatenate([curve.times, times]),
        values=np.concatenate([curve.values, values]),
    )
    return longer if len(longer) <= MOST_POINTS else thinned(longer, MOST_POINTS // 2)


def thinned(curve: Curve, most: int) -> Curve:
    """Of each few points in a row the least and the greatest: `most` points at most."""
    if len(curve) <= most:
        return curve
    kept = extremes(curve.values.tolist(), -(-2 * len(curve) // most))
    return Curve(steps=curve.steps[kept], times=curve.times[kept], values=curve.values[kept])


def grain_for(points: int) -> int:
    """How many points in a row become two, so that a series of so many becomes about half the longest curve.

    A power of two, so that runs of about one length are read at once.
    """
    grain = 1
    while 2 * points > grain * (MOST_POINTS // 2):
        grain *= 2
    return grain if grain > 2 else 1


def band(curves: Sequence[Curve], axis: Axis, at: Numbers) -> tuple[Numbers, Numbers, Numbers] | None:
    """Lower quartile, median, upper quartile of the curves at these places; NaN where fewer than three of them are."""
    lines = [line for curve in curves if (line := _at(curve, axis, at)) is not None]
    if len(lines) < 3:
        return None
    every = np.sort(np.stack(lines), axis=0)  # NaN last, which nanquantile would look for column by column
    known = np.isfinite(every).sum(axis=0)
    low, middle, high = (np.where(known >= 3, _quantile(every, known, part), np.nan) for part in (0.25, 0.5, 0.75))
    return low, middle, high


def _quantile(every: Numbers, known: NDArray[np.int_], part: float) -> Numbers:
    """Of each sorted column, of which the first `known` values count."""
    place = part * np.maximum(known - 1, 0)
    below = np.floor(place).astype(np.intp)
    above = np.minimum(below + 1, np.maximum(known - 1, 0))
    low, high = (np.take_along_axis(every, at[None, :], axis=0)[0] for at in (below, above))
    found: Numbers = low + (high - low) * (place - below)
    return found


def _at(curve: Curve, axis: Axis, at: Numbers) -> Numbers | None:
    along, values = curve.along(axis), curve.values
    finite = np.isfinite(values)
    if not finite.any():
        return None
    order = np.argsort(along[finite], kind="stable")
    line: Numbers = np.interp(at, along[finite][order], values[finite][order], left=np.nan, right=np.nan)
    return line


def _array(parts: Any) -> Numbers:
    return np.fromiter(chain.from_iterable(parts), dtype=np.float64)
