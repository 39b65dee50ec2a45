"""The round that decides: in any living worker, also while it is busy, one at a time under a short lease.

    watched runs ─► their new points ─► courses, rungs ─► judgements ─► courses (kept first) ─► changes, with reasons

What was decided is kept, under the version that was read, before it is carried out. So of two that decide at once one
prevails, and what a killed one had decided the next one carries out. Doing it twice is harmless.
"""

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from queueing.doorbell import Doorbell
from queueing.people import carry_out
from queueing.stopping.course import Memory
from queueing.stopping.judging import Judgement, Surroundings, judge
from queueing.stopping.reading import stopping_of
from queueing.stopping.reading_runs import Read, Seen, read_runs
from queueing.stopping.rules import Asha, Hyperband, Rung, Stopping
from queueing.stopping.rungs import bracket_of, same_bracket
from queueing.stopping.standing import Standings
from queueing.stopping.threshold import condition_of
from store.changes import Change
from store.experiments import Experiment
from store.judged import Ruling
from store.logbook import warn
from store.rulings import Apply, held_back, promoted, ruled_out
from store.settings import Settings
from store.states import ENDED, State
from store.store import RunQuery, Store

UNREAD_AT_MOST = 200
"""Runs that have ended, read in one round."""
CHANGED_AT_MOST = 100
"""Runs stopped, held or promoted in one round; what was decided about others is kept, and done in the next."""
BY = "stopping rules"


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What one round did, by run ids. `unfinished`: the next one should follow soon."""

    stopped: tuple[str, ...] = ()
    held: tuple[str, ...] = ()
    promoted: tuple[str, ...] = ()
    unfinished: bool = False


def judge_runs(store: Store, doorbell: Doorbell, settings: Settings, owner: str) -> Round | None:
    """One round, or None when there are no rules or somebody else is at it. Raises StoreUnavailable, StoreFailed."""
    rules = dict(_understood(store.ruled()))
    if not rules or store.lock("stopping", owner, settings.repair_s, gap_s=settings.repair_s) is None:
        return None
    deadline = time.monotonic() + settings.renew_s / 2
    watched = store.watched(list(rules), UNREAD_AT_MOST)
    full = sum(run.judged.unread for run in watched) >= UNREAD_AT_MOST
    read = read_runs(store, rules, watched, deadline)
    read = replace(read, unfinished=read.unfinished or full)
    done = _carry_out(store, doorbell, _kept(store, list(_verdicts(store, rules, read))))
    over = [seen.run for seen in read.seen if seen.run.judged.unread and seen.run.state is not State.RUNNING]
    never = [run for run in watched if run.shipped.attempt == 0 and run.judged.unread]
    store.mark_read([(run.id, run.attempt) for run in (*over, *never)])
    return replace(done, unfinished=read.unfinished or done.unfinished)


def let_go(store: Store, doorbell: Doorbell, experiment: str) -> None:
    """An experiment has no rules any more: what waits at their rungs goes on."""
    held = [run.id for run in store.watched([experiment], 0) if run.judged.held is not None]
    if held:
        carry_out(store, doorbell, held, Change(name="resume", apply=promoted, by=BY, because="there are no rules now"))


def _understood(experiments: Sequence[Experiment]) -> Iterator[tuple[str, Stopping]]:
    for experiment in experiments:
        try:
            yield experiment.name, stopping_of(experiment.stopping or {})
        except ValueError as error:
            warn("rules-not-understood", experiment=experiment.name, error=error)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verdict:
    """What was decided about a run. `is_new`: it is not stored like this yet. `ruling`: what stays decided."""

    seen: Seen
    judgement: Judgement
    is_new: bool
    ruling: Ruling | None


def _verdicts(store: Store, rules: Mapping[str, Stopping], read: Read) -> Iterator[_Verdict]:
    of_experiment: dict[str, list[Seen]] = defaultdict(list)
    for seen in read.seen:
        of_experiment[seen.run.experiment].append(seen)
    for experiment, some in of_experiment.items():
        around = Siblings(store, experiment, rules[experiment], some, complete=not read.unfinished).surroundings()
        yield from (_verdict(seen, rules[experiment], around) for seen in some)


def _verdict(seen: Seen, stopping: Stopping, around: Surroundings) -> _Verdict:
    """Runs that have ended, or whom somebody has asked to leave, are not judged any more."""
    run, course = seen.run, seen.course
    memory = Memory(**course.memory)
    if run.state in ENDED or (run.judged.held is None and (run.wish is not None or run.state is not State.RUNNING)):
        return _Verdict(seen=seen, judgement=Judgement(memory=memory), is_new=seen.is_new, ruling=course.ruling)
    pending = course.ruling
    if pending is not None and run.judged.held is None and not run.judged.is_overruled(pending.rule, pending.rung):
        found = Judgement(memory=memory, ruling=pending)
        return _Verdict(seen=seen, judgement=found, is_new=seen.is_new, ruling=pending)
    found = judge(run.id, memory, run.judged, stopping, around)
    is_new = seen.is_new or found.memory != memory or found.ruling != pending
    return _Verdict(seen=seen, judgement=found, is_new=is_new, ruling=found.ruling)


# ── keeping and carrying out ──
def _kept(store: Store, verdicts: Sequence[_Verdict]) -> list[_Verdict]:
    """Those that stand: kept now, or as they were before."""
    new = [
        replace(one.seen.course, memory=one.judgement.memory.as_dict(), ruling=one.ruling)
        for one in verdicts
        if one.is_new
    ]
    saved = store.save_courses(new) if new else set()
    return [one for one in verdicts if not one.is_new or one.seen.run.id in saved]


def _carry_out(store: Store, doorbell: Doorbell, verdicts: Sequence[_Verdict]) -> Round:
    rulings = {one.seen.run.id: one.judgement.ruling for one in verdicts if one.judgement.ruling is not None}
    known = {one.seen.run.id: one.seen.run.judged for one in verdicts}
    stops = {run: ruling for run, ruling in rulings.items() if not ruling.hold}
    holds = {run: ruling for run, ruling in rulings.items() if ruling.hold and known[run].held != ruling}
    goes_on = {one.seen.run.id: one.judgement.promoted for one in verdicts if one.judgement.promoted}

    def change(name: str, apply: Apply, reasons: Mapping[str, str]) -> tuple[str, ...]:
        if not reasons:
            return ()
        asked = Change(name=name, apply=apply, by=BY, reasons=reasons)
        return tuple(run.id for run in carry_out(store, doorbell, list(reasons)[:CHANGED_AT_MOST], asked).runs)

    return Round(
        stopped=change("stop", ruled_out(stops), _reasons(stops)),
        held=change("pause", held_back(holds), _reasons(holds)),
        promoted=change("resume", promoted, goes_on),
        unfinished=max(len(stops), len(holds), len(goes_on)) > CHANGED_AT_MOST,
    )


def _reasons(rulings: Mapping[str, Ruling]) -> dict[str, str]:
    return {run: ruling.because for run, ruling in rulings.items()}


# ── what is around a run ──
class Siblings:
    """The other runs of an experiment, looked up when a rule asks for them, once a round."""

    def __init__(
        self, store: Store, experiment: str, stopping: Stopping, seen: Sequence[Seen], *, complete: bool
    ) -> None:
        self._store, self._experiment, self._stopping = store, experiment, stopping
        self._complete = complete
        self._resources = {
            one.run.id: Memory(**one.course.memory).resource
            for one in seen
            if one.run.state is State.RUNNING and one.run.judged.held is None
        }
        self._running = sum(one.run.state is State.RUNNING for one in seen)
        self._nobody_else: bool | None = None
        self._waited_for: dict[tuple[int, float], frozenset[str]] = {}
        self._stopped: Mapping[str, tuple[float, float]] | None = None

    def surroundings(self) -> Surroundings:
        """As the rules want them."""
        standings = Standings(self._stopping, self._reached, self._fallen)
        return Surroundings(standings=standings, closed=self._closed, hits=self._hits())

    def _reached(self, rung: float) -> Mapping[str, float]:
        return self._store.reached(self._experiment, rung)

    def _fallen(self) -> Mapping[str, tuple[float, float]]:
        if self._stopped is None:
            self._stopped = self._store.fallen(self._experiment)
        return self._stopped

    def _closed(self, run: str, rule: Rung, rung: float) -> bool:
        """With ASHA: nothing runs that could change anything. With halving: nobody is still below the rung."""
        if not self._all_are_seen():
            return False
        below = self._below(run, rule, rung)
        return len(below) == (run in below)

    def _below(self, run: str, rule: Rung, rung: float) -> frozenset[str]:
        """Whom those at the rung wait for."""
        bracket = bracket_of(rule, run) if isinstance(rule, Hyperband) else -1
        if (bracket, rung) not in self._waited_for:
            asha = isinstance(rule, Asha) or (isinstance(rule, Hyperband) and not rule.synchronous)
            late = {one for one, at in self._resources.items() if asha or at is None or at < rung}
            self._waited_for[bracket, rung] = frozenset(same_bracket(rule, run, late))
        return self._waited_for[bracket, rung]

    def _all_are_seen(self) -> bool:
        """No run waits in the queue, and of those that run none has escaped our look."""
        if self._nobody_else is None:
            afoot = self._store.afoot(self._experiment)
            self._nobody_else = self._complete and not afoot.queued and afoot.running == self._running
        return self._nobody_else

    def _hits(self) -> dict[str, frozenset[str]]:
        if not self._stopping.thresholds or not self._resources:
            return {}
        params = self._store.names((self._experiment,)).params
        return {name: self._running_where(rule.when, params) for name, rule in self._stopping.thresholds.items()}

    def _running_where(self, when: str, params: frozenset[str]) -> frozenset[str]:
        asked = RunQuery(
            experiment=self._experiment, states=(State.RUNNING,), where=condition_of(when, params, self._store.now())
        )
        return frozenset(self._store.run_ids(asked))
