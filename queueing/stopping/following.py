"""Rules that follow one run by itself: each a fold over its values, from what it remembers to what it says. Pure."""

import math
from collections.abc import Mapping
from typing import Any

from queueing.stopping.decision import cost
from queueing.stopping.rules import Following, Minimum, MovingAverage, Patience, Stopping

Memory = Mapping[str, Any]
SAID = "said"
"""Where a rule that has said stop remembers why; from then on it remembers nothing else."""


def follow(name: str, rule: Following, stopping: Stopping, memory: Memory, at: float | None, value: float) -> Memory:
    """The memory after one more report of the metric; `at`: the resource, None where it is not known."""
    if SAID in memory:
        return memory
    found = cost(value, stopping.direction)
    if isinstance(rule, Patience):
        return memory if at is None else _patience(name, rule, stopping, memory, at, found)
    if isinstance(rule, MovingAverage):
        return _moving_average(name, rule, stopping, memory, found)
    return _minimum(name, rule, stopping, memory, found)


def _patience(name: str, rule: Patience, stopping: Stopping, memory: Memory, at: float, found: float) -> Memory:
    best, since = memory.get("best", math.inf), memory.get("since", at)
    if found < best - rule.delta or (math.isinf(best) and found < best):
        return {"best": found, "since": at}
    if at - since < rule.patience or at < rule.grace:
        return {"best": best, "since": since}
    than = f"{_shown(best, stopping)} of {stopping.by} {since:g}"
    more = f" by more than {rule.delta:g}" if rule.delta else ""
    return {SAID: f"{name}: until {stopping.by} {at:g} no {stopping.metric} better than the {than}{more}"}


def _moving_average(name: str, rule: MovingAverage, stopping: Stopping, memory: Memory, found: float) -> Memory:
    """Eq. 4.1: J_t > mean of the N losses before; those before the first report are infinite."""
    recent: list[float] = list(memory.get("recent", ()))
    if len(recent) == rule.patience and found > (mean := sum(recent) / rule.patience):
        said = f"{stopping.metric} {_shown(found, stopping)} is worse than {_shown(mean, stopping)}"
        return {SAID: f"{name}: {said}, the mean of the {rule.patience} reports before"}
    return {"recent": [*recent, found][-rule.patience :]}


def _minimum(name: str, rule: Minimum, stopping: Stopping, memory: Memory, found: float) -> Memory:
    """Eq. 4.4: J_t > (1 - alpha) J_min, and k > N for a minimum that is k reports old."""
    best: float = memory.get("best", math.inf)
    age: int = memory.get("age", 0) + 1
    if age > rule.patience and found > (1 - rule.alpha) * best:
        limit = f"{1 - rule.alpha:g} of the {best:.6g} of {age} reports ago"
        return {SAID: f"{name}: {stopping.metric} {found:.6g} is above {limit}"}
    return {"best": found, "age": 0} if found < best else {"best": best, "age": age}


def _shown(found: float, stopping: Stopping) -> str:
    return f"{found if stopping.direction == 'min' else -found:.6g}"
