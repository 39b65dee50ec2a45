"""`labq scale`: rounds that keep as many places as the queue can use.

All it knows is in the store and at the scheduler, so it may be killed at any moment: places are recorded before they
are asked for. Two of them are safe: one decides at a time, under a lock, and what the other asked for is counted.
"""

import os
import socket
from dataclasses import dataclass, replace

from store.allocations import Allocation, JobWanted
from store.identity import user_name
from store.logbook import say, warn
from store.runs import Resources
from store.settings import Settings
from store.store import Store
from worker.cluster.cluster import Cluster
from worker.cluster.look import look
from worker.cluster.own_jobs import AT_MOST, Group, ask_for, grouped
from worker.cluster.place import Place
from worker.cluster.scaling import Decision, Situation, decide
from worker.cluster.submit import Asked, Submitter

_COUNT_AT_MOST = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaled:
    """What a round did. `refusal`: the scheduler's words, when it took less than was wanted."""

    asked: tuple[str, ...] = ()
    given_back: tuple[str, ...] = ()
    open: int = 0
    because: str = ""
    refusal: str = ""
    is_ours: bool = True
    """Whether another scaler decides just now."""


class Scaler:
    """One queue in one cluster."""

    def __init__(
        self, store: Store, cluster: Cluster, settings: Settings, place: Place, most: int, every_s: float
    ) -> None:
        self._store, self._cluster, self._place, self._most = store, cluster, place, most
        self._settings = settings
        self._submitter = Submitter(store, cluster, settings)
        self._lock = f"scale {cluster.scheduler} {cluster.name()} {user_name()} {place.queue}"
        self._owner = f"{socket.gethostname()}-{os.getpid()}"
        self._lease_s = 3 * every_s + 10

    def round(self) -> Scaled:
        """Raises StoreUnavailable, SchedulerUnavailable."""
        if not self._decides():
            return Scaled(is_ours=False)
        mine = [one for one in look(self._store, self._cluster) if one.queue == self._place.queue]
        open_ones = [one for one in mine if not one.is_over]
        own = self._without_job(open_ones)
        decision = self._decided(mine, open_ones, len(own))
        self._give_back(decision, open_ones)
        asked = self._asked_for([*grouped(own[: decision.own], self._place), *self._shared(decision)])
        return Scaled(
            asked=asked.ids,
            given_back=decision.give_back,
            open=len(open_ones) + len(asked.ids) - len(decision.give_back),
            because=decision.because,
            refusal=asked.refusal,
        )

    def _without_job(self, open_ones: list[Allocation]) -> list[JobWanted]:
        served = {one.run for one in open_ones}
        wanted = self._store.jobs_wanted(self._cluster.scheduler, self._place.queue, user_name(), AT_MOST)
        return [one for one in wanted if one.run not in served]

    def _shared(self, decision: Decision) -> list[Group]:
        return [Group(place=with_shape(self._place, shape), count=count) for shape, count in decision.ask]

    def _asked_for(self, groups: list[Group]) -> Asked:
        """A refusal of one kind does not keep the others from being asked for."""
        taken: list[str] = []
        refusal = ""
        for group in groups:
            if not self._decides():  # looking took longer than our lease, and somebody else has begun
                break
            asked = ask_for(self._submitter, [group], scaled=True)
            taken += asked.ids
            refusal = asked.refusal or refusal
        return Asked(ids=tuple(taken), refusal=refusal)

    def leave(self) -> None:
        """Let another scaler decide at once."""
        self._store.lock(self._lock, self._owner, 0.0, gap_s=0.0)

    def _decides(self) -> bool:
        return self._store.lock(self._lock, self._owner, self._lease_s, gap_s=0.0) is not None

    def _decided(self, mine: list[Allocation], open_ones: list[Allocation], own: int) -> Decision:
        queue = self._place.queue
        living = [worker for worker in self._store.workers(self._settings.living_s) if queue in worker.queues]
        return decide(
            Situation(
                demands=self._store.demands(queue, _COUNT_AT_MOST),
                base=self._place.offers,
                most=self._most,
                now=self._store.now(),
                open_ones=open_ones,
                over=[one for one in mine if one.is_over],
                living=living,
                own=own,
            )
        )

    def _give_back(self, decision: Decision, open_ones: list[Allocation]) -> None:
        if decision.give_back:
            self._cluster.cancel([one.job for one in open_ones if one.id in decision.give_back and one.job])


def with_shape(place: Place, shape: Resources) -> Place:
    """The same, with what these runs want."""
    return replace(place, gpus=shape.gpus, cpus=shape.cpus or 1, memory_bytes=shape.memory_bytes)


def tell(scaled: Scaled, before: Scaled | None) -> None:
    """A line when something was done, or when what keeps us from more is another thing than before."""
    if scaled.asked or scaled.given_back:
        say("scaled", asked=len(scaled.asked), given_back=len(scaled.given_back), places=scaled.open)
    if scaled.refusal and (before is None or scaled.refusal != before.refusal):
        warn("refused", words=scaled.refusal)
    if scaled.because and (before is None or scaled.because != before.because):
        say("no-more", because=scaled.because)
    if not scaled.is_ours and (before is None or before.is_ours):
        say("another-scaler-decides")
