"""The values a parameter may take: a choice, a range, a normal distribution. Frozen; every value comes from one number.

`quantile(domain)` maps u, 0 < u < 1, through the inverse of the distribution function. So random numbers, Latin
hypercubes and low-discrepancy sequences share one mapping. `values_of(domain)` lists the values where that can be done.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import accumulate
from typing import Any

from queueing.space.exact import between, decimal, exp, ln, normal_quantile, normal_share

MOST_LISTED = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One of these values; without weights all alike. Weights need not sum to 1; they matter for sampling only."""

    values: tuple[Any, ...]
    weights: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Between `low` and `high`, both included; uniform, or uniform in the logarithm.

    `step`: only low, low + step, …; never with `log`. `num`: only that many values, evenly spaced (in the logarithm).
    """

    low: float
    high: float
    log: bool = False
    integer: bool = False
    step: float | None = None
    num: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Normal:
    """Normal, or log-normal: then mean and sd are those of the natural logarithm. `low` and `high` truncate it.

    `step` and `integer` round what was drawn.
    """

    mean: float
    sd: float
    log: bool = False
    integer: bool = False
    step: float | None = None
    low: float | None = None
    high: float | None = None


Domain = Choice | Range | Normal


def value_at(domain: Domain, u: float) -> Any:
    """The value below which the share `u` of the distribution lies."""
    return quantile(domain)(u)


def quantile(domain: Domain) -> Callable[[float], Any]:
    """`value_at` for many u: what hangs on the domain alone is computed once."""
    if isinstance(domain, Choice):
        return _choosing(domain)
    if isinstance(domain, Normal):
        return _normal(domain)
    if is_listed(domain):
        return _listing(domain)
    if domain.integer:
        return _log_integers(domain)
    return _log_uniform(domain) if domain.log else _uniform(domain)


def is_listed(domain: Domain) -> bool:
    """Whether the values can be listed, as a grid needs it."""
    if isinstance(domain, Choice):
        return True
    return isinstance(domain, Range) and (
        domain.num is not None or domain.step is not None or (domain.integer and not domain.log)
    )


def count_of(domain: Domain) -> int:
    """How many values a listed domain has."""
    if isinstance(domain, Choice):
        return len(domain.values)
    assert isinstance(domain, Range)
    if domain.num is not None:
        return len(values_of(domain)) if domain.integer else domain.num
    step = decimal(domain.step if domain.step is not None else 1)
    return int((decimal(domain.high) - decimal(domain.low)) / step) + 1


def values_of(domain: Domain) -> Sequence[Any]:
    """All values of a listed domain, in order."""
    if isinstance(domain, Choice):
        return domain.values
    assert isinstance(domain, Range)
    if domain.num is None:
        return [_listed_at(domain, k) for k in range(count_of(domain))]
    spaced = [_spaced_at(domain, k) for k in range(domain.num)]
    return list(dict.fromkeys(spaced)) if domain.integer else spaced


def is_continuous(domain: Domain) -> bool:
    """Whether two draws never agree, for all practical purposes."""
    if isinstance(domain, Choice) or domain.integer or domain.step is not None:
        return False
    return not is_listed(domain)


def _choosing(domain: Choice) -> Callable[[float], Any]:
    values, count = domain.values, len(domain.values)
    if not domain.weights:
        return lambda u: values[min(int(u * count), count - 1)]
    sums = list(accumulate(domain.weights))
    return lambda u: values[min(bisect_right(sums, u * sums[-1]), count - 1)]


def _listing(domain: Range) -> Callable[[float], Any]:
    count = count_of(domain)
    if domain.num is not None:
        values = values_of(domain)
        return lambda u: values[min(int(u * count), count - 1)]
    if domain.integer:
        low, step = int(domain.low), int(domain.step or 1)
        return lambda u: low + min(int(u * count), count - 1) * step
    return lambda u: _listed_at(domain, min(int(u * count), count - 1))


def _uniform(domain: Range) -> Callable[[float], float]:
    low, high = float(domain.low), float(domain.high)
    return lambda u: min(max(low + u * (high - low), low), high)


def _log_uniform(domain: Range) -> Callable[[float], float]:
    low, high, first, last = float(domain.low), float(domain.high), ln(domain.low), ln(domain.high)
    return lambda u: min(max(exp(between(first, last, Decimal(u))), low), high)


def _log_integers(domain: Range) -> Callable[[float], int]:
    """Half a unit more on both sides, so that both ends get their share."""
    low, high, first, last = int(domain.low), int(domain.high), ln(domain.low - 0.5), ln(domain.high + 0.5)
    return lambda u: min(max(round(exp(between(first, last, Decimal(u)))), low), high)


def _listed_at(domain: Range, k: int) -> Any:
    if domain.num is not None:
        return values_of(domain)[k] if domain.integer else _spaced_at(domain, k)
    if domain.integer:
        return int(domain.low) + k * int(domain.step or 1)
    return float(decimal(domain.low) + k * decimal(domain.step or 1))


def _spaced_at(domain: Range, k: int) -> Any:
    assert domain.num is not None
    if k == 0 or k == domain.num - 1:
        end = domain.high if k else domain.low
        return int(end) if domain.integer else float(end)
    share = Decimal(k) / Decimal(domain.num - 1)
    if domain.log:
        value = exp(between(ln(domain.low), ln(domain.high), share))
    else:
        value = float(between(decimal(domain.low), decimal(domain.high), share))
    return round(value) if domain.integer else value


def _normal(domain: Normal) -> Callable[[float], Any]:
    below = 0.0 if domain.low is None else normal_share(_standard(domain, domain.low))
    up_to = 1.0 if domain.high is None else normal_share(_standard(domain, domain.high))

    def at(u: float) -> Any:
        z = normal_quantile(min(max(below + u * (up_to - below), 2**-53), 1 - 2**-53))
        drawn = domain.mean + domain.sd * z
        value = _rounded(domain, exp(drawn) if domain.log else drawn)
        low = value if domain.low is None else domain.low
        high = value if domain.high is None else domain.high
        return type(value)(min(max(value, low), high))

    return at


def _standard(domain: Normal, bound: float) -> float:
    if domain.log:
        bound = float(ln(bound)) if bound > 0 else -float("inf")
    return (bound - domain.mean) / domain.sd


def _rounded(domain: Normal, drawn: float) -> float:
    if domain.step is None:
        return round(drawn) if domain.integer else drawn
    stepped = round(drawn / domain.step) * decimal(domain.step)
    return int(stepped) if domain.integer else float(stepped)
