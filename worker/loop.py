"""A worker: waits for a ticket, looks, again. Redis away costs latency; MongoDB away costs waiting; neither ends it."""

import math
import os
import signal
import socket
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from notify.looking.looker import Looker
from queueing.doorbell import Doorbell, TicketWorker
from queueing.optimize.tending import LONGEST_S, ask_heavily, tend
from queueing.repair import release_own, repair
from store.connect import connect, prepare_to_connect, redis_url
from store.errors import DoorbellUnavailable, ExitCode, LabqError, NoSuchRun, StoreUnavailable, Superseded, UserError
from store.logbook import say, warn
from store.settings import Settings
from store.states import State
from store.store import Store
from store.workers import Worker
from worker.again import ask_again
from worker.claiming import claim, gpus_free, gpus_here
from worker.gpus import Gpu, preload
from worker.horse import Horse, Outcome
from worker.judging import judge
from worker.linux import adopt_orphans, call_me
from worker.machine import total_memory_bytes, with_disk
from worker.memory_limit import sweep_cgroups
from worker.packages import Packages
from worker.quick_start import Proven, starter
from worker.rounds import Rounds
from worker.rundir import sweep
from worker.station import Station
from worker.stopping import NOTICES, STOP_SIGNALS, Asked, Requests, heard, held
from worker.supervisor import Supervisor
from worker.term import Term
from worker.tickets import Tickets
from worker.treating import treat

_REDIS_RETRY_S = 1.0
_FRESH_S = 30.0
_PRESENCE_S = 1.0
_LOOKS_S = 0.5
"""An idle worker looks at what others run, but not while a run waits for it."""
ASKING = "labq-ask"
"""What the process of an optimizer's step is called."""


_PROVING = (Outcome.RAN, Outcome.RAN_DRY, Outcome.NOTHING, Outcome.DRAINED)
_IN_TROUBLE = (Outcome.STORE_AWAY, Outcome.TROUBLE, Outcome.HOPELESS)


class _Leave(BaseException):
    """Raised by the signal handler while the worker is idle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What the user said this worker takes."""

    queue: str
    tags: tuple[str, ...] = ()
    gpus: str = "auto"
    slots_per_gpu: int = 1
    burst: bool = False
    cpus: int | None = None
    """No more than these, and no more memory: what a batch job was given of its machine."""
    memory_bytes: int | None = None
    idle_exit_s: float | None = None
    run_only: str | None = None
    """The one run that this worker is for."""


def describe(offer: Offer) -> Worker:
    """This machine's worker, with a name that no other has."""
    host = socket.gethostname()
    return Worker(
        name=f"{host}-{os.getpid()}-{uuid.uuid4().hex[:6]}",
        host=host,
        pid=os.getpid(),
        queues=(offer.queue,),
        tags=offer.tags,
        cpus=_at_most(offer.cpus, os.cpu_count() or 1),
        memory_bytes=_at_most(offer.memory_bytes, total_memory_bytes()),
        only=offer.run_only,
        place=os.environ.get("LABQ_ALLOCATION", ""),
    )


def _at_most(asked: int | None, there: int) -> int:
    return there if asked is None else min(asked, there)


class Loop:
    """The worker's own process: single-threaded, no MongoDB; each look happens in a fork."""

    def __init__(self, settings: Settings, offer: Offer, term: Term) -> None:
        self._settings, self._offer, self._term = settings, offer, term
        self._worker = replace(describe(offer), allocation=term.allocation)
        preload()
        prepare_to_connect()
        starter()
        self._bell: TicketWorker | None = None
        self._bell_is_away = False
        self._store_is_away = False
        self._horse: Horse | None = None
        self._idle = False
        self._stopping = False
        self._told = Asked(in_a_job=bool(term.allocation))
        self._mend = False
        self._failures = 0
        self._idle_since = time.monotonic()
        self._proven = False
        self._asked = False
        self._tends = True

    def run(self) -> int:
        """Until SIGTERM, Ctrl-C, `labq drain` or the end of its time; or until it is idle (`burst`, `idle_exit_s`)."""
        adopt_orphans()
        for number in STOP_SIGNALS:
            signal.signal(number, self._on_signal)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # a lost terminal; `nohup` says it does not matter
            signal.signal(signal.SIGHUP, self._on_signal)
        heard(NOTICES)  # a crew has held them back while we began
        say("worker", name=self._worker.name, queue=self._offer.queue)
        outcome = Outcome.RAN  # the first look waits for no ticket
        time_is_over = False
        try:
            while not self._stopping:
                self._wait(self._pause_after(outcome))
                if not self._stopping and self._time_is_over():
                    time_is_over = True
                    break
                if not self._stopping:
                    outcome = self._look()
                if outcome in (Outcome.TIME_OVER, Outcome.NOT_NEEDED):
                    break
                if outcome is Outcome.DRAINED:
                    say("drained", worker=self._worker.name)
                    break
                if outcome is Outcome.HOPELESS:
                    return ExitCode.USER_ERROR
                if self._offer.burst and outcome in (Outcome.NOTHING, Outcome.RAN_DRY, Outcome.TROUBLE):
                    break
                if self._idle_too_long(outcome):
                    say("idle-exit", worker=self._worker.name, idle_s=self._offer.idle_exit_s)
                    break
        except _Leave:
            pass
        finally:
            self._say_goodbye()
        if self._offer.run_only and (time_is_over or outcome is Outcome.TIME_OVER or self._told.by_scheduler):
            return ask_again(self._settings, self._offer.run_only, self._worker.name)
        return ExitCode.OK

    def _pause_after(self, outcome: Outcome) -> float:
        """None after a run; a growing one after crashes or refusals in a row, so that trouble becomes no storm."""
        failed = outcome in (Outcome.CRASHED, Outcome.REFUSED)
        self._failures = self._failures + 1 if failed else 0
        if failed:
            return min(0.1 * 4.0 ** (self._failures - 1), self._settings.look_s)
        return 0.0 if outcome is Outcome.RAN else min(self._settings.look_s, max(0.0, self._may_idle_s()))

    def _idle_too_long(self, outcome: Outcome) -> bool:
        """A worker that cannot reach MongoDB, or that refuses what it is given, is idle, too."""
        if outcome in (Outcome.RAN, Outcome.RAN_DRY, Outcome.CRASHED):
            self._idle_since = time.monotonic()
        return self._may_idle_s() <= 0

    def _may_idle_s(self) -> float:
        """How long it may still wait for work."""
        allowed_s = self._offer.idle_exit_s
        return math.inf if allowed_s is None else self._idle_since + allowed_s - time.monotonic()

    # ── waiting ──
    def _wait(self, wait_s: float) -> None:
        """For a ticket. Whatever comes of it, a look follows."""
        self._idle = True
        try:
            if self._stopping:
                return
            idle_s = self._term.idle_s()
            self._ring_or_pause(wait_s if idle_s is None else min(wait_s, idle_s))
        finally:
            self._idle = False

    def _ring_or_pause(self, wait_s: float) -> None:
        if self._bell_is_away and wait_s <= 0:
            return  # a look needs no ticket
        try:
            if self._bell is None:
                self._bell = TicketWorker(
                    redis_url(self._settings),
                    self._settings.redis_timeout_s,
                    self._offer.queue,
                    self._worker.name,
                    self._settings.look_s,
                )
                if self._bell_is_away:
                    say("redis-is-back", worker=self._worker.name)
                self._bell_is_away = False
            self._bell.wait_for_ticket(wait_s)
        except DoorbellUnavailable as error:
            if not self._bell_is_away:
                warn("redis-away", worker=self._worker.name, error=error)
            self._bell, self._bell_is_away = None, True
            time.sleep(min(wait_s, _REDIS_RETRY_S))

    def _time_is_over(self) -> bool:
        """Whether nothing can be begun any more."""
        self._term.refresh()
        if self._term.idle_s() != 0:
            return False
        say("time-over", worker=self._worker.name, allocation=self._term.allocation or "--until")
        return True

    # ── looking ──
    def _look(self) -> Outcome:
        outcome = self._in_a_fork(self._inside_the_fork)
        if outcome is Outcome.STUDY:
            # In a fork of its own, and whatever comes of it a look for a run follows: an optimizer may crash or hang.
            self._in_a_fork(self._ask_heavily)
            self._asked = True
            outcome = self._in_a_fork(self._inside_the_fork)
            self._asked = False
            outcome = Outcome.RAN if outcome is Outcome.STUDY else outcome
        self._proven = self._proven or outcome in _PROVING
        self._mend = outcome is Outcome.CRASHED or (self._mend and outcome in _IN_TROUBLE)
        if (outcome is Outcome.STORE_AWAY) != self._store_is_away:
            self._store_is_away = outcome is Outcome.STORE_AWAY
            say("mongodb-away" if self._store_is_away else "mongodb-is-back", worker=self._worker.name)
        return outcome

    def _in_a_fork(self, work: Callable[[], Outcome]) -> Outcome:
        with held(STOP_SIGNALS):  # from the fork until we know whom to pass a signal on to
            if self._stopping:
                return Outcome.NOTHING
            try:
                self._horse = Horse(work)
            except OSError as error:  # no process to be had, or no memory: that passes
                warn("no-fork", worker=self._worker.name, error=error)
                return Outcome.TROUBLE
        try:
            return self._horse.wait()
        finally:
            self._horse = None

    def _ask_heavily(self) -> Outcome:
        call_me(ASKING)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
        signal.alarm(LONGEST_S)
        with suppress(LabqError):
            store = connect(self._settings)
            ask_heavily(store, Doorbell(redis_url(self._settings), self._settings.redis_timeout_s), self._settings)
        return Outcome.RAN

    def _inside_the_fork(self) -> Outcome:
        """Until there is nothing to do, or this process should not go on."""
        sweep(self._settings.runs_dir)  # before we claim or give back what an orphan may still be working on
        sweep_cgroups()
        try:
            gpus = gpus_here(self._offer.gpus)
            free = gpus_free(self._settings, gpus, self._offer.slots_per_gpu)
            store = connect(self._settings)
            if self._term.span() is not None:
                self._term.compare(store.now())
            self._term.keep_asking()
        except StoreUnavailable as error:
            if not self._store_is_away:
                warn("no-store", worker=self._worker.name, error=error)
            return Outcome.STORE_AWAY
        except LabqError as error:
            warn("cannot-work", worker=self._worker.name, error=error)
            hopeless = isinstance(error, UserError) and not self._proven
            return Outcome.HOPELESS if hopeless else Outcome.TROUBLE
        except OSError as error:
            return self._no_slots(error)
        doorbell = Doorbell(redis_url(self._settings), self._settings.redis_timeout_s, away=self._bell_is_away)
        station = Station(
            store=store,
            doorbell=doorbell,
            settings=self._settings,
            worker=replace(self._worker, gpus=len(gpus), gpus_free=free),
            requests=Requests(),
            repairs=Rounds(self._settings.repair_s),
            looker=Looker(self._settings, self._worker.name),
            presence=Rounds(_PRESENCE_S),
            tickets=Tickets(doorbell),
            packages=Packages(store, self._settings.home / "cache"),
            proven=Proven(),
            term=self._term,
        )
        threading.Thread(target=self._sweep_beside, name="sweeper", daemon=True).start()
        return self._looks(station, gpus)

    def _looks(self, station: Station, gpus: Sequence[Gpu]) -> Outcome:
        """After a short run this process looks again: to fork and to connect would take longer than the rest of a run.

        Not for long: a fresh process has leaked nothing.
        """
        fresh_until = time.monotonic() + _FRESH_S
        has_run = False
        while True:
            outcome, may_go_on = self._one_look(station, gpus)
            if outcome is Outcome.NOTHING and has_run:
                outcome = Outcome.RAN_DRY
            has_run = has_run or outcome is Outcome.RAN
            if not may_go_on or station.requests.waiting() or time.monotonic() > fresh_until:
                station.tickets.drop()
                return outcome
            sweep(self._settings.runs_dir)

    def _one_look(self, station: Station, gpus: Sequence[Gpu]) -> tuple[Outcome, bool]:
        """How it ended, and whether this process may look again."""
        store, worker = station.store, station.worker
        try:
            if self._mend:
                self._give_back(release_own(store, worker.name))
                self._mend = False
            station.packages.ask_again()
            if self._is_to_leave(station):
                return Outcome.DRAINED, False
            self._repair(station)
            if self._studies_want_more(station):
                return Outcome.STUDY, False
            claimed = claim(store, self._settings, worker, gpus, self._offer.slots_per_gpu, self._term.span())
            if claimed is None:
                self._look_around(station)
                return self._outcome_of_nothing(store), False
            station.tickets.claimed(claimed.run)
            say("claimed", run=claimed.run.id, attempt=claimed.run.attempt, experiment=claimed.run.experiment)
            self._tends = claimed.run.trial is not None
            supervisor = Supervisor(station, claimed)
            outcome = supervisor.carry_out()
            if supervisor.is_known:
                with suppress(LabqError):
                    if store.seen(self._term.shown(with_disk(worker, self._settings))) is not None:
                        return Outcome.DRAINED, False
            return outcome, outcome is Outcome.RAN and supervisor.may_be_followed and not gpus
        except Superseded:
            return Outcome.RAN, False
        except StoreUnavailable:
            return Outcome.STORE_AWAY, False
        except LabqError as error:
            warn("look-failed", worker=self._worker.name, error=error)
        except OSError as error:
            self._no_slots(error)
        return Outcome.TROUBLE, False

    def _outcome_of_nothing(self, store: Store) -> Outcome:
        """A worker that is for one run stays while that waits for something that will pass."""
        if self._offer.run_only is None:
            return Outcome.NOTHING
        try:
            return Outcome.NOTHING if store.run(self._offer.run_only).state is State.QUEUED else Outcome.NOT_NEEDED
        except NoSuchRun as error:
            warn("no-such-run", worker=self._worker.name, error=error)
            return Outcome.NOT_NEEDED

    def _is_to_leave(self, station: Station) -> bool:
        """Once a second: say that this worker lives, and hear whether it should."""
        if not station.presence.is_due():
            return False
        if (order := station.store.seen(self._term.shown(with_disk(station.worker, self._settings)))) is not None:
            say("told-to-leave", worker=self._worker.name, target=order.target, by=order.by, since=order.from_at)
            return True
        station.tickets.drop()
        station.presence.done()
        self._tends = True
        return False

    def _repair(self, station: Station) -> None:
        """What every worker does for all, when it is time."""
        if station.repairs.is_due():
            repair(station.store, station.doorbell, self._settings, self._worker.name)
            unfinished = judge(station.store, station.doorbell, self._settings, self._worker.name)
            station.repairs.done(unfinished=unfinished)

    def _look_around(self, station: Station) -> None:
        """At what others run, and at what has ended; what is found is acted upon."""
        if station.looker.is_due():
            station.looker.turn(station.store, _LOOKS_S)
            treat(station.store, station.doorbell, self._settings, self._worker.name)

    def _studies_want_more(self, station: Station) -> bool:
        """What is light is done here: once a second, and after every trial. Whether something heavy is left."""
        if not self._tends:
            return False
        self._tends = False
        heavy = tend(station.store, station.doorbell, self._settings)
        asked, self._asked = self._asked, False
        return heavy and not asked

    def _no_slots(self, error: OSError) -> Outcome:
        warn("no-gpu-slots", worker=self._worker.name, error=error)
        return Outcome.TROUBLE

    def _sweep_beside(self) -> None:
        """What a killed worker left on this machine must not outlive its lease because all others here are busy."""
        while True:
            time.sleep(self._settings.repair_s)
            sweep(self._settings.runs_dir)

    def _give_back(self, released: tuple[str, ...]) -> None:
        for run in released:
            warn("given-back", run=run, worker=self._worker.name)

    # ── leaving ──
    def _on_signal(self, number: int, _frame: object) -> None:
        """First request: the run checkpoints and goes back into the queue. Second: it goes at once."""
        if number == signal.SIGUSR1 and self._term.knows_better():
            say("warned", worker=self._worker.name, left_s=f"{self._term.left_s():.0f}")
            return
        below = self._told.hear(number, time.monotonic())
        self._stopping = True
        if self._horse is not None:
            self._horse.stop(below)
        elif self._idle:
            raise _Leave

    def _say_goodbye(self) -> None:
        for number in (*STOP_SIGNALS, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        if self._bell is not None:
            self._bell.leave()
        sweep(self._settings.runs_dir)
        with suppress(LabqError):
            store = connect(replace(self._settings, mongo_timeout_s=min(1.0, self._settings.mongo_timeout_s)))
            if self._mend:
                self._give_back(release_own(store, self._worker.name))
            store.gone(self._worker.name)
            store.close()
        say("worker-left", name=self._worker.name)
