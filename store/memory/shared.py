"""What every part of the twin holds: the documents, and a lock that stands in for the transaction."""

import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from store.allocations import Allocation
from store.courses import Course, Reached
from store.deliveries import Sending
from store.errors import Superseded
from store.events import Event
from store.experiments import Experiment
from store.findings import Diagnosis
from store.metrics import LogChunk, Point
from store.notices import Notice
from store.occasions import Occasion
from store.remedies import Remedy
from store.rules import Mute, RuleBook
from store.runs import Artifact, Checkpoint, Run
from store.samples import Peaks, Sample
from store.spans import Pace
from store.states import State
from store.studies import Study, Trial
from store.telling import Owed, Remembered
from store.views import View
from store.workers import Drain, Worker


@dataclass(frozen=True, slots=True)
class Held:
    owner: str
    until: datetime
    since: datetime
    taken: datetime


class Shared:
    """State and the writes that several parts share."""

    def __init__(self, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.now = clock
        self._lock = threading.RLock()
        self._runs: dict[str, Run] = {}
        self._importing: dict[str, str] = {}
        self._experiments: dict[str, Experiment] = {}
        self._blobs: dict[str, str] = {}
        self._points: dict[str, list[tuple[int, Point]]] = defaultdict(list)
        self._output: dict[tuple[str, int], list[LogChunk]] = defaultdict(list)
        self._checkpoints: dict[str, list[tuple[Checkpoint, dict[str, bytes]]]] = defaultdict(list)
        self._artifacts: dict[tuple[str, str], tuple[Artifact, bytes]] = {}
        self._outbox: dict[str, Notice] = {}
        self._sending: dict[str, Sending] = {}
        self._locks: dict[str, Held] = {}
        self._workers: dict[str, Worker] = {}
        self._drains: dict[str, Drain] = {}
        self._allocations: dict[str, Allocation] = {}
        self._events: list[Event] = []
        self._owed: dict[str, Owed] = {}
        self._remembered: dict[str, Remembered] = {}
        self._books: dict[str, RuleBook] = {}
        self._mutes: dict[str, Mute] = {}
        self._samples: dict[str, list[tuple[Sample, datetime]]] = defaultdict(list)
        self._peaks: dict[str, Peaks] = defaultdict(Peaks)
        self._paces: dict[str, tuple[Pace, ...]] = {}
        self._views: dict[tuple[str, str], View] = {}
        self._metric_names: dict[str, set[str]] = defaultdict(set)
        self._param_names: dict[str, set[str]] = defaultdict(set)
        self._diagnoses: dict[str, Diagnosis] = {}
        self._cases: dict[str, int] = {}
        self._to_treat: set[str] = set()
        self._remedies: dict[str, Remedy] = {}
        self._courses: dict[str, Course] = {}
        self._rungs: dict[tuple[str, float], Reached] = {}
        self._studies: dict[str, Study] = {}
        self._trials: dict[tuple[str, int], Trial] = {}

    def close(self) -> None:
        """Nothing to give back."""

    def _put(self, run: Run) -> Run:
        self._runs[run.id] = run
        return run

    def _held(self, run_id: str, attempt: int) -> Run:
        run = self._runs.get(run_id)
        holds = run is not None and (run.state is State.RUNNING or run_id in self._importing)
        if run is None or run.attempt != attempt or not holds:
            raise Superseded(f"run {run_id}: attempt {attempt} no longer holds it")
        return run

    def _record(self, run: Run, event: str, owed: Occasion | None = None, **said: Any) -> None:
        made = Event(run=run.id, attempt=run.attempt, event=event, at=self.now(), **said)
        self._events.append(made)
        if owed is not None:
            number = str(len(self._events))
            self._owed[number] = Owed(
                id=number, about=owed, event=made, experiment=run.experiment, owner=run.owner, notify=run.notify
            )


def _age(run: Run) -> tuple[datetime, int]:
    return run.queued_at, run.index


def best_first(run: Run) -> tuple[int, datetime, int]:
    return -run.priority, run.queued_at, run.index


def claimable(run: Run, now: datetime) -> bool:
    return run.state is State.QUEUED and (run.not_before is None or run.not_before <= now)


def is_held(run: Run) -> bool:
    return run.state is State.PAUSED and run.judged.held is not None


def light(run: Run) -> Run:
    return replace(run, provenance={}, history=run.history[-1:])
