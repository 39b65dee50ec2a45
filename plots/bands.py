"""Runs of a group as one line: their mean, and the band in which they lie. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from plots.picture import Floats

_POINTS = 400
_RAW = 2000
_QUANTILES = (0.25, 0.75)


class Spread(StrEnum):
    """What the band is."""

    MIN_MAX = "minmax"
    STD = "std"
    QUANTILES = "quantiles"
    NONE = "none"


WORDS = {
    Spread.MIN_MAX: "line: mean of the runs, band: from the least to the greatest",
    Spread.STD: "line: mean of the runs, band: one standard deviation to each side",
    Spread.QUANTILES: "line: median of the runs, band: their middle half",
    Spread.NONE: "line: mean of the runs",
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Digest:
    """One run's curve in at most some thousand points: of the values in each column mean, least, greatest; x rising.

    `bad`: the x at which it is not finite.
    """

    xs: Floats
    mean: Floats
    low: Floats
    high: Floats
    bad: Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Group:
    """The line and band of `count` runs; NaN where none of them is."""

    xs: Floats
    middle: Floats
    low: Floats
    high: Floats
    count: int


def digest(xs: Floats, ys: Floats) -> Digest:
    """The means of columns of points, and the extremes in them: no peak is lost to the band."""
    order = np.argsort(xs, kind="stable")
    xs, ys = xs[order], ys[order]
    finite = np.isfinite(ys)
    bad = np.unique(xs[~finite])
    values = np.where(finite, ys, np.nan)
    if len(xs) <= _RAW:
        return Digest(xs=xs, mean=values, low=values, high=values, bad=bad)
    edges = np.linspace(0, len(xs), _POINTS + 1).astype(np.int64)
    starts = edges[:-1]
    count = np.add.reduceat(finite.astype(np.float64), starts)
    with np.errstate(all="ignore"):
        mean = np.add.reduceat(np.where(finite, ys, 0.0), starts) / count
    return Digest(
        xs=np.add.reduceat(xs, starts) / np.diff(edges),
        mean=mean,
        low=np.fmin.reduceat(values, starts),
        high=np.fmax.reduceat(values, starts),
        bad=_few(bad),
    )


def grouped(many: Sequence[Digest], spread: Spread) -> Group:
    """At common x, each run only between its own first and last point."""
    xs = _common(many)
    means, lows, highs = (_table(many, part, xs) for part in ("mean", "low", "high"))
    known = np.isfinite(means).any(axis=0)
    found = np.full((3, len(xs)), np.nan)
    if known.any():
        found[:, known] = _folded(means[:, known], lows[:, known], highs[:, known], spread)
    return Group(xs=xs, middle=found[0], low=found[1], high=found[2], count=len(many))


def _folded(means: Floats, lows: Floats, highs: Floats, spread: Spread) -> tuple[Floats, Floats, Floats]:
    middle: Floats = np.nanmean(means, axis=0)
    match spread:
        case Spread.MIN_MAX:
            return middle, np.nanmin(lows, axis=0), np.nanmax(highs, axis=0)
        case Spread.STD:
            count = np.isfinite(means).sum(axis=0)
            variance = np.nansum((means - middle) ** 2, axis=0) / np.maximum(count - 1, 1)
            return middle, middle - np.sqrt(variance), middle + np.sqrt(variance)
        case Spread.QUANTILES:
            low, high = np.nanquantile(means, _QUANTILES, axis=0)
            return np.nanmedian(means, axis=0), low, high
        case _:
            return middle, middle, middle


def _common(many: Sequence[Digest]) -> Floats:
    """Those of the longest where all are reported at the same x; else evenly between the first and the last."""
    longest = max((one.xs for one in many), key=len)
    if all(np.array_equal(one.xs, longest[: len(one.xs)]) for one in many):
        return longest
    known = [one.xs for one in many if len(one.xs)]
    return np.linspace(min(float(x[0]) for x in known), max(float(x[-1]) for x in known), _POINTS)


def _table(many: Sequence[Digest], part: str, xs: Floats) -> Floats:
    return np.vstack([np.interp(xs, one.xs, getattr(one, part), left=np.nan, right=np.nan) for one in many])


def _few(bad: Floats) -> Floats:
    return bad if len(bad) <= _POINTS else bad[np.linspace(0, len(bad) - 1, _POINTS).astype(np.int64)]
