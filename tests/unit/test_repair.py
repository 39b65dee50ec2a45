"""Rounds of repair against a clock that the test moves: an outage of any length releases nobody who lives."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from queueing import repair as rounds
from queueing.doorbell import Doorbell
from queueing.repair import RELEASE_AT_MOST, repair
from store.memory import MemoryStore
from store.runs import Run, Task
from store.settings import Settings
from store.states import State
from store.workers import Worker

SETTINGS = Settings()
WORKER = Worker(name="holder", host="here", pid=1, cpus=4, memory_bytes=1 << 30)
AWAY = Doorbell("unix:///nowhere/redis.sock", 0.1)


class Clock:
    def __init__(self) -> None:
        self.s = 0.0

    def __call__(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.s)


def a_lab(runs: int = 1) -> tuple[Clock, MemoryStore]:
    clock = Clock()
    store = MemoryStore(clock)
    ids = [f"r{number:03}" for number in range(runs)]
    task = Task(command=("true",), workdir="/")
    store.add_runs([Run(id=one, key=one, experiment="x", params={}, task=task, queued_at=clock()) for one in ids])
    while store.claim(WORKER, SETTINGS.lease_s):
        pass
    return clock, store


def seconds(clock: Clock, until_s: float) -> Iterator[float]:
    while clock.s < until_s:
        clock.s += 0.5
        yield clock.s


@pytest.mark.parametrize("every_s", [SETTINGS.repair_s, SETTINGS.look_s])
def test_no_outage_releases_a_run_whose_holder_lives(every_s: float) -> None:
    for away_s in range(1, 60):
        clock, store = a_lab()
        cut_s, back_s = 60.0, 60.0 + away_s
        for now_s in seconds(clock, back_s + 2 * SETTINGS.lease_s):
            if cut_s < now_s < back_s:
                continue
            if (now_s - back_s) % every_s == 0:  # at the end of the outage the repairer comes first …
                repair(store, AWAY, SETTINGS, "repairer")
            if (now_s - cut_s) % SETTINGS.renew_s == 4.5:  # … and the holder asked 4.5 s before its beginning
                store.renew("r000", 1, SETTINGS.lease_s)
        assert store.run("r000").attempt == 1
        assert store.run("r000").state is State.RUNNING, f"released after {away_s} s without MongoDB"


@pytest.mark.parametrize("every_s", [SETTINGS.repair_s, SETTINGS.look_s])
def test_a_dead_holder_loses_its_run_soon_after_its_lease(every_s: float) -> None:
    clock, store = a_lab()
    for now_s in seconds(clock, SETTINGS.lease_s + every_s + 0.5):
        if now_s % every_s == 0:
            repair(store, AWAY, SETTINGS, "repairer")
    assert store.run("r000").state is State.QUEUED


def steady(clock: Clock, store: MemoryStore) -> None:
    for now_s in seconds(clock, SETTINGS.lease_s + SETTINGS.repair_s - 0.5):
        if now_s % SETTINGS.repair_s == 0:
            repair(store, AWAY, SETTINGS, "repairer")
    clock.s += 1.0


def test_a_round_releases_a_limited_number_and_says_that_more_are_waiting() -> None:
    clock, store = a_lab(2 * RELEASE_AT_MOST)
    steady(clock, store)
    sizes = []
    while (done := repair(store, AWAY, SETTINGS, "repairer")) is not None:
        sizes.append((len(done.released), done.unfinished))
        if not done.unfinished:
            break
    assert sizes == [(RELEASE_AT_MOST, True), (RELEASE_AT_MOST, False)]


def test_a_slow_round_ends_in_time_for_the_next_renewal(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, store = a_lab(10)
    steady(clock, store)
    ticks = iter(range(1000))
    monkeypatch.setattr(rounds.time, "monotonic", lambda: float(next(ticks)))
    done = repair(store, AWAY, SETTINGS, "repairer")
    assert done is not None
    assert 0 < len(done.released) < 10
    assert done.unfinished
