"""Values as the numbers that optimizers work with, and back: a category, a whole number, or a real one."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache
from math import exp, isfinite, log
from typing import Any

from queueing.keys import canonical
from queueing.space.domains import Choice, Domain, Normal, Range, value_at, values_of
from queueing.space.exact import normal_share
from queueing.space.space import Space, configuration

_EDGE = 1e-6
_NEAR = 1e-9


class Kind(Enum):
    """What a code is."""

    CATEGORY = auto()
    INTEGER = auto()
    REAL = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Coding:
    """Codes from `low` to `high`, both included; uniform in the logarithm with `log`."""

    domain: Domain
    kind: Kind
    low: float
    high: float
    log: bool = False
    listed: tuple[Any, ...] = ()

    def encode(self, value: Any) -> float:
        """The code of a value of the domain."""
        if isinstance(self.domain, Choice):
            return [canonical(one) for one in self.listed].index(canonical(value))
        if self.listed:
            return _nearest(self.listed, value)
        code: float = _share(self.domain, value) if isinstance(self.domain, Normal) else value
        return min(max(code, self.low), self.high)

    def decode(self, code: float) -> Any:
        """The value of a code."""
        if self.listed:
            return self.listed[round(code)]
        if isinstance(self.domain, Normal):
            return value_at(self.domain, code)
        return round(code) if self.kind is Kind.INTEGER else float(code)

    def to_unit(self, value: Any) -> float:
        """Between 0 and 1, for optimizers that know nothing but a cube."""
        code = self.encode(value)
        if self.kind is Kind.INTEGER:
            low, high = self.low - 0.5, self.high + 0.5
        else:
            low, high = self.low, self.high
        share = log(code / low) / log(high / low) if self.log else (code - low) / (high - low)
        return min(max(share, 0.0), 1.0)

    def from_unit(self, share: float) -> Any:
        """The value at that share."""
        whole = self.kind is Kind.INTEGER
        low, high = (self.low - 0.5, self.high + 0.5) if whole else (self.low, self.high)
        code = low * exp(share * log(high / low)) if self.log else low + share * (high - low)
        return self.decode(min(max(round(code) if whole else code, self.low), self.high))


def coding(domain: Domain) -> Coding:
    """How a domain is coded."""
    if isinstance(domain, Choice):
        return Coding(domain=domain, kind=Kind.CATEGORY, low=0, high=len(domain.values) - 1, listed=domain.values)
    if isinstance(domain, Normal):
        return Coding(domain=domain, kind=Kind.REAL, low=_EDGE, high=1 - _EDGE)
    if domain.num is not None or domain.step is not None:
        listed = _values_of(domain)
        return Coding(domain=domain, kind=Kind.INTEGER, low=0, high=len(listed) - 1, listed=listed)
    kind = Kind.INTEGER if domain.integer else Kind.REAL
    return Coding(domain=domain, kind=kind, low=domain.low, high=domain.high, log=domain.log)


@lru_cache(maxsize=1000)
def _values_of(domain: Range) -> tuple[Any, ...]:
    """Kept: a list may be long, and it is asked for with every value."""
    return tuple(values_of(domain))


def contains(domain: Domain, value: Any) -> bool:
    """Whether the domain has this value."""
    if isinstance(domain, Choice):
        return canonical(value) in [canonical(one) for one in domain.values]
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        return False
    if domain.integer and value != int(value):
        return False
    low = -float("inf") if domain.low is None else domain.low
    high = float("inf") if domain.high is None else domain.high
    if not low - _slack(low) <= value <= high + _slack(high):
        return False
    made = coding(domain)
    return not made.listed or abs(made.listed[_nearest(made.listed, value)] - value) <= _slack(value)


def values_in(space: Space, params: Mapping[str, Any]) -> dict[str, Any]:
    """Those parameters of nested `params` that the space names."""
    found = {}
    for name in space.names:
        value: Any = params
        for part in name.split("."):
            value = value.get(part, _ABSENT) if isinstance(value, Mapping) else _ABSENT
        if value is not _ABSENT:
            found[name] = value
    return found


def lies_in(space: Space, fixed: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
    """Whether flat `values` are a configuration of the space, constraints aside; a surplus one does no harm."""
    domains = {parameter.name: parameter.domain for parameter in space.parameters}
    try:
        needed = configuration(space, space.parents_first(), fixed, lambda parameter: values[parameter.name])
    except KeyError:
        return False
    return all(contains(domains[name], value) for name, value in needed.items())


_ABSENT = object()


def _nearest(listed: Sequence[float], value: float) -> int:
    right = min(bisect_left(listed, value), len(listed) - 1)
    return right if right == 0 or listed[right] - value <= value - listed[right - 1] else right - 1


def _slack(value: float) -> float:
    return _NEAR * abs(value) if isfinite(value) else 0.0


def _share(domain: Normal, value: float) -> float:
    below = _normal_share(domain, domain.low, 0.0)
    up_to = _normal_share(domain, domain.high, 1.0)
    return (_normal_share(domain, value, 0.0) - below) / (up_to - below) if up_to > below else 0.5


def _normal_share(domain: Normal, bound: float | None, otherwise: float) -> float:
    if bound is None or (domain.log and bound <= 0):
        return otherwise
    return normal_share(((log(bound) if domain.log else bound) - domain.mean) / domain.sd)
