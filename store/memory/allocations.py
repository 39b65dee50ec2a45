"""Places asked of schedulers."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from store.allocations import OVER, Allocation, JobWanted, Phase, Sighting
from store.memory.shared import Shared, best_first, claimable
from store.runs import Resources
from store.schedulers import Scheduler


class Allocations(Shared):
    """One record per place."""

    def demands(self, queue: str, limit: int) -> dict[Resources, int]:
        """How many runs of a queue could be claimed now, by what they ask for."""
        now = self.now()
        waiting = [run for run in self._runs.values() if run.queue == queue and claimable(run, now)]
        return {wanted: min(count, limit) for wanted, count in Counter(run.resources for run in waiting).items()}

    def jobs_wanted(self, on: Scheduler, queue: str, owner: str, limit: int) -> list[JobWanted]:
        """Runs of this user that wait for a job of their own."""
        now = self.now()
        waiting = [run for run in self._runs.values() if run.queue == queue and claimable(run, now)]
        mine = sorted((run for run in waiting if run.resources.on is on and run.owner == owner), key=best_first)
        counts: Counter[Resources] = Counter()
        wanted = []
        for run in mine:
            counts[run.resources] += 1
            if counts[run.resources] <= limit:
                wanted.append(JobWanted(run=run.id, queue=queue, resources=run.resources))
        return wanted

    def add_allocations(self, allocations: Sequence[Allocation]) -> None:
        """Record them; one that is there stays as it is."""
        with self._lock:
            for one in allocations:
                fresh = replace(one, created_at=self.now(), started_at=None, ended_at=None)
                self._allocations.setdefault(one.id, fresh)

    def allocations(self, over_within_s: float) -> list[Allocation]:
        """Those that are not over, and those that have been for at most so long; oldest first."""
        earliest = self.now() - timedelta(seconds=over_within_s)
        recent = [a for a in self._allocations.values() if a.ended_at is None or a.ended_at >= earliest]
        return sorted(recent, key=lambda one: (_known(one.created_at), one.id))

    def sight(self, sightings: Sequence[Sighting]) -> None:
        """Record what is known now."""
        with self._lock:
            for one in sightings:
                if one.id in self._allocations:
                    self._allocations[one.id] = _sighted(self._allocations[one.id], one, self.now())


def _sighted(known: Allocation, now_known: Sighting, now: datetime) -> Allocation:
    return replace(
        known,
        phase=now_known.phase,
        job=now_known.job,
        node=now_known.node,
        says=now_known.says,
        started_at=(known.started_at or now) if now_known.phase is Phase.RUNNING else known.started_at,
        ended_at=(known.ended_at or now) if now_known.phase in OVER else None,
    )


def _known(moment: datetime | None) -> datetime:
    assert moment is not None
    return moment
