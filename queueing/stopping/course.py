"""What is remembered of a run, and how new points change it. Pure: no history is read twice."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from queueing.stopping.decision import cost
from queueing.stopping.following import SAID, follow
from queueing.stopping.rules import REPORTS, STEP, Stopping
from queueing.stopping.rungs import rungs_between
from store.courses import Track


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """`by`: the newest value of the metric that counts resources; `resource`: the greatest so far.

    `rules`: what those that follow the run remember; `judged`: the highest rung at which a rule has let it go on.
    """

    by: float | None = None
    resource: float | None = None
    best: float | None = None
    reports: int = 0
    rules: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    judged: Mapping[str, float] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """As the store keeps it."""
        return asdict(self)

    def says(self, rule: str) -> str:
        """Why a rule that follows the run wants it stopped; empty when it does not."""
        return str(self.rules.get(rule, {}).get(SAID, ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One value of the metric. `resource`: None where `by` has not been reported yet."""

    resource: float | None
    value: float
    time: float


Reached = list[tuple[float, float]]
"""Rungs and the values with which they were reached."""


def advanced(memory: Memory, stopping: Stopping, tracks: tuple[Track, ...]) -> tuple[Memory, Reached]:
    """The memory after these points, of the metric and of what counts resources, and the rungs that were reached."""
    reached: Reached = []
    for report in reports(memory, stopping, tracks):
        memory, passed = after(memory, stopping, report)
        reached += passed
    by = _last_by(tracks)
    return (memory if by is None else replace(memory, by=by)), reached


def reports(memory: Memory, stopping: Stopping, tracks: tuple[Track, ...]) -> Iterator[Report]:
    """The points of the metric, each with its resource: the newest value of `by` on its line or before."""
    track = tracks[0]
    counts = list(zip(tracks[1].attempts, tracks[1].lines, tracks[1].values, strict=True)) if len(tracks) > 1 else []
    by, place, number = memory.by, 0, memory.reports
    for index, value in enumerate(track.values):
        position = (track.attempts[index], track.lines[index])
        while place < len(counts) and counts[place][:2] <= position:
            by, place = counts[place][2], place + 1
        number += 1
        resource = {STEP: float(track.steps[index]), REPORTS: float(number)}.get(stopping.by, by)
        known = resource is not None and math.isfinite(resource)
        yield Report(resource=resource if known else None, value=value, time=track.times[index])


def after(memory: Memory, stopping: Stopping, report: Report) -> tuple[Memory, Reached]:
    """The memory after one report."""
    best = memory.best
    if not math.isnan(report.value):
        better = best is None or cost(report.value, stopping.direction) < cost(best, stopping.direction)
        best = report.value if better else best
    rules = {
        name: follow(name, rule, stopping, memory.rules.get(name, {}), report.resource, report.value)
        for name, rule in stopping.following.items()
    }
    new = replace(memory, best=best, reports=memory.reports + 1, rules=rules)
    if report.resource is None or (memory.resource is not None and report.resource <= memory.resource):
        return new, []
    before = -math.inf if memory.resource is None else memory.resource
    value = report.value if stopping.value == "last" or math.isnan(report.value) or best is None else best
    return replace(new, resource=report.resource), [(rung, value) for rung in passed(stopping, before, report.resource)]


def passed(stopping: Stopping, before: float, now: float) -> list[float]:
    """The rungs of all rules above `before` and up to `now`."""
    return sorted({rung for rule in stopping.ladders.values() for rung in rungs_between(rule, before, now)})


def _last_by(tracks: tuple[Track, ...]) -> float | None:
    return tracks[1].values[-1] if len(tracks) > 1 and tracks[1].values else None
