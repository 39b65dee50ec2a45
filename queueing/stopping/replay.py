"""What rules would have done to runs that are over, or as far as they are: their histories once more, in order of time.

A run that waits at a rung does not go on in its history either; promoted, it goes on from there, later.
"""

import heapq
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import groupby, pairwise
from operator import attrgetter
from typing import Literal

from queueing.stopping.course import Memory, Report, after, reports
from queueing.stopping.decision import cost
from queueing.stopping.judging import Judgement, Surroundings, judge
from queueing.stopping.rules import Asha, Hyperband, Rung, Stopping
from queueing.stopping.rungs import same_bracket
from queueing.stopping.standing import Standings
from queueing.stopping.threshold import condition_of, metrics_in
from store.courses import Track
from store.judged import Judged, Ruling
from store.matching import matches
from store.metrics import Point, segments, summarize
from store.query import Condition
from store.runs import MetricSummary, Run
from store.states import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Would:
    """What would have become of a run. `stopped`: by which ruling, at what time (s since 1970), after which moment.

    `waited`: how often it would have waited at a rung. Durations in seconds, `steps` as the run counts them. `best`:
    the best value until then, `best_of_all` the best that it reported.
    """

    run: str
    stopped: Ruling | None = None
    at: float | None = None
    resource: float | None = None
    waited: int = 0
    steps: int = 0
    steps_saved: int = 0
    time_s: float = 0.0
    saved_s: float = 0.0
    best: float | None = None
    best_of_all: float | None = None


def names_for(stopping: Stopping, params: frozenset[str]) -> tuple[str, ...]:
    """The series to read: those that are judged, and those that thresholds ask about."""
    asked = (metrics_in(condition_of(rule.when, params)) for rule in stopping.thresholds.values())
    return (*stopping.series, *sorted({name for names in asked for name in names} - set(stopping.series)))


def replay(
    stopping: Stopping, params: frozenset[str], runs: Mapping[str, Run], tracks: Mapping[str, Mapping[str, Track]]
) -> list[Would]:
    """Of every run that has reported something, in the order given. `tracks`: by run and name, with times."""
    return _Replay(stopping, params, runs, tracks).carry_out()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Moment:
    """One line of a run's events: what it reported there."""

    time: float
    attempt: int
    points: tuple[Point, ...]
    report: Report | None


@dataclass(slots=True, kw_only=True)
class _Player:
    """A run on its way through its history. `place`: the moment that comes next; `late_s`: by how much."""

    run: Run
    moments: list[_Moment]
    place: int = 0
    late_s: float = 0.0
    memory: Memory = field(default_factory=Memory)
    judged: Judged = field(default_factory=Judged)
    summary: dict[str, MetricSummary] = field(default_factory=dict)
    stopped_at: float | None = None
    waited: int = 0

    @property
    def is_on_its_way(self) -> bool:
        return self.judged.stopped is None and self.judged.held is None and self.place < len(self.moments)


class _Replay:
    """The runs of one experiment, and a clock."""

    def __init__(
        self,
        stopping: Stopping,
        params: frozenset[str],
        runs: Mapping[str, Run],
        tracks: Mapping[str, Mapping[str, Track]],
    ) -> None:
        self._stopping, self._params = stopping, params
        told = {run_id: list(_moments(stopping, tracks[run_id])) for run_id in runs}
        self._players = {run_id: _Player(run=run, moments=told[run_id]) for run_id, run in runs.items() if told[run_id]}
        self._rungs: dict[float, dict[str, float]] = {}
        self._clock: list[tuple[float, str]] = []
        self._now = 0.0

    def carry_out(self) -> list[Would]:
        for run_id, player in self._players.items():
            heapq.heappush(self._clock, (player.moments[0].time, run_id))
        while self._clock or self._wake(None):
            if not self._clock:
                continue
            self._now, run_id = heapq.heappop(self._clock)
            reached = self._step(run_id, self._players[run_id])
            if reached or not self._players[run_id].is_on_its_way:
                self._wake(reached)
        return [_would(player, self._stopping.direction) for player in self._players.values()]

    def _step(self, run_id: str, player: _Player) -> list[float]:
        """The run's next moment; the rungs that it reaches."""
        moment = player.moments[player.place]
        player.place += 1
        player.summary = summarize(player.summary, segments(moment.points))
        reached = []
        if moment.report is not None:
            player.memory, found = after(player.memory, self._stopping, [moment.report])
            reached = [rung for rung, _ in found]
            for rung, value in found:
                self._rungs.setdefault(rung, {})[run_id] = value
        if reached or self._stopping.thresholds or self._stopping.following:
            hits = self._hits(run_id, player, moment)
            self._heed(player, judge(run_id, player.memory, player.judged, self._stopping, self._around(hits)))
        if player.is_on_its_way:
            heapq.heappush(self._clock, (player.moments[player.place].time + player.late_s, run_id))
        return reached

    def _heed(self, player: _Player, found: Judgement) -> None:
        player.memory = found.memory
        ruling = found.ruling
        if ruling is not None and ruling.hold:
            player.waited += player.judged.held != ruling
            player.judged = replace(player.judged, held=ruling)
        elif ruling is not None:
            player.judged = replace(player.judged, held=None, stopped=ruling)
            player.stopped_at = self._now

    def _wake(self, rungs: Sequence[float] | None) -> bool:
        """Judge again who waits, where somebody else has come; without rungs, because nobody moves any more."""
        moved = False
        around = self._around({})
        for run_id, player in self._players.items():
            held = player.judged.held
            if held is None or (rungs and held.rung not in rungs and self._clock):
                continue
            found = judge(run_id, player.memory, player.judged, self._stopping, around)
            self._heed(player, found)
            moved = moved or (found.ruling != held)
            if found.promoted:
                player.judged = Judged()
                self._go_on(run_id, player)
                around = self._around({})
        return moved

    def _go_on(self, run_id: str, player: _Player) -> None:
        if player.place < len(player.moments):
            last, following = player.moments[player.place - 1].time, player.moments[player.place].time
            player.late_s = self._now - last
            heapq.heappush(self._clock, (following + player.late_s, run_id))

    # ── what is around a run ──
    def _around(self, hits: Mapping[str, frozenset[str]]) -> Surroundings:
        standings = Standings(self._stopping, lambda rung: self._rungs.get(rung, {}), self._fallen)
        return Surroundings(standings=standings, closed=self._closed, hits=hits)

    def _fallen(self) -> dict[str, tuple[float, float]]:
        stopped = {run_id for run_id, player in self._players.items() if player.judged.stopped is not None}
        ordered = sorted(self._rungs.items())
        return {run: (rung, value) for rung, values in ordered for run, value in values.items() if run in stopped}

    def _closed(self, run: str, rule: Rung, rung: float) -> bool:
        asha = isinstance(rule, Asha) or (isinstance(rule, Hyperband) and not rule.synchronous)
        others = (
            other
            for other, player in self._players.items()
            if other != run and player.is_on_its_way and (asha or (player.memory.resource or -math.inf) < rung)
        )
        return not same_bracket(rule, run, others)

    def _hits(self, run_id: str, player: _Player, moment: _Moment) -> dict[str, frozenset[str]]:
        now = datetime.fromtimestamp(moment.time, UTC)
        hit: dict[str, frozenset[str]] = {}
        for name, rule in self._stopping.thresholds.items():
            if matches(self._condition(rule.when, now), _then(player.run, player.summary, now), now):
                hit[name] = frozenset([run_id])
        return hit

    def _condition(self, when: str, now: datetime) -> Condition:
        return condition_of(when, self._params, now)


def _moments(stopping: Stopping, tracks: Mapping[str, Track]) -> Iterator[_Moment]:
    """Lines in order, each with all its points."""
    judged = tuple(tracks[name] for name in stopping.series)
    told = reports(Memory(), stopping, judged) if judged else []
    of_line = dict(zip(zip(judged[0].attempts, judged[0].lines, strict=True), told, strict=True)) if judged else {}
    placed = sorted(
        ((attempt, point) for name, track in tracks.items() for attempt, point in _points(name, track)),
        key=lambda pair: (pair[0], pair[1].line),
    )
    for place, pairs in groupby(placed, key=lambda pair: (pair[0], pair[1].line)):
        points = tuple(point for _, point in pairs)
        yield _Moment(time=points[0].time, attempt=place[0], points=points, report=of_line.get(place))


def _points(name: str, track: Track) -> Iterator[tuple[int, Point]]:
    rows = zip(track.attempts, track.lines, track.steps, track.times, track.values, strict=True)
    for index, (attempt, line, step, time, value) in enumerate(rows):
        yield attempt, Point(name=name, step=step, time=time, value=value, line=line, index=index)


def _then(run: Run, summary: dict[str, MetricSummary], now: datetime) -> Run:
    """The run as it was then."""
    begun = [attempt for attempt in run.history if attempt.started_at <= now]
    history = tuple(replace(a, ended_at=None if a.ended_at and a.ended_at > now else a.ended_at) for a in begun)
    return replace(run, state=State.RUNNING, ended_at=None, ending=None, summary=summary, history=history)


def _would(player: _Player, direction: Literal["min", "max"]) -> Would:
    told = player.moments
    gone = told[: player.place] if player.judged.stopped is not None else told
    return Would(
        run=player.run.id,
        stopped=player.judged.stopped,
        at=player.stopped_at,
        resource=player.memory.resource,
        waited=player.waited,
        steps=_steps(told),
        steps_saved=_steps(told) - _steps(gone),
        time_s=_seconds(told),
        saved_s=_seconds(told) - _seconds(gone),
        best=_best(gone, direction),
        best_of_all=_best(told, direction),
    )


def _best(moments: Sequence[_Moment], direction: Literal["min", "max"]) -> float | None:
    values = [moment.report[1] for moment in moments if moment.report is not None and not math.isnan(moment.report[1])]
    return min(values, key=lambda value: cost(value, direction), default=None)


def _steps(moments: Sequence[_Moment]) -> int:
    return max((point.step for moment in moments for point in moment.points), default=0)


def _seconds(moments: Sequence[_Moment]) -> float:
    """Between the first and the last moment of each attempt."""
    grouped = (list(group) for _, group in groupby(moments, key=attrgetter("attempt")))
    return sum(later.time - earlier.time for group in grouped for earlier, later in pairwise(group))
