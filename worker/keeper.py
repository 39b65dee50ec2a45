"""The lease, kept in a thread of its own: a slow upload must not cost the run. Repair rides along, also while busy."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum, auto

from queueing.doorbell import Doorbell
from queueing.repair import repair
from store.errors import LabqError, StoreUnavailable, Superseded
from store.logbook import say, warn
from store.runs import Run
from store.settings import Settings
from store.states import Wish
from store.store import Store
from store.workers import Worker


class Call(Enum):
    """What the keeper tells the supervisor."""

    CANCEL = auto()
    REQUEUE = auto()
    SUPERSEDED = auto()
    FENCE = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How long a run may go on without a renewal."""

    lease_s: float
    outage_grace_s: float
    exclusive: bool

    def overdue(self, since_renewal_s: float, grace_s: float) -> bool:
        """Whether it must stop now: an exclusive run before its lease ends, any other after the outage grace."""
        if self.exclusive:
            return since_renewal_s + grace_s >= self.lease_s * 0.8
        return since_renewal_s >= self.outage_grace_s


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
    ) -> None:
        self._store, self._doorbell, self._settings = store, doorbell, settings
        self._worker, self._run, self._tell = replace(worker, run=run.id), run, tell
        self._terms = Terms(
            lease_s=settings.lease_s, outage_grace_s=settings.outage_grace_s, exclusive=run.task.exclusive
        )
        self._grace_s = min(run.task.grace_s, settings.lease_s * 0.4)
        self._renewed_at = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="keeper", daemon=True)

    def start(self) -> None:
        """Begin to renew."""
        self._thread.start()

    def stop(self) -> None:
        """No further renewals."""
        self._stop.set()
        self._thread.join()

    def _work(self) -> None:
        next_repair = time.monotonic() + self._settings.repair_s
        pause_s = 0.0
        while not self._stop.wait(pause_s):
            if not self._renew():
                return
            if time.monotonic() >= next_repair:
                self._repair()
                next_repair = time.monotonic() + self._settings.repair_s
            pause_s = min(self._settings.renew_s, max(0.05, next_repair - time.monotonic()))

    def _renew(self) -> bool:
        asked_at = time.monotonic()
        try:
            wish = self._store.renew(self._run.id, self._run.attempt, self._settings.lease_s)
            self._renewed_at = asked_at
            self._store.seen(self._worker)
        except Superseded:
            self._tell(Call.SUPERSEDED)
            return False
        except StoreUnavailable:
            if self._terms.overdue(time.monotonic() - self._renewed_at, self._grace_s):
                self._tell(Call.FENCE)
            return True
        except LabqError as error:
            warn("renewal-failed", run=self._run.id, attempt=self._run.attempt, error=error)
            return True
        if wish is not None:
            self._tell(Call.CANCEL if wish is Wish.CANCEL else Call.REQUEUE)
        return True

    def _repair(self) -> None:
        try:
            done = repair(self._store, self._doorbell, self._worker.name, self._settings.repair_s)
        except LabqError:
            return
        if done is not None and (done.released or done.failed):
            say("repaired", released=",".join(done.released), failed=",".join(done.failed), rung=done.rung)
