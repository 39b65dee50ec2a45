"""What a rule says of a run at a rung, from the values with which runs have reached it. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from queueing.stopping.decision import KEEP, Decision, Verdict, cost, ordinal
from queueing.stopping.rules import Asha, Halving, Hyperband, Median, Percentile, Rung, Stopping
from queueing.stopping.standing import Standing


@dataclass(frozen=True, slots=True, kw_only=True)
class AtRung:
    """A run at a rung. `standing`: of all runs that it is compared with, itself included.

    `waits`: it waits here already. `closed`: no further run can come, as far as anybody knows.
    """

    run: str
    rung: float
    standing: Standing
    waits: bool = False
    closed: bool = False


def at_rung(name: str, rule: Rung, stopping: Stopping, at: AtRung) -> Decision:
    """KEEP or STOP; of rules that let runs wait also PAUSE and PROMOTE."""
    if isinstance(rule, Percentile | Median):
        return _percentile(name, rule, stopping, at)
    if isinstance(rule, Halving) or (isinstance(rule, Hyperband) and rule.synchronous):
        return _halving(name, rule, stopping, at)
    return _asha_waiting(name, rule, stopping, at) if rule.promote else _asha(name, rule, stopping, at)


def _asha(name: str, rule: Asha | Hyperband, stopping: Stopping, at: AtRung) -> Decision:
    """Judged once, when it comes: among the best 1/eta of those that came before, at least one."""
    rank, room = at.standing.ranks[at.run], max(1, _share(rule, at))
    if rank < room:
        return KEEP
    return Decision(verdict=Verdict.STOP, because=_because(name, stopping, at, rank, room))


def _asha_waiting(name: str, rule: Asha | Hyperband, stopping: Stopping, at: AtRung) -> Decision:
    """Judged again whenever others come: room grows. When nobody can come any more at least one goes on."""
    rank, room = at.standing.ranks[at.run], _share(rule, at)
    if rank < room or (at.closed and rank < max(1, room)):
        return _go_on(name, stopping, at, rank, max(1, room))
    verdict = Verdict.STOP if at.closed and at.waits else Verdict.PAUSE
    return Decision(verdict=verdict, because=_because(name, stopping, at, rank, room))


def _halving(name: str, rule: Halving | Hyperband, stopping: Stopping, at: AtRung) -> Decision:
    """Nobody goes on before the last has come."""
    rank, room = at.standing.ranks[at.run], max(1, _share(rule, at))
    if not at.closed:
        come = len(at.standing.values)
        text = f"{name}: {_own(stopping, at)}; the best 1/{rule.eta:g} go on when all have come, {come} have"
        return Decision(verdict=Verdict.PAUSE, because=text)
    if rank < room:
        return _go_on(name, stopping, at, rank, room)
    return Decision(verdict=Verdict.STOP, because=_because(name, stopping, at, rank, room))


def _percentile(name: str, rule: Percentile | Median, stopping: Stopping, at: AtRung) -> Decision:
    """Against the others: strictly worse than their percentile."""
    others = [found for found, run in at.standing.ordered if run != at.run]
    if len(others) < rule.siblings:
        return KEEP
    percent = rule.percentile if isinstance(rule, Percentile) else 50.0
    limit = percentile(others, percent)
    if cost(at.standing.values[at.run], stopping.direction) <= limit:
        return KEEP
    shown = limit if stopping.direction == "min" else -limit
    what = "the median" if percent == 50 else f"what the best {percent:g} % have"
    text = f"{name}: {_own(stopping, at)} is worse than {shown:.6g}, {what} of {len(others)} others there"
    return Decision(verdict=Verdict.STOP, because=text)


def percentile(costs: Sequence[float], percent: float) -> float:
    """Of sorted costs, with linear interpolation between two; infinite ones are allowed."""
    position = (len(costs) - 1) * percent / 100
    low = math.floor(position)
    part = position - low
    if part == 0:
        return costs[low]
    return costs[low] + part * (costs[low + 1] - costs[low]) if math.isfinite(costs[low + 1]) else costs[low + 1]


def _share(rule: Asha | Halving | Hyperband, at: AtRung) -> int:
    return math.floor(len(at.standing.values) / rule.eta + 1e-9)


def _go_on(name: str, stopping: Stopping, at: AtRung, rank: int, room: int) -> Decision:
    verdict = Verdict.PROMOTE if at.waits else Verdict.KEEP
    return Decision(verdict=verdict, because=_because(name, stopping, at, rank, room))


def _own(stopping: Stopping, at: AtRung) -> str:
    return f"{stopping.metric} {at.standing.values[at.run]:.6g} at {stopping.by} {at.rung:g}"


def _because(name: str, stopping: Stopping, at: AtRung, rank: int, room: int) -> str:
    place = f"{ordinal(rank + 1)} of {len(at.standing.values)}"
    go_on = {0: "nobody goes on yet", 1: "the best one goes on"}.get(room, f"the best {room} go on")
    return f"{name}: {_own(stopping, at)} is {place}; {go_on}"
