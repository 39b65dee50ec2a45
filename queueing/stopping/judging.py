"""What all rules together say of one run. Pure, but for the values of siblings, which it asks for when needed."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from queueing.stopping.course import Memory
from queueing.stopping.decision import Decision, Verdict
from queueing.stopping.ladder import AtRung, at_rung
from queueing.stopping.rules import Rung, Stopping
from queueing.stopping.rungs import rungs_between
from queueing.stopping.standing import Standings
from store.judged import Judged, Ruling


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """`closed(run, rule, rung)`: nobody can come to this rung any more. `hits`: of each threshold, those it hits."""

    standings: Standings
    closed: Callable[[str, Rung, float], bool] = lambda _run, _rule, _rung: False
    hits: Mapping[str, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """`memory`: with the rungs that were passed. `ruling`: it is to stop or to wait; with `promoted`: to go on."""

    memory: Memory
    ruling: Ruling | None = None
    promoted: str = ""


def judge(run: str, memory: Memory, judged: Judged, stopping: Stopping, around: Surroundings) -> Judgement:
    """Of a run that is running or waits at a rung. The first rule that wants it stopped stops it; then one may hold it.

    A person's word counts more than any rule.
    """
    if judged.held is None and (said := _stopped_by_itself(run, memory, judged, stopping, around)) is not None:
        return Judgement(memory=memory, ruling=said)
    if judged.held is not None and judged.held.rule not in stopping.ladders:
        return Judgement(memory=memory, promoted=f"there is no rule {judged.held.rule} any more")
    held: Ruling | None = None
    promoted = ""
    for name, rule in stopping.ladders.items():
        waits_at = judged.held.rung if judged.held is not None and judged.held.rule == name else None
        if judged.held is not None and waits_at is None:
            continue  # it waits for another rule's rung
        memory, ruling, said_to_go = _climb(run, name, rule, memory, judged, waits_at, stopping, around)
        promoted = promoted or said_to_go
        if ruling is not None and not ruling.hold:
            return Judgement(memory=memory, ruling=ruling)
        held = held or ruling
    if held is not None and judged.held is not None and held.rung == judged.held.rung:
        return Judgement(memory=memory, ruling=judged.held)  # as before, with the reason of before
    return Judgement(memory=memory, ruling=held, promoted=promoted if held is None else "")


def _stopped_by_itself(
    run: str, memory: Memory, judged: Judged, stopping: Stopping, around: Surroundings
) -> Ruling | None:
    for name in stopping.following:
        if (said := memory.says(name)) and not judged.is_overruled(name, None):
            return Ruling(rule=name, because=said)
    for name, rule in stopping.thresholds.items():
        if run in around.hits.get(name, ()) and not judged.is_overruled(name, None):
            return Ruling(rule=name, because=f"{name}: {rule.when}")
    return None


def _climb(
    run: str, name: str, rule: Rung, memory: Memory, judged: Judged, waits_at: float | None,
    stopping: Stopping, around: Surroundings,
) -> tuple[Memory, Ruling | None, str]:  # fmt: skip
    """Up the rungs that the run has reached and not been judged at: until one stops or holds it."""
    if memory.resource is None:
        return memory, None, ""
    promoted = ""
    for rung in rungs_between(rule, memory.judged.get(name, -math.inf), memory.resource, run):
        decision = _at(run, name, rule, rung, judged, waits=rung == waits_at, stopping=stopping, around=around)
        if decision is not None and decision.verdict in (Verdict.STOP, Verdict.PAUSE):
            hold = decision.verdict is Verdict.PAUSE
            return memory, Ruling(rule=name, rung=rung, hold=hold, because=decision.because), promoted
        memory = replace(memory, judged={**memory.judged, name: rung})
        if decision is not None and decision.verdict is Verdict.PROMOTE:
            promoted = decision.because
    if waits_at is not None and not promoted:  # let go before, by somebody who was killed before saying so
        promoted = f"{name}: goes on from {stopping.by} {waits_at:g}"
    return memory, None, promoted


def _at(
    run: str, name: str, rule: Rung, rung: float, judged: Judged, *, waits: bool, stopping: Stopping,
    around: Surroundings,
) -> Decision | None:  # fmt: skip
    """None: a person has said that it goes on, or it is unknown with which value it came."""
    standing = around.standings.at(run, rule, rung)
    if judged.is_overruled(name, rung) or run not in standing.values:
        return None
    at = AtRung(run=run, rung=rung, standing=standing, waits=waits, closed=around.closed(run, rule, rung))
    return at_rung(name, rule, stopping, at)
