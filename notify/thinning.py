"""Fewer points that look the same, and the band in which many curves lie. Pure."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from notify.story import Band
from store.metrics import Series

Floats = npt.NDArray[np.float64]

COLUMNS = 700
"""Of each column the first, least, greatest and last point are kept: what a line of that many pixels shows."""
BAND_STEPS = 120
_FEWEST = 3
_QUANTILES = (0.1, 0.5, 0.9)


def thinned(series: Series, columns: int = COLUMNS) -> Series:
    """At most four points for each column. What is not finite stays where a column has nothing else."""
    count = len(series.steps)
    if count <= 4 * columns:
        return series
    edges = np.linspace(0, count, columns + 1).astype(int)
    values = np.asarray(series.values, dtype=np.float64)
    kept = sorted({place for a, b in pairwise(edges.tolist()) for place in _kept(values, a, b)})
    return Series(
        name=series.name,
        steps=tuple(series.steps[i] for i in kept),
        times=tuple(series.times[i] for i in kept),
        values=tuple(series.values[i] for i in kept),
    )


def band(metric: str, many: Sequence[Series]) -> Band | None:
    """The quantiles of these curves, each counted only between its own first and last point; None for fewer than 3."""
    drawn = [pair for one in many if (pair := _finite(one)) is not None]
    if len(drawn) < _FEWEST:
        return None
    first, last = min(steps[0] for steps, _ in drawn), max(steps[-1] for steps, _ in drawn)
    grid = np.linspace(first, last, BAND_STEPS)
    table = np.vstack([np.interp(grid, steps, values, left=np.nan, right=np.nan) for steps, values in drawn])
    table[:, np.isfinite(table).sum(axis=0) < _FEWEST] = np.nan
    known = np.isfinite(table).any(axis=0)
    found = np.full((3, BAND_STEPS), np.nan)
    if known.any():
        found[:, known] = np.nanquantile(table[:, known], _QUANTILES, axis=0)
    low, middle, high = (tuple(row.tolist()) for row in found)
    return Band(metric=metric, steps=tuple(grid.tolist()), low=low, middle=middle, high=high, count=len(drawn))


def _kept(values: Floats, start: int, stop: int) -> tuple[int, ...]:
    part = values[start:stop]
    finite = np.flatnonzero(np.isfinite(part))
    if not len(finite):
        return (start,)
    least, most = finite[np.argmin(part[finite])], finite[np.argmax(part[finite])]
    return tuple(start + int(place) for place in (finite[0], least, most, finite[-1]))


def _finite(series: Series) -> tuple[Floats, Floats] | None:
    """In the order of the steps: a script may count anew."""
    steps, values = np.asarray(series.steps, dtype=np.float64), np.asarray(series.values, dtype=np.float64)
    known = np.isfinite(values) & np.isfinite(steps)
    if known.sum() < 2:
        return None
    order = np.argsort(steps[known], kind="stable")
    return steps[known][order], values[known][order]
