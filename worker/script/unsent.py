"""What programmes left while MongoDB was away, or when those who watched them were killed: stored afterwards.

A folder holds everything that an attempt reported. It is stored as an attempt of its own that begins where the lost one
began, so whatever of that is stored already is replaced, and it may be done again after any interruption.
"""

import fcntl
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from queueing.repair import ABANDONED, LOST
from queueing.retry import verdict
from store.errors import NoSuchRun, Superseded
from store.runs import Ending, Run, short
from store.settings import Settings
from store.spans import Pace
from store.states import State
from store.store import Store
from store.workers import Worker
from worker.facts import host_facts
from worker.pacing import Pacing
from worker.rundir import RunDir
from worker.script.ending import read_ending
from worker.script.entering import Entrance, fitting, record
from worker.script.places import describe, scripts_dir
from worker.script.wanted import Wanted
from worker.server_clock import ServerClock
from worker.shipper import Shipper

_RUN, _DIFF = "run.json", "git.diff"
_LEASE_S = 600.0
_PATIENCE_S = 30.0
_RUNS: TypeAdapter[Run] = TypeAdapter(Run)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsent:
    """A folder that nobody watches any more. `ending` None: whoever watched was killed."""

    path: Path
    run: Run
    ending: Ending | None


def note_run(folder: Path, run: Run, diff: str) -> None:
    """Before the programme begins. `diff`: of the repository, where MongoDB has not got it. Raises OSError."""
    (folder / _RUN).write_bytes(_RUNS.dump_json(run))
    if diff:
        (folder / _DIFF).write_text(diff, encoding="utf-8")


def unsent(settings: Settings) -> list[Unsent]:
    """Those of this machine. What cannot be read is no run's."""
    found = []
    for path in sorted(scripts_dir(settings).glob("*-*-*")):
        if _is_held(path):
            continue
        with suppress(OSError, ValidationError):
            run = _RUNS.validate_json((path / _RUN).read_bytes())
            found.append(Unsent(path=path, run=run, ending=read_ending(path)))
    return found


def _clear_away(settings: Settings) -> None:
    """Folders of attempts that were killed before their programme began: there is nothing in them."""
    for path in scripts_dir(settings).glob("*-*-*"):
        if not (path / _RUN).exists() and not _is_held(path):
            shutil.rmtree(path, ignore_errors=True)


def left_behind(settings: Settings, run_id: str) -> Path | None:
    """The folder of a run whose attempt has ended here, and is not stored."""
    there = (path for path in scripts_dir(settings).glob(f"{run_id}-*-*") if not _is_held(path))
    return next(there, None) if run_id else None


def _is_held(path: Path) -> bool:
    try:
        os.close(_lock(path))
    except OSError:
        return True
    return False


def _lock(path: Path) -> int:
    """Raises OSError: somebody watches, or stores, what is in there."""
    descriptor = os.open(path / "lock", os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def deliver(store: Store, settings: Settings, left: Unsent) -> str:
    """Store it and remove the folder; else why not. Raises StoreUnavailable."""
    try:
        lock = _lock(left.path)
    except OSError:
        return "somebody else is storing it"
    folder = RunDir(path=left.path, lock=lock)
    try:
        run = _claimed(store, left)
        if isinstance(run, str):
            return run
        said = _stored(store, settings, left, run, folder)
    except Superseded:
        return "it has moved on"
    finally:
        os.close(lock)
    if not said:
        shutil.rmtree(left.path, ignore_errors=True)
    return said


def _claimed(store: Store, left: Unsent) -> Run | str:
    """The run in our hands, or why it cannot be."""
    mine, worker = left.run, describe("")
    try:
        now = store.run(mine.id)
    except NoSuchRun:
        queued = replace(mine, state=State.QUEUED, attempt=0, lease=None, started_at=None, history=())
        record(store, queued, _entrance(left, worker))
        return store.run(mine.id)
    if now.attempt != mine.attempt or now.history[-1].worker != mine.history[-1].worker:
        return f"it has gone on meanwhile: attempt {now.attempt} is its newest, this was {mine.attempt}"
    if now.state is State.RUNNING:
        now = store.settle(now.id, now.attempt, lambda run: verdict(run, LOST))
    if now.state is not State.QUEUED:
        return f"it is {now.state}; to store it all the same: labq resume {short(now.id)}, then again"
    return store.claim(fitting(worker, now), _LEASE_S) or "it cannot be claimed (labq why)"


def _entrance(left: Unsent, worker: Worker) -> Entrance:
    run = left.run
    wanted = Wanted(
        experiment=run.experiment, command=run.task.command, workdir=run.task.workdir, tags=run.tags, owner=run.owner
    )
    diff = ""
    with suppress(OSError):
        diff = (left.path / _DIFF).read_text(encoding="utf-8", errors="replace")
    facts = run.provenance.get("git")
    return Entrance(wanted=wanted, job=None, worker=worker, lease_s=_LEASE_S, facts=facts, diff=diff)


def _stored(store: Store, settings: Settings, left: Unsent, claimed: Run, folder: RunDir) -> str:
    facts = {**host_facts(os.environ), "stored_later": True}
    run = store.begin(claimed.id, claimed.attempt, left.run.checkpoint, facts)
    shipper = Shipper(
        store,
        run,
        folder,
        pause_s=settings.ship_s,
        keep=settings.keep_checkpoints,
        clock=ServerClock(run.history[-1].started_at),
        superseded=lambda: None,
        pacing=Pacing(0.0, Pace()),
    )
    if not shipper.finish(_PATIENCE_S, lambda: False):
        return "MongoDB has gone away again"
    store.settle(run.id, run.attempt, lambda now: verdict(now, left.ending or ABANDONED))
    return ""


def each(settings: Settings, store: Store, tell: Callable[[Unsent, str], None]) -> int:
    """Store all of them; how many are left."""
    left = 0
    _clear_away(settings)
    for one in unsent(settings):
        said = deliver(store, settings, one)
        left += bool(said)
        tell(one, said)
    return left
