"""Where rules judge: rungs of a ladder, and the bracket of Hyperband that a run is dealt into. Pure."""

import hashlib
import math
from collections.abc import Iterable, Iterator
from functools import lru_cache

from queueing.stopping.rules import Hyperband, Median, Percentile, Rung

MOST_RUNGS = 1000
"""Of a rule without an end: a run is not judged any more after so many."""


def rungs_between(rule: Rung, after: float, upto: float, run_id: str | None = None) -> list[float]:
    """The rungs above `after`, up to and with `upto`: of the run's bracket, or without a run of all brackets."""
    return [rung for rung in _until(_rungs(rule, run_id), upto) if rung > after]


@lru_cache(maxsize=100)
def brackets(rule: Hyperband) -> list[list[float]]:
    """The rungs of each bracket, the one that begins first in front; those of the last are none."""
    steps = 0
    while rule.max / rule.eta ** (steps + 1) >= rule.min * (1 - 1e-9):
        steps += 1
    return [[rule.max / rule.eta**j for j in range(s, 0, -1)] for s in range(steps, -1, -1)]


@lru_cache(maxsize=100)
def shares(rule: Hyperband) -> list[float]:
    """Which part of the runs begins in each bracket: n_s = ceil((s_max + 1) / (s + 1) · eta^s), as in the paper."""
    s_max = len(brackets(rule)) - 1
    sizes = [math.ceil((s_max + 1) / (s + 1) * rule.eta**s) for s in range(s_max, -1, -1)]
    return [size / sum(sizes) for size in sizes]


@lru_cache(maxsize=100_000)
def bracket_of(rule: Hyperband, run_id: str) -> int:
    """By a hash of the run: whatever else is in the experiment, and whenever it came."""
    drawn = int.from_bytes(hashlib.sha256(f"bracket {run_id}".encode()).digest()[:8]) / 2**64
    for number, share in enumerate(shares(rule)):
        if drawn < share:
            return number
        drawn -= share
    return len(brackets(rule)) - 1


def same_bracket(rule: Rung, run_id: str, others: Iterable[str]) -> set[str]:
    """Those that a run is compared with; without brackets all."""
    if not isinstance(rule, Hyperband):
        return set(others)
    mine = bracket_of(rule, run_id)
    return {other for other in others if bracket_of(rule, other) == mine}


def _rungs(rule: Rung, run_id: str | None) -> Iterator[float]:
    if isinstance(rule, Hyperband):
        every = brackets(rule)
        yield from every[0 if run_id is None else bracket_of(rule, run_id)]
    elif isinstance(rule, Percentile | Median):
        every_so_much = rule.every or rule.grace
        yield from (rule.grace + number * every_so_much for number in range(MOST_RUNGS))
    else:
        for number in range(MOST_RUNGS):
            rung = rule.min * rule.eta**number
            if rule.max is not None and rung >= rule.max:
                return
            yield rung


def _until(rungs: Iterator[float], upto: float) -> Iterator[float]:
    for rung in rungs:
        if rung > upto:
            return
        yield rung
