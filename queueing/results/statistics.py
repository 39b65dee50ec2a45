"""What several runs of one configuration say together. Pure. NaN and infinity are never left out: they show."""

import math
from collections.abc import Sequence

from queueing.results.table import Mean, Median


def mean_of(values: Sequence[float], level: float) -> Mean | None:
    """The mean and its confidence interval after Student: mean ± t((1 + level) / 2, n - 1) · s / √n."""
    if not values:
        return None
    n, mean = len(values), _mean(values)
    if n == 1:
        return Mean(mean=mean, half_width=None, n=1)
    return Mean(mean=mean, half_width=_quantile(level, n - 1) * deviation(values) / math.sqrt(n), n=n)


def median_of(values: Sequence[float]) -> Median | None:
    """The median and the quartiles, each between two values by their distance (as numpy does)."""
    if not values:
        return None
    if any(math.isnan(value) for value in values):
        return Median(median=math.nan, q1=math.nan, q3=math.nan, n=len(values))
    rising = sorted(values)
    q1, median, q3 = (_between(rising, share) for share in (0.25, 0.5, 0.75))
    return Median(median=median, q1=q1, q3=q3, n=len(values))


def deviation(values: Sequence[float]) -> float:
    """The standard deviation of a sample, n - 1 below; NaN for one value or for some that are not finite."""
    if len(values) < 2 or not all(math.isfinite(value) for value in values):
        return math.nan
    mean = _mean(values)
    return math.sqrt(math.fsum((value - mean) * (value - mean) for value in values) / (len(values) - 1))


def _mean(values: Sequence[float]) -> float:
    if all(value == values[0] for value in values):
        return values[0]  # to the bit, so that the deviation is 0
    try:
        return math.fsum(values) / len(values)
    except (OverflowError, ValueError):  # too large a sum; or both infinities, whose sum is NaN
        return sum(value / len(values) for value in values)


def _between(rising: Sequence[float], share: float) -> float:
    place = share * (len(rising) - 1)
    low, rest = int(place), place - int(place)
    if rest == 0 or rising[low] == rising[low + 1]:
        return rising[low]
    return rising[low] * (1 - rest) + rising[low + 1] * rest


def _quantile(level: float, degrees: int) -> float:
    """Of Student's distribution. `scipy.special` is there in a tenth of the time of `scipy.stats`."""
    from scipy.special import stdtrit

    return float(stdtrit(degrees, (1 + level) / 2))
