"""What is remembered of a run, and how new points change it. Pure: no history is read twice."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
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
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    def says(self, rule: str) -> str:
        """Why a rule that follows the run wants it stopped; empty when it does not."""
        return str(self.rules.get(rule, {}).get(SAID, ""))


Report = tuple[float | None, float]
"""Resource and value of one report of the metric; the resource is None where `by` has not been reported yet."""
Reached = list[tuple[float, float]]
"""Rungs and the values with which they were reached."""


def advanced(memory: Memory, stopping: Stopping, tracks: tuple[Track, ...]) -> tuple[Memory, Reached]:
    """The memory after these points, of the metric and of what counts resources, and the rungs that were reached."""
    new, reached = after(memory, stopping, reports(memory, stopping, tracks))
    by = _last_by(tracks)
    return (new if by is None else replace(new, by=by)), reached


def reports(memory: Memory, stopping: Stopping, tracks: tuple[Track, ...]) -> list[Report]:
    """The points of the metric, each with its resource: the newest value of `by` on its line or before."""
    track = tracks[0]
    if stopping.by == STEP:
        return [(float(step), value) for step, value in zip(track.steps, track.values, strict=True)]
    if stopping.by == REPORTS:
        return [(float(number), value) for number, value in enumerate(track.values, memory.reports + 1)]
    counts = tracks[1]
    places = list(zip(counts.attempts, counts.lines, strict=True))
    found: list[Report] = []
    by, place = memory.by, 0
    for position, value in zip(zip(track.attempts, track.lines, strict=True), track.values, strict=True):
        while place < len(places) and places[place] <= position:
            by, place = counts.values[place], place + 1
        found.append((by if by is not None and math.isfinite(by) else None, value))
    return found


def after(memory: Memory, stopping: Stopping, new: Sequence[Report]) -> tuple[Memory, Reached]:
    """The memory after these reports. One loop for all of them: a run may report a million times."""
    highest = max((resource for resource, _ in new if resource is not None), default=-math.inf)
    resource = -math.inf if memory.resource is None else memory.resource
    rungs = passed(stopping, resource, highest)
    best = cost(memory.best, stopping.direction) if memory.best is not None else math.inf
    least, last, place = memory.best, stopping.value == "last", 0
    sign = 1.0 if stopping.direction == "min" else -1.0
    reached: Reached = []
    for at, value in new:
        if sign * value < best:
            best, least = sign * value, value
        elif least is None and value == value:
            least = value  # infinite from the beginning
        if at is not None and at > resource:
            resource = at
            while place < len(rungs) and rungs[place] <= at:
                reached.append((rungs[place], value if last or value != value or least is None else least))
                place += 1
    found = replace(
        memory,
        best=least,
        reports=memory.reports + len(new),
        resource=None if math.isinf(resource) else resource,
        rules=_followed(memory, stopping, new),
    )
    return found, reached


def _followed(memory: Memory, stopping: Stopping, new: Sequence[Report]) -> dict[str, Mapping[str, Any]]:
    rules: dict[str, Mapping[str, Any]] = {}
    for name, rule in stopping.following.items():
        known = memory.rules.get(name, {})
        for at, value in new:
            if SAID in known:
                break
            known = follow(name, rule, stopping, known, at, value)
        rules[name] = known
    return rules


def passed(stopping: Stopping, before: float, now: float) -> list[float]:
    """The rungs of all rules above `before` and up to `now`."""
    return sorted({rung for rule in stopping.ladders.values() for rung in rungs_between(rule, before, now)})


def _last_by(tracks: tuple[Track, ...]) -> float | None:
    return tracks[1].values[-1] if len(tracks) > 1 and tracks[1].values else None
