"""One attempt from claim to settle. The supervisor is a thin process of its own: no user code, no CUDA, no numba.

    claim → preflight → run directory → checkpoint → begin → launch ─┬─ keeper: renews the lease, hears wishes, repairs
                                                         ├─ shipper: events, output, checkpoints → MongoDB
                                                         └─ watch: child's end, signals, limits
    child ends → ship the rest → settle → ring if queued again → remove the run directory

SIGKILL of this process ends the child (PR_SET_PDEATHSIG); the worker above gives the run back at once, or, when it died
too, the repair loop of any other worker does when the lease is over.
"""

import os
import shutil
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from queueing.refusal import Objection, handed_on
from queueing.retry import verdict
from store.errors import (
    CheckpointDamaged,
    DoorbellUnavailable,
    LabqError,
    StoreFailed,
    StoreUnavailable,
    Superseded,
)
from store.logbook import say, warn
from store.runs import Checkpoint, Ending, Run
from store.spans import Pace, pace_of, together
from store.states import Reason, State
from store.store import Settlement
from worker.beside import Beside
from worker.child import Child, sweep_descendants
from worker.claiming import Claimed
from worker.classify import TERMINATED, classify, is_machine_trouble, reason_of_trouble
from worker.disk_watch import cannot_grow
from worker.facts import host_facts
from worker.gpu_slots import NOTHING
from worker.horse import Outcome
from worker.keeper import Keeper
from worker.launch import Launch, plan
from worker.leaving import Leaving
from worker.memory_limit import Cgroup, memory_limit
from worker.pacing import Pacing
from worker.preflight import examine, missing, needs, shortage
from worker.results import BadResult, append_results, plan_result, read_results
from worker.rundir import RunDir, beginning, make_run_dir, promises
from worker.script.ending import write_ending
from worker.server_clock import ServerClock
from worker.station import Station
from worker.templates import write_copies
from worker.threads import start
from worker.watch import Watch

T = TypeVar("T")
TAIL_BYTES = 64 * 1024
_RETRY_S = 0.5
_OTHERS_FIRST_S = 15.0
_FOR_EVER_S = 10 * 366 * 86400.0


class Supervisor:
    """Carries one claimed run through its attempt."""

    def __init__(self, station: Station, claimed: Claimed) -> None:
        self._store, self._doorbell, self._settings = station.store, station.doorbell, station.settings
        self._worker, self._requests = station.worker, station.requests
        self._packages, self._proven, self._own = station.packages, station.proven, station.own
        self._run, self._gpus, self._objection = claimed.run, claimed.gpus, claimed.objection
        self._clock = ServerClock(self._run.history[-1].started_at)  # it was claimed this moment
        self._term = station.term
        self._term.listen(self._requests.wake)
        known = self._run.outlook.pace if self._run.outlook is not None else Pace()
        self._pacing = Pacing(self._run.task.grace_s, known)
        self._leaving = Leaving(self._run, self._term, self._pacing, self._requests)
        self._watch = Watch(self._run, self._requests, memory_limit(self._run), self._leaving, self._pacing)
        self._settled = False
        self._swept = False
        self._noting: threading.Thread | None = None
        self._keeper = Keeper(
            self._store,
            self._doorbell,
            self._settings if self._own is None else replace(self._settings, outage_grace_s=_FOR_EVER_S),
            self._worker,
            self._run,
            self._watch.on_call,
            asked_at=claimed.asked_at,
            repairs=station.repairs,
            looker=station.looker,
            term=station.term,
        )

    def carry_out(self) -> Outcome:
        """Run the attempt to its end, whatever that is: RAN. REFUSED: not this run on this machine; NOTHING: none."""
        self._requests.listen(self._watch.on_request)
        folder: RunDir | None = None
        try:
            self._keeper.start()
            entered = self._enter()
            if isinstance(entered, Objection):
                return self._refuse(entered)
            folder = entered
            ending = self._attempt(folder)
            if isinstance(ending, Objection):
                return self._refuse(ending)
            if ending is not None and not self._watch.superseded:
                self._settle(lambda run: verdict(run, ending))
                self._note_pace(ending)
        except OSError as error:
            return self._hand_on(error)
        except Superseded:
            self._watch.superseded = True
        except StoreUnavailable as error:
            warn("given-up", run=self._run.id, attempt=self._run.attempt, error=error)
            self._leave_in_order()
        except StoreFailed as error:
            unstored = Ending(reason=Reason.ERROR, message=f"could not be stored: {error}"[:500])
            self._settle(lambda run: verdict(run, unstored))
        finally:
            self._keeper.stop()
            self._swept = sweep_descendants().complete
            if self._watch.superseded and not self._settled:
                say("superseded", run=self._run.id, attempt=self._run.attempt)
            self._watch.limit.close()
            self._release_gpus()
            if folder is not None and (self._own is None or self._settled):
                folder.remove()
            self._requests.hold()
        return Outcome.TIME_OVER if self._watch.time_is_over else Outcome.RAN

    def _leave_in_order(self) -> None:
        """Asked to leave while MongoDB was away: that must not count as lost."""
        reason = self._watch.stop_for
        if reason is not None and not self._watch.superseded:
            with suppress(Superseded, StoreFailed):
                self._settle(lambda run: verdict(run, Ending(reason=reason)))

    @property
    def is_known(self) -> bool:
        """Whether the crew's list says that this worker carries out the run."""
        return self._keeper.is_known

    @property
    def may_be_followed(self) -> bool:
        """Whether this process can carry out another attempt: of this one nothing is left in it, and nobody waits."""
        undisturbed = self._settled and self._watch.stop_for is None
        quiet = self._noting is None or not self._noting.is_alive()
        return undisturbed and quiet and self._swept

    def _enter(self) -> RunDir | Objection:
        """The run directory, once this machine has what the run needs. Raises OSError."""
        if (lacking := self._objection or missing(self._run, os.environ)) is not None:
            return lacking
        siblings = self._until_answered(lambda: self._store.peaks(self._run.experiment))
        if self._term.span() is not None:
            self._pacing.learn(together(self._until_answered(lambda: self._store.paces(self._run.experiment))))
        if self._own is not None:
            return make_run_dir(self._own.runs_dir, self._run)
        runs_dir, floor_bytes = self._settings.runs_dir, self._settings.disk_floor_mb * 10**6
        with beginning(runs_dir):
            needed = needs(self._run, siblings, floor_bytes, alone=not promises(runs_dir))
            found = examine(runs_dir, memory=needed.memory_bytes is not None)
            if (lacking := shortage(needed, found)) is not None:
                return lacking
            folder = make_run_dir(runs_dir, self._run)
            folder.promised.write_text(str(self._run.resources.memory_bytes or siblings.memory_bytes))
        return folder

    def _refuse(self, lacking: Objection) -> Outcome:
        """Others may take the run at once; nothing of it has been touched."""
        warn("refused", run=self._run.id, attempt=self._run.attempt, because=lacking.message)
        living_s = self._settings.living_s
        living = self._until_answered(lambda: self._store.workers(living_s)) if lacking.lasting else []
        self._release_gpus()
        self._settle(lambda run: handed_on(run, lacking, self._worker, living))
        return Outcome.REFUSED

    def _release_gpus(self) -> None:
        self._gpus.release()
        self._gpus = NOTHING

    def _hand_on(self, error: OSError) -> Outcome:
        """The disk of this machine is no fault of the run: others may take it, this worker pauses."""
        warn("machine-trouble", run=self._run.id, attempt=self._run.attempt, error=error)
        message = f"{socket.gethostname()}: the attempt cannot go on here: {error}"
        ending = Ending(reason=reason_of_trouble(error), message=message)
        with suppress(Superseded):
            self._settle(lambda run: _handed_on(run, ending))
        return Outcome.NOTHING

    # ── the attempt ──
    def _attempt(self, folder: RunDir) -> Ending | Objection | None:
        resume = self._begin(folder)
        if self._watch.stop_for is not None:
            return Ending(reason=self._watch.stop_for)
        try:
            self._until_answered(lambda: write_copies(self._store, self._run, folder))
            launch = plan(self._run, folder, os.environ, resume, self._gpus.gpus)
            starter = () if isinstance(self._watch.limit, Cgroup) else self._proven.starter(launch)
            make_child = Child if self._own is None else self._own.make_child
            child = make_child(launch, folder.output, self._watch.limit.enter, starter)
        except ValueError as error:
            return Ending(reason=Reason.REFUSED, message=f"cannot be started: {error}")
        except OSError as error:
            if is_machine_trouble(error):
                raise
            return Objection(message=f"cannot be started: {error}", lasting=True)
        self._proven.add(launch)
        self._watch.limit = self._watch.limit.around(child.pid)
        say("started", run=self._run.id, attempt=self._run.attempt, pid=child.pid)
        beside = Beside(
            self._store,
            self._settings,
            self._run,
            folder,
            self._gpus.gpus if self._own is None else self._own.gpus,
            self._clock,
            self._watch.on_call,
            self._pacing,
            own=self._own,
        )
        beside.start()
        self._note_packages(launch)
        return self._ended(child, launch, folder, beside)

    def _ended(self, child: Child, launch: Launch, folder: RunDir, beside: Beside) -> Ending | None:
        """How the child ended, once all that it left is stored; None when that is nobody's business any more."""
        started_at, watch = time.monotonic(), self._watch
        exit_code = watch.until_ended(child, self._keeper, started_at)
        peak_bytes = max(child.peak_memory_bytes, sweep_descendants().peak_memory_bytes)
        child.ended()
        bad_result = ""
        if exit_code == 0 and self._run.task.result and not watch.interfered and not watch.superseded:
            try:
                exit_code, bad_result, more_bytes = self._extract(launch, folder, started_at)
            except OSError:  # of this machine: what the main command reported last must not go with the folder
                beside.stop_looking()
                beside.shipper.finish(self._patience_s(), lambda: self._requests.hurry)
                raise
            peak_bytes = max(peak_bytes, more_bytes)
        beside.stop_looking()
        if watch.superseded:
            return None
        all_is_stored = beside.shipper.finish(self._patience_s(), lambda: self._requests.hurry)
        ending = classify(
            stopped_for=watch.stop_for if watch.interfered or exit_code in TERMINATED else None,
            exit_code=exit_code,
            said=beside.shipper.said,
            tail=_tail(folder.output),
            peak_memory_bytes=max(peak_bytes, beside.sampler.peaks.memory_bytes),
            disk_is_full=lambda: cannot_grow(folder.path),
        )
        if bad_result and ending.reason in (None, Reason.ERROR):
            ending = replace(ending, reason=Reason.ERROR, message=bad_result)
        if child.said and watch.stop_for is None:
            ending = replace(ending, reason=Reason.ERROR, message=child.said, exit_code=None, signal=None)
        if ending.reason is Reason.OUT_OF_MEMORY and watch.memory_said:
            ending = replace(ending, message=watch.memory_said)
        if ending.reason is Reason.DRAINED and watch.time_is_over:
            ending = replace(ending, message=f"the time of its worker was over ({self._leaving.allocation})")
        ending = replace(ending, pace=self._pacing.pace())
        say("ended", run=self._run.id, attempt=self._run.attempt, reason=ending.reason, exit_code=exit_code)
        if self._own is not None:
            write_ending(folder, ending)
        if not all_is_stored:
            return Ending(reason=Reason.DRAINED, message="not all of it could be stored: MongoDB was away")
        return ending

    def _extract(self, main: Launch, folder: RunDir, started_at: float) -> tuple[int, str, int]:
        """The result command, watched like the main one: its exit code, what is wrong with its answer, its memory."""
        peak_bytes = 0
        try:
            launch = plan_result(self._run, folder, main)
            child = Child(launch, folder.output, self._watch.limit.enter, answer=folder.result)
            self._watch.limit = self._watch.limit.around(child.pid)
            exit_code = self._watch.until_ended(child, self._keeper, started_at)
            peak_bytes = max(child.peak_memory_bytes, sweep_descendants().peak_memory_bytes)
            if exit_code != 0:
                return exit_code, f"the result command: {_last_words(exit_code, folder.output)}"[:500], peak_bytes
            append_results(folder.events, read_results(folder.result))
        except BadResult as error:
            return 0, f"the result command: {error}", peak_bytes
        except (OSError, ValueError) as error:
            if is_machine_trouble(error):
                raise
            return 0, f"the result command: cannot be started: {error}", peak_bytes
        say("result", run=self._run.id, attempt=self._run.attempt)
        return 0, "", peak_bytes

    def _begin(self, folder: RunDir) -> Path | None:
        """Choose the newest checkpoint that verifies, fetch it, and drop what was reported after it."""
        checkpoint = self._until_answered(lambda: self._fetch_newest(folder))
        facts = {**host_facts(os.environ), "gpus": [gpu.uuid for gpu in self._gpus.gpus]}
        with suppress(ValueError):  # it cannot be started, as will be found out below
            facts |= self._packages.known(plan(self._run, folder, os.environ, None))
        self._run = self._until_answered(lambda: self._store.begin(self._run.id, self._run.attempt, checkpoint, facts))
        if checkpoint is None:
            return None
        say("resuming", run=self._run.id, attempt=self._run.attempt, step=checkpoint.step)
        return folder.resume

    def _fetch_newest(self, folder: RunDir) -> Checkpoint | None:
        pointed = self._run.checkpoint
        if pointed is None:
            return None
        others = [one for one in self._store.checkpoints(self._run.id) if one.id != pointed.id]
        for checkpoint in [pointed, *others]:
            shutil.rmtree(folder.resume, ignore_errors=True)
            try:
                self._store.fetch_checkpoint(checkpoint, folder.resume)
            except CheckpointDamaged as error:
                warn("checkpoint-damaged", run=self._run.id, attempt=self._run.attempt, error=error)
                continue
            return checkpoint
        return None

    def _note_packages(self, launch: Launch) -> None:
        """In the background: asking an interpreter for its packages must not delay the training."""

        def work() -> None:
            try:
                if noted := self._packages.ask(launch):
                    self._store.note_facts(self._run.id, self._run.attempt, noted)
            except (Superseded, StoreUnavailable):
                pass

        if not self._packages.is_asked(launch):
            self._noting = threading.Thread(target=work, name="packages", daemon=True)
            with suppress(OSError):
                start(self._noting)

    # ── settling ──
    def _settle(self, decide: Callable[[Run], Settlement]) -> None:
        """Until MongoDB has it, or the outage grace is over: then the lease ends, and the run goes on elsewhere."""
        deadline = time.monotonic() + self._patience_s()
        while True:
            try:
                after = self._store.settle(self._run.id, self._run.attempt, decide)
                break
            except StoreUnavailable as error:
                if time.monotonic() > deadline or self._requests.hurry:
                    warn("unsettled", run=self._run.id, attempt=self._run.attempt, error=error)
                    return
                time.sleep(_RETRY_S)
        self._settled, self._run = True, after
        say("settled", run=after.id, attempt=after.attempt, state=after.state, reason=after.reason)
        if after.state is State.QUEUED:
            self._ring(after)

    def _patience_s(self) -> float:
        """How long to wait for a MongoDB that is away: the outage grace, or as long as this worker has time."""
        most_s = self._settings.outage_grace_s if self._own is None else self._own.patience_s()
        return self._leaving.patience_s(most_s)

    def _note_pace(self, ending: Ending) -> None:
        """What this attempt tells its siblings. Nobody waits for it."""
        if not self._settled or self._run.history[-1].ended_at is None:
            return
        if (pace := pace_of(self._run, ending, self._run.history[-1].ended_at)) is not None:
            with suppress(LabqError):
                self._store.note_pace(self._run.experiment, pace)

    def _ring(self, run: Run) -> None:
        try:
            self._doorbell.ring([(run.id, run.attempt, run.queue)])
        except DoorbellUnavailable as error:
            warn("not-rung", run=run.id, error=error)

    def _until_answered(self, ask: Callable[[], T]) -> T:
        """Ask again while MongoDB is away; the outage grace ends this as it ends everything."""
        deadline = time.monotonic() + self._settings.outage_grace_s
        while True:
            try:
                return ask()
            except StoreUnavailable:
                if time.monotonic() > deadline or self._watch.stop_for is not None or self._watch.superseded:
                    raise
                time.sleep(_RETRY_S)


def _tail(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - TAIL_BYTES))
            return file.read().decode(errors="replace")
    except OSError:
        return ""


def _last_words(exit_code: int, output: Path) -> str:
    words = [line for line in _tail(output).splitlines() if line.strip()][-1:]
    return ": ".join([f"exit code {exit_code}", *words]) if exit_code > 0 else f"signal {-exit_code}"


def _handed_on(run: Run, ending: Ending) -> Settlement:
    """Back into the queue at no cost, with the reason for the record; unless somebody wanted it gone."""
    drained = verdict(run, replace(ending, reason=Reason.DRAINED))
    if drained.state is not State.QUEUED:
        return drained
    return replace(drained, reason=ending.reason, ending=ending, backoff_s=_OTHERS_FIRST_S)
