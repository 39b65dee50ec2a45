"""Fewer points that look the same, and the band in which many curves lie. Pure."""

from collections.abc import Sequence

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
    return _chosen(series, kept(series.values, columns).tolist())


def kept(values: Floats, columns: int = COLUMNS, *, gaps: bool = False) -> npt.NDArray[np.int64]:
    """The places that are kept, rising: no peak is lost. `gaps`: a column keeps its first and last number that is not
    finite, too, so that a line breaks where it must.
    """
    count = len(values)
    if count <= 4 * columns:
        return np.arange(count)
    edges = np.linspace(0, count, columns + 1).astype(np.int64)
    finite = np.isfinite(values)
    found = [edges[:-1][~np.logical_or.reduceat(finite, edges[:-1])], *_ends_within(finite, edges)]
    for fold, nothing in ((np.minimum, np.inf), (np.maximum, -np.inf)):
        filled = np.where(finite, values, nothing)
        extreme = np.repeat(fold.reduceat(filled, edges[:-1]), np.diff(edges))
        found.append(_ends_within(finite & (filled == extreme), edges)[0])
    if gaps:
        found += _ends_within(~finite, edges)
    return np.unique(np.concatenate(found))


def _ends_within(wanted: npt.NDArray[np.bool_], edges: npt.NDArray[np.int64]) -> list[npt.NDArray[np.int64]]:
    """Of each column that has any the first and the last wanted place."""
    places = np.flatnonzero(wanted)
    first, after = np.searchsorted(places, edges[:-1]), np.searchsorted(places, edges[1:])
    some = after > first
    return [places[first[some]], places[after[some] - 1]]


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


def _finite(series: Series) -> tuple[Floats, Floats] | None:
    """In the order of the steps: a script may count anew."""
    steps, values = np.asarray(series.steps, dtype=np.float64), np.asarray(series.values, dtype=np.float64)
    known = np.isfinite(values) & np.isfinite(steps)
    if known.sum() < 2:
        return None
    order = np.argsort(steps[known], kind="stable")
    return steps[known][order], values[known][order]
