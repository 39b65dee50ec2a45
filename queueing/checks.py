"""What can be wrong: each kind with the way to find it and the way to mend it, which may be done again at any time."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from queueing.doorbell import Doorbell
from queueing.repair import repair
from store.damage import Damage, Fault
from store.runs import Run
from store.settings import Settings
from store.states import State
from store.store import RunQuery, Store

EXPIRED_AT_MOST = 10_000
STORED = (
    Damage.BROKEN_POINTER,
    Damage.UNLISTED_CHECKPOINT,
    Damage.DAMAGED_CHECKPOINT,
    Damage.HISTORY_WITHOUT_RUN,
    Damage.ABANDONED_UPLOAD,
    Damage.ORPHANED_FILE,
    Damage.ORPHANED_CHUNKS,
    Damage.STALE_WORKER,
    Damage.STALE_LOCK,
    Damage.STALE_NOTICE,
)
"""What the store finds and mends by itself, in this order: what comes first may free what comes later."""


class Check(Protocol):
    """One kind of damage."""

    @property
    def damage(self) -> Damage:
        """Which."""

    def find(self) -> Iterator[Fault]:
        """What is wrong now. Changes nothing."""

    def mend(self, fault: Fault) -> bool:
        """Mend it, if it is still so; False when there was nothing to mend any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lab:
    """Where the checks look."""

    store: Store
    doorbell: Doorbell
    settings: Settings
    owner: str
    deep: bool = False

    @property
    def stale_s(self) -> float:
        """Whoever was not heard of for that long does not live: several looks and leases."""
        return max(60.0, 3 * self.settings.look_s, 3 * self.settings.lease_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreCheck:
    """A kind that the store knows."""

    lab: Lab
    damage: Damage

    def find(self) -> Iterator[Fault]:
        """As the store finds it."""
        return self.lab.store.faults(self.damage, stale_s=self.lab.stale_s, deep=self.lab.deep)

    def mend(self, fault: Fault) -> bool:
        """As the store mends it."""
        return self.lab.store.mend(fault, stale_s=self.lab.stale_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseCheck:
    """Runs whose worker was not heard of."""

    lab: Lab
    damage: Damage = Damage.EXPIRED_LEASE

    def find(self) -> Iterator[Fault]:
        """Leases that are over on the server's clock."""
        for run in self.lab.store.expired(EXPIRED_AT_MOST):
            holder = f"{run.lease.worker} until {run.lease.until:%F %T} UTC" if run.lease else "nobody"
            text = f"attempt {run.attempt}, held by {holder}"
            yield Fault(damage=self.damage, place=str(run.attempt), id=run.id, text=text)

    def mend(self, fault: Fault) -> bool:
        """Rounds of repair until it is released, by us or by a worker.

        After an outage of MongoDB every lease is over although its holder lives: the rounds wait for one lease first.
        """
        settings = self.lab.settings
        deadline = time.monotonic() + 2 * settings.lease_s + 2 * settings.repair_s
        while (run := self._held(fault)) is not None and time.monotonic() < deadline:
            if run.lease is not None and run.lease.until > self.lab.store.now():
                return False  # its holder lives
            done = repair(self.lab.store, self.lab.doorbell, settings, self.lab.owner)
            if done is None or not (done.released or done.failed):
                time.sleep(min(1.0, settings.repair_s / 2))
        return self._held(fault) is None

    def _held(self, fault: Fault) -> Run | None:
        """The run, if that attempt still has it."""
        running = self.lab.store.runs(RunQuery(ids=(fault.id,), states=(State.RUNNING,)))
        return next((run for run in running if str(run.attempt) == fault.place), None)
