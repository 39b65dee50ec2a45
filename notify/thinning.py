"""Fewer points that look the same, and the band in which many curves lie. Pure."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from notify.story import Band
from store.metrics import Curve, Series

Floats = npt.NDArray[np.float64]

COLUMNS = 700
"""Of each column the first, least, greatest and last point are kept: what a line of that many pixels shows."""
BAND_STEPS = 120
_FEWEST = 3
_QUANTILES = (0.1, 0.5, 0.9)


def thinned(series: Curve, columns: int = COLUMNS) -> Series:
    """At most four points for each column. What is not finite stays where a column has nothing else."""
    count = len(series.steps)
    if count <= 4 * columns:
        return _chosen(series, range(count))
    edges = np.linspace(0, count, columns + 1).astype(int)
    kept = sorted({place for a, b in pairwise(edges.tolist()) for place in _kept(series.values, a, b)})
    return _chosen(series, kept)


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


def _chosen(series: Curve, places: Sequence[int]) -> Series:
    at = np.asarray(places, dtype=np.int64)
    return Series(
        name=series.name,
        steps=tuple(series.steps[at].tolist()),
        times=tuple(series.times[at].tolist()),
        values=tuple(series.values[at].tolist()),
    )


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
