"""Statistics that a few wild points do not move."""

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
_GAUSS = 1.4826  # the median of |x| is 1/1.4826 of a normal deviation


def finite(values: Array) -> Array:
    """Those that are numbers."""
    return values[np.isfinite(values)]


def middle(values: Array) -> float:
    """The median; NaN of nothing."""
    return float(np.median(values)) if len(values) else float("nan")


def noise(values: Array) -> float:
    """The deviation of one point from the curve, from differences of neighbours: a trend hardly adds to it."""
    if len(values) < 3:
        return 0.0
    return float(_GAUSS * np.median(np.abs(np.diff(values))) / np.sqrt(2))


def blocks(values: Array, count: int) -> Array:
    """Medians of at most `count` blocks of neighbours, of equal size but for one: (k,)."""
    if len(values) <= count:
        return values
    edges = np.linspace(0, len(values), count + 1).astype(int)
    return np.array([np.median(values[a:b]) for a, b in pairwise(edges)])


def slope(x: Array, y: Array) -> float:
    """Theil and Sen's: the median of the slopes of all pairs. For some dozens of points."""
    i, j = np.triu_indices(len(x), 1)
    apart = x[j] - x[i]
    with np.errstate(all="ignore"):
        found: Any = (y[j] - y[i])[apart > 0] / apart[apart > 0]
    return middle(finite(found)) if len(found) else 0.0


def agreement(y: Array) -> float:
    """Kendall's tau against time: 1: every pair of points rises, -1: every pair falls. For some dozens of points."""
    if len(y) < 2:
        return 0.0
    i, j = np.triu_indices(len(y), 1)
    return float(np.mean(np.sign(y[j] - y[i])))
