"""Live workers and orders to leave."""

from dataclasses import replace
from datetime import timedelta

from store.memory.shared import Shared
from store.workers import Drain, Worker


class Crew(Shared):
    """Workers and drains."""

    def seen(self, worker: Worker) -> Drain | None:
        """This worker lives; is it, or its host, to leave?"""
        now = self.now()
        self._workers[worker.name] = replace(worker, seen_at=now)
        orders = [self._drains[name] for name in (worker.name, worker.host) if name in self._drains]
        due = [drain for drain in orders if drain.from_at is not None and drain.from_at <= now]
        return min(due, key=lambda drain: drain.after_current, default=None)

    def gone(self, worker_name: str) -> None:
        """This worker left."""
        self._workers.pop(worker_name, None)
        self._drains.pop(worker_name, None)

    def workers(self, within_s: float) -> list[Worker]:
        """Workers seen lately."""
        earliest = self.now() - timedelta(seconds=within_s)
        recent = [w for w in self._workers.values() if w.seen_at is not None and w.seen_at >= earliest]
        return sorted(recent, key=lambda worker: worker.name)

    def drain(self, drain: Drain, in_s: float = 0.0) -> None:
        """An order to leave, from `in_s` seconds on."""
        self._drains[drain.target] = replace(drain, from_at=self.now() + timedelta(seconds=in_s))

    def undrain(self, target: str) -> bool:
        """Take the order back."""
        return self._drains.pop(target, None) is not None

    def drains(self) -> list[Drain]:
        """All orders, by target."""
        return [self._drains[target] for target in sorted(self._drains)]
