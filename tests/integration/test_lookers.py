"""Lookers on a real MongoDB: two at once, killed with SIGKILL before or after any of their writes, frozen, or alone with
a run that nobody can read; and MongoDB that goes away."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from notify.looking.looker import Looker
from store.findings import Disease, Severity
from store.metrics import Point, Shipment, segments, summarize
from store.mongo import MongoStore, open_store
from store.runs import Ending, Run, Task
from store.servers import lifecycle
from store.servers.places import places
from store.settings import Settings
from store.states import State
from store.store import Settlement
from store.workers import Worker

WRITES = ("put_diagnosis", "put_looks", "lock")
SETTINGS = Settings(diagnose_s=0.05)
SICK = 4
"""Of every so many runs one diverges."""


def look(url: str, database: str, seed: int) -> None:
    """A looker without a pause, each of its writes perhaps the last thing it does."""
    store = open_store(url, database, 10.0)
    draw = random.Random(seed)

    def deadly(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **more: Any) -> Any:
            if draw.random() < 0.1:
                os.kill(os.getpid(), signal.SIGKILL)
            done = real(*given, **more)
            if draw.random() < 0.1:
                os.kill(os.getpid(), signal.SIGKILL)
            return done

        return call

    for name in WRITES:
        setattr(store, name, deadly(getattr(store, name)))
    while True:
        Looker(SETTINGS, f"looker-{seed}").turn(store, 1.0)


@pytest.fixture
def lookers(servers: Settings, mongo_store: MongoStore) -> Iterator[Callable[[], int]]:
    """Keeps two of them alive, and says how many have been started."""
    living: list[subprocess.Popen[bytes]] = []
    started = 0

    def keep_two() -> int:
        nonlocal started
        living[:] = [one for one in living if one.poll() is None]
        while len(living) < 2:
            started += 1
            arguments = [places(servers.home).mongo_url, mongo_store.database.name, str(started)]
            living.append(subprocess.Popen([sys.executable, __file__, *arguments]))
        return started

    yield keep_two
    for one in living:
        one.kill()
        one.wait()


def running(store: MongoStore, number: int) -> Run:
    run = Run(
        id=f"run{number:03}", key=f"k{number}", experiment="exp", params={"lr": 0.1}, index=number,
        task=Task(command=("true",), workdir="/"), queued_at=datetime.now(UTC),
    )  # fmt: skip
    store.add_runs([run])
    claimed = store.claim(Worker(name="w", host="h", pid=1), 1e6)
    assert claimed is not None
    return store.begin(claimed.id, claimed.attempt, None, {})


def report(store: MongoStore, run_id: str, first: int, last: int) -> None:
    """A loss that falls; that of every fourth run turns round at step 60."""
    run, now = store.run(run_id), time.time()
    sick = int(run_id[3:]) % SICK == 0

    def loss(step: int) -> float:
        return 0.2 + 2.0 * 0.93**step + (1.2 ** (step - 60) if sick and step > 60 else 0.0)

    points = [
        Point(name="train_loss", step=s, time=now - 200 + s, value=loss(s), line=s + 1, index=s)
        for s in range(first, last)
    ]
    size = run.shipped.events_bytes
    shipment = Shipment(events_from=size, events_to=size + 1, lines_to=last, segments=segments(points), output_from=0)
    store.ship(run.id, run.attempt, shipment, summarize(run.summary, shipment.segments))


def diverged(store: MongoStore, run_id: str) -> list[tuple[str, Severity]]:
    """What was told of it, each time."""
    told = [event.finding for event in store.events(run_id) if event.finding is not None]
    return [(one.about, one.severity) for one in told if one.disease is Disease.DIVERGENCE]


@pytest.mark.timeout(280)
def test_findings_are_told_once_whoever_is_killed(mongo_store: MongoStore, lookers: Callable[[], int]) -> None:
    runs = [running(mongo_store, number).id for number in range(12)]
    for first in range(0, 100, 20):
        for run_id in runs:
            report(mongo_store, run_id, first, first + 20)
        lookers()
        time.sleep(0.5)
    for run_id in runs:
        mongo_store.settle(run_id, 1, Settlement(state=State.FINISHED, ending=Ending(exit_code=0)))
    deadline = time.monotonic() + 200
    while not all(one.over and one.lines == 100 for one in mongo_store.diagnoses(runs).values()) or (
        len(mongo_store.diagnoses(runs)) < len(runs)
    ):
        assert time.monotonic() < deadline, mongo_store.diagnoses(runs)
        started = lookers()
        time.sleep(0.05)
    assert started > 2
    for number, run_id in enumerate(runs):
        kept = {one.disease for one in mongo_store.diagnoses([run_id])[run_id].standing}
        assert (Disease.DIVERGENCE in kept) == (number % SICK == 0), run_id
        told = diverged(mongo_store, run_id)
        assert bool(told) == (number % SICK == 0), run_id
        assert len(told) == len(set(told)), run_id


def test_a_looker_that_was_frozen_undoes_nothing(mongo_store: MongoStore, servers: Settings) -> None:
    """It is stopped between what it has read and what it writes, and goes on when another has looked."""
    run = running(mongo_store, 0)
    report(mongo_store, run.id, 0, 20)
    arguments = [places(servers.home).mongo_url, mongo_store.database.name, "frozen"]
    with subprocess.Popen([sys.executable, __file__, *arguments], stdout=subprocess.PIPE) as frozen:
        assert frozen.stdout is not None
        assert frozen.stdout.readline() == b"about to write\n"
        os.kill(frozen.pid, signal.SIGSTOP)
        report(mongo_store, run.id, 20, 100)
        time.sleep(0.2)
        Looker(SETTINGS, "other").turn(mongo_store, 5.0)
        before = mongo_store.diagnoses([run.id])[run.id]
        assert before.lines == 100
        os.kill(frozen.pid, signal.SIGCONT)
        assert frozen.wait(timeout=60) == 0
    assert mongo_store.diagnoses([run.id])[run.id] == before


def look_and_freeze(url: str, database: str) -> None:
    store = open_store(url, database, 10.0)

    def announced(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **more: Any) -> Any:
            if given and given[0]:
                print("about to write", flush=True)
                time.sleep(1.0)
            return real(*given, **more)

        return call

    for name in ("put_diagnosis", "put_looks"):
        setattr(store, name, announced(getattr(store, name)))
    Looker(SETTINGS, "frozen").turn(store, 5.0)


def test_a_run_that_nobody_can_read_blinds_nobody(mongo_store: MongoStore) -> None:
    odd, sick = running(mongo_store, 1), running(mongo_store, 0)
    report(mongo_store, odd.id, 0, 100)
    report(mongo_store, sick.id, 0, 100)
    mongo_store.database["runs"].update_one({"_id": odd.id}, {"$set": {"task": "spoiled by hand"}})
    mongo_store.database["metrics"].update_one({"run": odd.id}, {"$set": {"value": ["x"]}})
    for _ in range(3):
        time.sleep(0.1)
        Looker(SETTINGS, "me").turn(mongo_store, 5.0)
    assert diverged(mongo_store, sick.id)
    assert mongo_store.diagnoses([odd.id])[odd.id].findings == ()


@pytest.mark.prompt
def test_mongodb_that_goes_away_ends_no_looker(tmp_path: Any) -> None:
    import shutil
    import tempfile
    from pathlib import Path

    home = Path(tempfile.mkdtemp(prefix="labq-test-"))
    settings = replace(SETTINGS, home=home)
    lifecycle.up(settings)
    store = open_store(places(home).mongo_url, "away", 1.0)
    try:
        run = running(store, 0)
        report(store, run.id, 0, 100)
        lifecycle.down(settings)
        looker = Looker(settings, "me")
        began = time.monotonic()
        looker.turn(store, 5.0)
        assert time.monotonic() - began < 5.0
        lifecycle.up(settings)
        deadline = time.monotonic() + 30
        while not diverged(store, run.id):
            assert time.monotonic() < deadline
            time.sleep(0.1)
            looker.turn(store, 5.0)
    finally:
        store.close()
        lifecycle.down(settings)
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    if sys.argv[3] == "frozen":
        look_and_freeze(sys.argv[1], sys.argv[2])
    else:
        look(sys.argv[1], sys.argv[2], int(sys.argv[3]))
