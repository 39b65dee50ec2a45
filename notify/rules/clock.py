"""What the clock says: so much time has passed, a worker is not seen any more, a disk is low. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from notify.rules.happenings import Happening
from notify.rules.holding import Holding
from notify.rules.words import disk_words, lost_words, running_words
from store.occasions import Occasion
from store.runs import Run
from store.telling import Remembered
from store.workers import Worker

WORKERS_BACK_S = 3 * 86400.0
"""Workers that were lost longer ago are nobody's news."""
_ENOUGH = 1.1
"""Of its floor a disk must have before it can be low again."""


def every_id(holding: Holding) -> str:
    """Under which name it is remembered of which runs a rule has told, and how often."""
    return f"every/{holding.key}"


def passed(
    memory: Remembered, holding: Holding, running: Sequence[Run], now: datetime
) -> tuple[Remembered, list[Happening]]:
    """Runs of which it is time to tell again. Times that were missed are told once."""
    happened, marks = [], {}
    for run in running:
        began = run.history[-1].started_at if run.history else run.started_at or now
        times, key = int((now - began).total_seconds() // holding.rule.every_s), f"{run.id}-{run.attempt}"
        if times < 1:
            continue
        marks[key] = float(times)
        if times > memory.marks.get(key, 0):
            happened.append(_every(run, times, now))
    return replace(memory, marks=marks), happened


def _every(run: Run, times: int, now: datetime) -> Happening:
    return Happening(
        key=f"{run.id}-{run.attempt}-every-{times}",
        about=Occasion.EVERY,
        words=frozenset({Occasion.EVERY.value}),
        at=now,
        experiment=run.experiment,
        owner=run.owner,
        run=run,
        attempt=run.attempt,
        text=running_words(run),
    )


def lost(
    memory: Remembered, workers: Sequence[Worker], runs: Mapping[str, Run], living_s: float, now: datetime
) -> tuple[Remembered, list[Happening]]:
    """Workers not seen for so long that have not said goodbye, each once until it comes back."""
    gone = unseen(workers, living_s, now)
    marks = {worker.name: worker.seen_at.timestamp() for worker in gone if worker.seen_at is not None}
    news = [worker for worker in gone if memory.marks.get(worker.name) != marks[worker.name]]
    return replace(memory, marks=marks), [_lost(worker, runs.get(worker.run or "")) for worker in news]


def unseen(workers: Sequence[Worker], living_s: float, now: datetime) -> list[Worker]:
    """Those who should have been seen since."""
    since = now - timedelta(seconds=living_s)
    return [worker for worker in workers if worker.seen_at is not None and worker.seen_at < since]


def _lost(worker: Worker, run: Run | None) -> Happening:
    assert worker.seen_at is not None
    return Happening(
        key=f"worker-{worker.name}-{int(worker.seen_at.timestamp())}",
        about=Occasion.WORKER_LOST,
        words=frozenset({Occasion.WORKER_LOST.value}),
        at=worker.seen_at,
        experiment=run.experiment if run else "",
        owner=run.owner if run else "",
        run=run,
        attempt=run.attempt if run else 0,
        worker=worker.name,
        text=lost_words(worker),
    )


def low(memory: Remembered, workers: Sequence[Worker], now: datetime) -> tuple[Remembered, list[Happening]]:
    """Hosts on which no run begins because their disk is full, each once until it has room again."""
    happened, marks = [], {}
    for host, (free, floor, worker) in _disks(workers).items():
        if free < floor or (host in memory.marks and free < _ENOUGH * floor):
            marks[host] = memory.marks.get(host, now.timestamp())
        if free < floor and host not in memory.marks:
            happened.append(_low(host, free, floor, worker, now))
    return replace(memory, marks=marks), happened


def _disks(workers: Sequence[Worker]) -> dict[str, tuple[int, int, str]]:
    """Of each host what its workers saw least of."""
    found: dict[str, tuple[int, int, str]] = {}
    for worker in workers:
        if worker.disk_free_bytes is not None:
            seen = (worker.disk_free_bytes, worker.disk_floor_bytes, worker.name)
            found[worker.host] = min(seen, found.get(worker.host, seen))
    return found


def _low(host: str, free_bytes: int, floor_bytes: int, worker: str, now: datetime) -> Happening:
    return Happening(
        key=f"disk-{host}-{int(now.timestamp())}",
        about=Occasion.DISK_LOW,
        words=frozenset({Occasion.DISK_LOW.value}),
        at=now,
        worker=worker,
        text=disk_words(host, free_bytes, floor_bytes),
    )
