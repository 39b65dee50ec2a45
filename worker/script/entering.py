"""From what somebody wants to a claimed run: a new one, or the one to go on with. All of it may be done twice."""

import itertools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from queueing.people import resume_change
from queueing.repair import LOST
from queueing.retry import verdict
from store.errors import StoreFailed, Superseded, UserError
from store.runs import Notify, Run, short
from store.states import ENDED, State
from store.store import RunQuery, Store
from store.workers import Worker
from worker.script.around import Around
from worker.script.wanted import OCCASIONS, Wanted, experiment_for, key_for, run_for

STARTED = "started_as"
"""The fact of an attempt that tells which start of its job it belongs to."""
_LOOK_S = 0.2
_BEGINS_S = 5.0
"""An attempt that was claimed has said so by then which start of the job it belongs to."""
_SPARE_S = 5.0


class Busy(UserError):
    """Somebody living carries the run out."""


class Overruled(UserError):
    """A person has stopped or paused the run of a job that the scheduler starts again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrance:
    """`worker`: as whom to claim. `lease_s`: of a claim. `facts`: of the repository. `leave`: stop waiting."""

    wanted: Wanted
    job: Around | None
    worker: Worker
    lease_s: float
    facts: Mapping[str, Any] | None = None
    diff: str = ""
    leave: Callable[[], bool] = lambda: False


def enter(store: Store, entrance: Entrance) -> Run:
    """The claimed run. Raises Busy, Overruled, NoSuchRun, AmbiguousId, StoreUnavailable."""
    wanted, job = entrance.wanted, entrance.job
    if wanted.resume is not None:
        return _go_on(store, entrance, store.run(wanted.resume).id, by_hand=True)
    for number in itertools.count():
        key = key_for(wanted, job, number)
        run, is_new = _added(store, entrance, key)
        if is_new:
            return _go_on(store, entrance, run.id, by_hand=True)
        if wanted.key is not None:
            return _go_on(store, entrance, run.id, by_hand=job is None or not job.is_again)
        if job is not None and job.is_again and not _belongs_to_this_start(store, run.id, job):
            return _go_on(store, entrance, run.id, by_hand=False)
    raise AssertionError("unreachable")


def _added(store: Store, entrance: Entrance, key: str) -> tuple[Run, bool]:
    wanted, now = entrance.wanted, store.now()
    run = run_for(wanted, key, now, _provenance(store, entrance), notify_for(store, wanted))
    if store.experiment(wanted.experiment) is None:
        store.add_experiment(experiment_for(wanted, now))
    return run, bool(store.add_runs([run]))


def record(store: Store, queued: Run, entrance: Entrance) -> None:
    """A run whose programme runs already: insert and claim it. May be repeated. Raises StoreUnavailable."""
    notify = queued.notify if queued.notify.to else notify_for(store, entrance.wanted)
    if store.experiment(queued.experiment) is None:
        store.add_experiment(experiment_for(entrance.wanted, store.now()))
    store.add_runs([replace(queued, queued_at=store.now(), notify=notify, provenance=_provenance(store, entrance))])
    worker = fitting(entrance.worker, queued)
    if store.claim(worker, entrance.lease_s) is None and not _is_mine(store, queued.id, worker):
        raise StoreFailed(f"run {queued.id} could not be claimed for the programme that runs already")


def _is_mine(store: Store, run_id: str, worker: Worker) -> bool:
    """Whether an earlier try has claimed it."""
    run = store.run(run_id)
    mine = run.attempt == 1 and bool(run.history) and run.history[-1].worker == worker.name
    return mine and (run.state is State.RUNNING or store.rejoin(run_id, 1, worker.name, 60.0))


def _provenance(store: Store, entrance: Entrance) -> dict[str, Any]:
    if entrance.facts is None:
        return {"git": None}
    return {"git": {**entrance.facts, "diff": store.add_blob(entrance.diff) if entrance.diff else None}}


def notify_for(store: Store, wanted: Wanted) -> Notify:
    """Who is told: those that are named, else as the experiment's newest run has it."""
    if not wanted.notify_to or wanted.notify_to == ("",):
        newest = store.runs(RunQuery(experiment=wanted.experiment, limit=1))
        if newest:
            return newest[-1].notify
    return Notify(to=tuple(to for to in wanted.notify_to if to), on=OCCASIONS)


def _belongs_to_this_start(store: Store, run_id: str, job: Around) -> bool:
    """Whether an earlier line of the script, or one beside this one, has begun it since the job was started again."""
    deadline = time.monotonic() + _BEGINS_S
    while True:
        run = store.run(run_id)
        started = _started_as(run)
        if started is not None or run.state is not State.RUNNING or time.monotonic() > deadline:
            return started == job.start
        time.sleep(_LOOK_S)


def _started_as(run: Run) -> str | None:
    return run.history[-1].facts.get(STARTED) if run.history else None


def _go_on(store: Store, entrance: Entrance, run_id: str, *, by_hand: bool) -> Run:
    """Claim the run, whatever state it is in; one that is running, when its lease is over or its job has begun anew."""
    deadline = time.monotonic() + entrance.lease_s + _SPARE_S
    while True:
        run = store.run(run_id)
        if run.state is State.RUNNING:
            _release(store, entrance, run)
        elif run.state is State.QUEUED:
            if (claimed := store.claim(fitting(entrance.worker, run), entrance.lease_s)) is not None:
                return claimed
        elif run.state in ENDED or by_hand:
            _let_go_on(store, run, by_hand=by_hand)
            continue
        else:
            raise _overruled(run)
        if time.monotonic() > deadline or entrance.leave():
            raise Busy(_who(run))
        time.sleep(_LOOK_S)


def _let_go_on(store: Store, run: Run, *, by_hand: bool) -> None:
    if run.state is State.CANCELLED and not by_hand:
        raise _overruled(run)
    store.change([run.id], resume_change("labq exec"))


def _overruled(run: Run) -> Overruled:
    said = f"run {short(run.id)} of {run.experiment} was {run.state} by a person"
    return Overruled(f"{said}: a job that comes back does not go on with it; labq resume {short(run.id)}, then again")


def _release(store: Store, entrance: Entrance, run: Run) -> None:
    """A job that was started again is gone as it was; of any other holder only its lease tells."""
    job, started = entrance.job, _started_as(run)
    is_mine = entrance.wanted.resume is None and entrance.wanted.key is None
    is_gone = is_mine and job is not None and job.is_again and started is not None and started != job.start
    try:
        store.settle(run.id, run.attempt, lambda now: verdict(now, LOST), only_expired=not is_gone)
    except Superseded:
        pass


def _who(run: Run) -> str:
    name = f"run {short(run.id)} of {run.experiment}"
    if run.state is not State.RUNNING:
        return f"{name} waits, and cannot be claimed (labq why {short(run.id)})"
    holder = run.lease.worker if run.lease is not None else "somebody"
    return f"{name} is being carried out by {holder}; stop that first (labq stop {short(run.id)}), or use another key"


def fitting(worker: Worker, run: Run) -> Worker:
    """Somebody has decided that it is to run here, whatever it asks for."""
    wants = run.resources
    return replace(
        worker,
        only=run.id,
        queues=(run.queue,),
        tags=wants.tags,
        gpus=wants.gpus,
        cpus=max(worker.cpus, wants.cpus or 0),
        memory_bytes=max(worker.memory_bytes, wants.memory_bytes or 0),
    )
