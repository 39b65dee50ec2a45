"""Repair and damage."""

from collections.abc import Iterator
from datetime import timedelta

from store.damage import Damage, Fault
from store.memory.shared import Held, Shared, best_first, claimable
from store.runs import Run


class Upkeep(Shared):
    """What the repair loop and the doctor ask."""

    def expired(self, limit: int = 100) -> list[Run]:
        """Running runs whose lease is over, `limit` at most."""
        now = self.now()
        return [run for run in self._runs.values() if run.lease is not None and run.lease.until < now][:limit]

    def held_by(self, worker_name: str) -> list[Run]:
        """Running runs whose lease this worker holds."""
        return [run for run in self._runs.values() if run.lease is not None and run.lease.worker == worker_name]

    def lock(self, name: str, owner: str, lease_s: float, gap_s: float) -> float | None:
        """Take or extend a named short lease."""
        with self._lock:
            now, held = self.now(), self._locks.get(name)
            if held is not None and held.taken > now:
                held = None  # the clock was set back: what was agreed before means nothing any more
            if held is not None and held.owner != owner and held.until >= now:
                return None
            steady = held is not None and held.until + timedelta(seconds=gap_s) >= now
            since = held.since if held is not None and steady else now
            self._locks[name] = Held(owner, now + timedelta(seconds=lease_s), since, now)
            return (now - since).total_seconds()

    def tidy(self, patience_s: float) -> int:  # noqa: ARG002
        """Nothing is ever left behind here."""
        return 0

    def ringable(self, limit: int) -> list[tuple[str, int, str]]:
        """Queued runs that anybody may claim now, best first."""
        now = self.now()
        waiting = (run for run in self._runs.values() if claimable(run, now))
        due = sorted((run for run in waiting if all(r.until <= now for r in run.refusals)), key=best_first)
        return [(run.id, run.attempt, run.queue) for run in due[:limit]]

    def faults(self, damage: Damage, *, stale_s: float, deep: bool = False) -> Iterator[Fault]:  # noqa: ARG002
        """Stale workers and locks; of files and histories nothing can be lost here."""
        now = self.now()
        if damage is Damage.STALE_WORKER:
            earliest = now - timedelta(seconds=stale_s)
            for worker in [one for one in self._workers.values() if one.seen_at is None or one.seen_at < earliest]:
                yield Fault(damage=damage, place="workers", id=worker.name, text=f"not seen since {worker.seen_at}")
        if damage is Damage.STALE_LOCK:
            for name, held in list(self._locks.items()):
                if held.taken > now or held.until > now + timedelta(days=1):
                    yield Fault(damage=damage, place="locks", id=name, text=f"held by {held.owner} until {held.until}")

    def mend(self, fault: Fault, *, stale_s: float) -> bool:
        """Forget it, if it is still so."""
        with self._lock:
            if fault.mark not in {one.mark for one in self.faults(fault.damage, stale_s=stale_s)}:
                return False
            del (self._workers if fault.damage is Damage.STALE_WORKER else self._locks)[fault.id]
            return True
