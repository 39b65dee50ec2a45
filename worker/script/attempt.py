"""One attempt inside somebody's own script, in the process that supervises it."""

import math
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, cast

from notify.looking.looker import Looker
from queueing.doorbell import Doorbell
from queueing.git import snapshot
from store.connect import connect, redis_url
from store.errors import LabqError, StoreUnavailable
from store.logbook import warn
from store.runs import Attempt, Notify, Run
from store.settings import Settings
from store.states import State
from store.store import Store
from store.workers import Worker
from worker.child import Child
from worker.claiming import Claimed, gpus_here
from worker.gpus import Gpu
from worker.horse import Outcome
from worker.launch import Launch
from worker.packages import Packages
from worker.quick_start import Proven
from worker.rounds import Rounds
from worker.script.around import Around
from worker.script.entering import STARTED, Entrance, enter, record
from worker.script.own_store import OwnStore
from worker.script.places import scripts_dir
from worker.script.unsent import note_run
from worker.script.wanted import OCCASIONS, Wanted, key_for, literal, run_for, task_for
from worker.station import MakeChild, OwnScript, Station
from worker.stopping import Requests
from worker.supervisor import Supervisor
from worker.term import Term
from worker.tickets import Tickets

_RETRY_S, _LAST_TRY_S = 0.5, 2.0


class IfAway(StrEnum):
    """What to do when MongoDB does not answer at the beginning."""

    RUN = "run"
    """Begin at once; the run is recorded when MongoDB is back."""
    WAIT = "wait"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """How a programme is started, and what is told to whom. `tell`: once the run is known, or known to be spooled.

    `root`: as OwnScript has it.
    """

    make_child: Callable[[Requests], MakeChild]
    tell: Callable[[Run, bool], None]
    was_interrupted: Callable[[], bool]
    if_away: IfAway | None = None
    root: int | None = None


def _gpus_of_the_script() -> tuple[Gpu, ...]:
    """To be looked at: those that it may see, where a scheduler or its user has said so."""
    if not os.environ.get("CUDA_VISIBLE_DEVICES"):
        return ()
    with suppress(LabqError):
        return gpus_here("auto")
    return ()


class OwnAttempt:
    """Enters, supervises, and says what was left unsaid."""

    def __init__(
        self, settings: Settings, wanted: Wanted, job: Around | None, worker: Worker, term: Term, ways: Ways
    ) -> None:
        self._settings, self._wanted, self._job = settings, wanted, job
        self._worker, self._term, self._ways = worker, term, ways
        self._requests = Requests()
        facts, diff = snapshot(Path(wanted.workdir))
        self._entrance = Entrance(
            wanted=wanted, job=job, worker=worker, lease_s=settings.lease_s, facts=facts, diff=diff,
            leave=self._requests.waiting,
        )  # fmt: skip

    def carry_out(self) -> Outcome:
        """Until the programme has ended. Raises UserError; StoreUnavailable where MongoDB is needed."""
        run, own_store = self._entered()
        self._ways.tell(run, own_store.is_joined)
        store = cast(Store, own_store)
        doorbell = Doorbell(redis_url(self._settings), self._settings.redis_timeout_s)
        own = OwnScript(
            runs_dir=scripts_dir(self._settings),
            make_child=self._noting(run, own_store, self._ways.make_child(self._requests)),
            patience_s=lambda: self._patience_s(own_store),
            root=self._ways.root,
            gpus=_gpus_of_the_script(),
        )
        station = Station(
            store=store,
            doorbell=doorbell,
            settings=self._settings,
            worker=replace(self._worker, only=run.id, queues=(run.queue,)),
            requests=self._requests,
            repairs=Rounds(self._settings.repair_s),
            looker=Looker(self._settings, self._worker.name),
            presence=Rounds(1.0),
            tickets=Tickets(doorbell),
            packages=Packages(store, self._settings.home / "cache"),
            proven=Proven(lambda: ()),
            term=self._term,
            own=own,
        )
        self._term.keep_asking()
        supervisor = Supervisor(station, Claimed(run=run, asked_at=time.monotonic()))
        outcome = supervisor.carry_out()
        if own_store.is_joined:
            try:
                store.gone(self._worker.name)
            except LabqError as error:
                warn("worker-not-forgotten", worker=self._worker.name, error=error)
        return outcome

    def _noting(self, run: Run, own_store: OwnStore, make_child: MakeChild) -> MakeChild:
        """A folder tells by itself whose it is, should nobody be able to store it in time."""

        noted = replace(run, task=task_for(self._wanted)) if self._wanted.command else run

        def make(launch: Launch, output: Path, enter: Callable[[], None], starter: Sequence[str], /) -> Child:
            note_run(output.parent, noted, "" if own_store.is_joined else self._entrance.diff)
            return make_child(launch, output, enter, starter)

        return make

    def _patience_s(self, own_store: OwnStore) -> float:
        """At the end: a MongoDB that was there may come back soon; one that never was, need not."""
        if own_store.is_adrift or not own_store.is_joined:
            return _LAST_TRY_S
        return self._settings.outage_grace_s

    # ── entering ──
    def _entered(self) -> tuple[Run, OwnStore]:
        """The claimed run; one that is yet to be recorded while MongoDB is away."""
        try:
            store: Store = self._connected()
            run = enter(store, self._entrance)
        except StoreUnavailable as error:
            if self._ways.if_away is IfAway.FAIL or not self._wanted.command or self._requests.waiting():
                raise
            warn("mongodb-away", error=error)
            return self._unrecorded()
        self._compare(store)
        return self._with_task(run), self._own_store(run, store, lambda: store)

    def _connected(self) -> Store:
        deadline = time.monotonic() + self._wait_s()
        said = False
        while True:
            try:
                return connect(self._settings)
            except StoreUnavailable as error:
                if time.monotonic() > deadline or self._requests.waiting():
                    raise
                if not said:
                    warn("waiting-for-mongodb", error=error)
                said = True
                time.sleep(_RETRY_S)

    def _wait_s(self) -> float:
        """A run that may have a checkpoint in MongoDB is worth a wait, unless somebody has said otherwise."""
        if self._ways.if_away is not None:
            return math.inf if self._ways.if_away is IfAway.WAIT else 0.0
        comes_back = self._job is not None and self._job.is_again
        may_go_on = comes_back or self._wanted.resume is not None or self._wanted.key is not None
        return self._settings.outage_grace_s if may_go_on else 0.0

    def _unrecorded(self) -> tuple[Run, OwnStore]:
        """A new run of our own making, its first attempt begun; whoever has a checkpoint keeps it."""
        wanted = replace(self._wanted, key=None, resume=None)
        now = datetime.now(UTC)
        key = key_for(wanted, None, 0)
        notify = Notify(to=tuple(to for to in wanted.notify_to if to), on=OCCASIONS)
        queued = run_for(wanted, key, now, {"git": self._entrance.facts}, notify)
        history = (Attempt(number=1, worker=self._worker.name, started_at=now),)
        run = replace(queued, state=State.RUNNING, attempt=1, started_at=now, history=history)
        opened: list[Store] = []

        def join() -> Store:
            store = opened[0] if opened else connect(self._settings)
            opened[:] = [store]
            record(store, queued, self._entrance)
            return store

        return self._with_task(run), self._own_store(run, None, join)

    def _own_store(self, run: Run, store: Store | None, join: Callable[[], Store]) -> OwnStore:
        facts: dict[str, Any] = {"command": list(self._wanted.command or run.task.command)}
        if self._job is not None:
            facts |= {STARTED: self._job.start}
        return OwnStore(
            run, self._with_task(run).task, join=join, store=store, lease_s=self._settings.lease_s, facts=facts,
            was_interrupted=self._ways.was_interrupted,
        )  # fmt: skip

    def _with_task(self, run: Run) -> Run:
        """What is executed is what was asked for, though the run may have begun with another command."""
        if self._wanted.command:
            return replace(run, task=literal(task_for(self._wanted)))
        return replace(run, task=literal(run.task)) if run.resources.on is not None else run

    def _compare(self, store: Store) -> None:
        if self._term.span() is not None:
            self._term.compare(store.now())
