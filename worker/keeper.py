"""The lease, kept in a thread of its own: a slow upload must not cost the run. Repair rides along, also while busy."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum, auto

from notify.looking.looker import Looker
from queueing.doorbell import Doorbell, run_channel, worker_channel
from queueing.repair import repair
from store.connect import redis_url
from store.errors import LabqError, StoreUnavailable, Superseded
from store.logbook import say, warn
from store.runs import Run, Task
from store.settings import Settings
from store.states import Wish
from store.store import Store
from store.workers import Worker
from worker.judging import judge
from worker.listener import listen
from worker.machine import with_disk
from worker.rounds import Rounds
from worker.term import Term
from worker.threads import start
from worker.treating import treat

_FIRST_S = 1.0
"""The claim gave a lease already: a run that is over by then costs no renewal."""


class Call(Enum):
    """What the threads tell the supervisor."""

    CANCEL = auto()
    LEAVE = auto()
    DISK_FULL = auto()
    SUPERSEDED = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How often the lease is renewed, how long a run may go on without, and how long its script then has to leave."""

    renew_s: float
    alone_s: float
    grace_s: float


def terms(task: Task, settings: Settings) -> Terms:
    """An exclusive run must be gone before its lease ends, so it is renewed more often; others may train through."""
    if not task.exclusive:
        return Terms(renew_s=settings.renew_s, alone_s=settings.outage_grace_s, grace_s=task.grace_s)
    grace_s = min(task.grace_s, 0.4 * settings.lease_s)
    alone_s = 0.8 * settings.lease_s - grace_s
    return Terms(renew_s=min(settings.renew_s, alone_s / 4), alone_s=alone_s, grace_s=grace_s)


class Keeper:
    """Renews until told to stop; calls back at most once per kind of news."""

    def __init__(
        self,
        store: Store,
        doorbell: Doorbell,
        settings: Settings,
        worker: Worker,
        run: Run,
        tell: Callable[[Call], None],
        *,
        asked_at: float,
        repairs: Rounds,
        looker: Looker,
        term: Term,
    ) -> None:
        """`asked_at`: when, on the monotonic clock, the claim was asked for: its lease counts from then."""
        self._store, self._doorbell, self._settings = store, doorbell, settings
        self._worker, self._run, self._tell = replace(worker, run=run.id), run, tell
        self.terms = terms(run.task, settings)
        self.is_known = False
        self._renewed_at = asked_at
        self._repairs, self._looker, self._term = repairs, looker, term
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._deaf = threading.Event()
        self._thread = threading.Thread(target=self._work, name="keeper", daemon=True)

    @property
    def stop_at(self) -> float:
        """When, on the monotonic clock, the run must stop unless a renewal succeeds before. Counted from the asking."""
        return self._renewed_at + self.terms.alone_s

    def start(self) -> None:
        """Begin to renew, and to listen for news that call for a renewal at once."""
        start(self._thread)
        channels = [run_channel(self._run.id), worker_channel(self._worker.name), worker_channel(self._worker.host)]
        self._deaf = listen(redis_url(self._settings), self._settings.redis_timeout_s, channels, self.hurry)

    def stop(self) -> None:
        """No further renewals."""
        self._stop.set()
        self._deaf.set()
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join()

    def hurry(self) -> None:
        """Renew now: somebody has said that there is news."""
        self._wake.set()

    def _over(self, pause_s: float) -> bool:
        """Whether to stop, after the pause or a call to hurry."""
        self._wake.wait(pause_s)
        self._wake.clear()
        return self._stop.is_set()

    def _work(self) -> None:
        """Nothing may end this thread but the end of the attempt: without it the lease is lost."""
        while not self._stop.is_set():
            try:
                self._keep()
                return
            except Exception as error:  # noqa: BLE001
                warn("keeper-stumbled", run=self._run.id, attempt=self._run.attempt, error=repr(error))
                self._stop.wait(1.0)

    def _keep(self) -> None:
        pause_s = min(self.terms.renew_s, _FIRST_S)
        while not self._over(pause_s):
            began = time.monotonic()
            if not self._renew():
                return
            # Only right after a renewal: while our own lease may be over we would release ourselves.
            if self._renewed_at >= began and self._repairs.is_due():
                repaired, judged = self._repair(), judge(self._store, self._doorbell, self._settings, self._worker.name)
                self._repairs.done(unfinished=repaired or judged)
            if self._renewed_at >= began:
                self._look(began + self.terms.renew_s / 2)
            soonest_s = 0.05 if self._renewed_at >= began else 1.0  # a server in trouble is not asked all the time
            pause_s = min(self.terms.renew_s, max(soonest_s, self._repairs.in_s()))

    def _renew(self) -> bool:
        asked_at = time.monotonic()
        try:
            wish = self._store.renew(self._run.id, self._run.attempt, self._settings.lease_s)
            self._renewed_at = asked_at
            order = self._store.seen(self._term.shown(with_disk(self._worker, self._settings)))
            self.is_known = True
        except Superseded:
            self._tell(Call.SUPERSEDED)
            return False
        except StoreUnavailable:
            return True  # the supervisor watches the clock: `stop_at`
        except LabqError as error:
            warn("renewal-failed", run=self._run.id, attempt=self._run.attempt, error=error)
            return True
        if wish is Wish.CANCEL:
            self._tell(Call.CANCEL)
        elif wish is not None or (order is not None and not order.after_current):
            self._tell(Call.LEAVE)
        return True

    def _look(self, until: float) -> None:
        """Look at runs, and act on what was found: until then, on the monotonic clock."""
        if self._looker.is_due():
            self._looker.turn(self._store, until - time.monotonic(), self._stop.is_set)
            treat(self._store, self._doorbell, self._settings, self._worker.name)

    def _repair(self) -> bool:
        """One round; whether another should follow soon."""
        try:
            done = repair(self._store, self._doorbell, self._settings, self._worker.name)
        except LabqError as error:
            warn("repair-failed", error=error)
            return False
        if done is None:
            return False
        if done.released or done.failed:
            say("repaired", released=",".join(done.released), failed=",".join(done.failed), rung=done.rung)
        return done.unfinished
