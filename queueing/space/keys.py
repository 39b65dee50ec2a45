"""The keys of a table that describes values: `{low = 0.01, high = 10.0, log = true}` as a domain."""

import math
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any

from queueing.space.domains import MOST_LISTED, Choice, Domain, Normal, Range, count_of
from queueing.values import INT64, Mistake, Path

_SAMPLED = ("log", "type", "step", "distribution", "when")
_CHOICE = ("choice", "weights", "distribution", "when")
_RANGE = ("low", "high", "num", *_SAMPLED)
_NORMAL = ("mean", "sd", "low", "high", *_SAMPLED)
SPECIFIC = tuple(dict.fromkeys([*_CHOICE, *_RANGE, *_NORMAL]))

# name: (keys it needs, whether the logarithm is meant)
_DISTRIBUTIONS: dict[str, tuple[tuple[str, ...], bool]] = {
    "uniform": (("low", "high"), False),
    "log-uniform": (("low", "high"), True),
    "normal": (("mean", "sd"), False),
    "log-normal": (("mean", "sd"), True),
    "categorical": (("choice",), False),
}


class _Refused(ValueError):
    """What is wrong, and under which key."""

    def __init__(self, key: str | None, said: str) -> None:
        self.key, self.said = key, said


def read_domain(spec: Mapping[str, Any], path: Path, mistakes: list[Mistake]) -> Domain | None:
    """The domain, or None with a mistake added."""
    try:
        kind, keys = _kind(spec)
        _check_keys(spec, keys)
        return kind(spec)
    except _Refused as refused:
        mistakes.append(((*path, refused.key) if refused.key else path, refused.said))
        return None


def _kind(spec: Mapping[str, Any]) -> tuple[Callable[[Mapping[str, Any]], Domain], tuple[str, ...]]:
    if "distribution" in spec:
        _check_distribution(spec)
    if "choice" in spec:
        return _choice, _CHOICE
    if "mean" in spec or "sd" in spec:
        return _normal, _NORMAL
    if "low" in spec or "high" in spec:
        return _range, _RANGE
    raise _Refused(None, "has no values; allowed: low and high, or mean and sd, or choice")


def _check_distribution(spec: Mapping[str, Any]) -> None:
    name = spec["distribution"]
    if name not in _DISTRIBUTIONS:
        raise _Refused("distribution", f"is {str(name)[:60]!r}; allowed: {', '.join(_DISTRIBUTIONS)}")
    needed, log = _DISTRIBUTIONS[name]
    if lacking := [key for key in needed if key not in spec]:
        raise _Refused(lacking[0], f"is missing; the distribution {name} needs {' and '.join(needed)}")
    if not log and spec.get("log") is True:
        raise _Refused("log", f"is true, but the distribution is {name!r}; keep one of them")


def _check_keys(spec: Mapping[str, Any], allowed: tuple[str, ...]) -> None:
    for key in spec:
        if key not in allowed:
            near = get_close_matches(key, allowed, n=1)
            guess = f"; did you mean {near[0]!r}?" if near else ""
            raise _Refused(key, f"unknown key here{guess}; allowed: {', '.join(allowed)}")


def _choice(spec: Mapping[str, Any]) -> Choice:
    values, weights = spec["choice"], spec.get("weights", [])
    if not isinstance(values, list) or not values:
        raise _Refused("choice", f"is {str(values)[:60]!r}; allowed: a list with at least one value")
    if not isinstance(weights, list) or any(not _is_number(weight) or weight < 0 for weight in weights):
        raise _Refused("weights", "allowed: a list of numbers, none below 0")
    if "weights" in spec and (len(weights) != len(values) or sum(weights) <= 0):
        raise _Refused("weights", f"are {len(weights)}, for {len(values)} values; allowed: one each, not all 0")
    return Choice(values=tuple(values), weights=tuple(float(weight) for weight in weights))


def _range(spec: Mapping[str, Any]) -> Range:
    integer, log = _is_integer(spec), _is_log(spec)
    low, high = (_bound(spec, key, integer=integer) for key in ("low", "high"))
    if low >= high:
        raise _Refused(None, f"low = {low} is not below high = {high}")
    if log and low <= 0:
        raise _Refused("low", f"is {low}; allowed with log: above 0")
    if not math.isfinite(high - low):
        raise _Refused(None, "is too wide")
    step = _step(spec, integer=integer, most=high - low)
    if log and step is not None:
        raise _Refused("step", "does not go with log; num gives evenly spaced values")
    num = _num(spec)
    if num is not None and step is not None:
        raise _Refused("num", "does not go with step; keep one of them")
    made = Range(low=low, high=high, log=log, integer=integer, step=step, num=num)
    if step is not None and count_of(made) > MOST_LISTED:
        raise _Refused("step", f"makes more than {MOST_LISTED} values")
    return made


def _normal(spec: Mapping[str, Any]) -> Normal:
    integer, log = _is_integer(spec), _is_log(spec)
    mean, sd = (_bound(spec, key, integer=False) for key in ("mean", "sd"))
    if sd <= 0:
        raise _Refused("sd", f"is {sd}; allowed: above 0")
    low, high = (_bound(spec, key, integer=integer) if key in spec else None for key in ("low", "high"))
    if low is not None and high is not None and low >= high:
        raise _Refused(None, f"low = {low} is not below high = {high}")
    farthest = abs(mean) + 9 * sd
    if (log and farthest > 700) or (integer and (farthest > 40 if log else farthest >= INT64)):
        raise _Refused("sd", f"is {sd}: values would become too large; {'of the logarithm, ' if log else ''}take less")
    if log and high is not None and high <= 0:
        raise _Refused("high", f"is {high}; allowed with log: above 0")
    step = _step(spec, integer=integer, most=math.inf)
    return Normal(mean=mean, sd=sd, log=log, integer=integer, step=step, low=low, high=high)


def _is_integer(spec: Mapping[str, Any]) -> bool:
    if spec.get("type", "float") not in ("int", "float"):
        raise _Refused("type", f"is {str(spec['type'])[:60]!r}; allowed: 'int', 'float'")
    return bool(spec.get("type") == "int")


def _is_log(spec: Mapping[str, Any]) -> bool:
    if not isinstance(spec.get("log", False), bool):
        raise _Refused("log", f"is {str(spec['log'])[:60]!r}; allowed: true or false")
    return spec.get("log") is True or str(spec.get("distribution", "")).startswith("log-")


def _bound(spec: Mapping[str, Any], key: str, *, integer: bool) -> float:
    if key not in spec:
        raise _Refused(key, "is missing")
    value = spec[key]
    if not _is_number(value) or not math.isfinite(value):
        raise _Refused(key, f"is {str(value)[:60]!r}; allowed: a number")
    if integer and not isinstance(value, int):
        raise _Refused(key, f"is {value}; allowed with type = 'int': a whole number")
    return value if integer else float(value)


def _step(spec: Mapping[str, Any], *, integer: bool, most: float) -> float | None:
    if "step" not in spec:
        return None
    step = _bound(spec, "step", integer=integer)
    if not 0 < step <= most:
        raise _Refused("step", f"is {step}; allowed: above 0, and no more than high - low")
    return step


def _num(spec: Mapping[str, Any]) -> int | None:
    if "num" not in spec:
        return None
    num = spec["num"]
    if isinstance(num, bool) or not isinstance(num, int) or not 2 <= num <= MOST_LISTED:
        raise _Refused("num", f"is {str(num)[:60]!r}; allowed: a whole number from 2 to {MOST_LISTED}")
    return num


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
