"""Two processes that decide at once on a real MongoDB, and are killed with SIGKILL before or after any of their writes."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from store.mongo import MongoStore
from store.runs import Run
from store.servers.places import places
from store.settings import Settings
from store.states import ENDED, State

UNIT = Path(__file__).parents[1] / "unit"
sys.path.insert(0, str(UNIT))

from stopping_lab import SETTINGS, Bell, Lab, falling  # noqa: E402

WRITES = ("reach", "save_courses", "change", "mark_read")


def decide(url: str, database: str, seed: int) -> None:
    """A decider: rounds without a pause, each of its writes perhaps the last thing it does."""
    from queueing.stopping.round import judge_runs
    from store.mongo import open_store

    store = open_store(url, database, 10.0)
    draw = random.Random(seed)

    def deadly(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **more: Any) -> Any:
            if draw.random() < 0.03:
                os.kill(os.getpid(), signal.SIGKILL)
            done = real(*given, **more)
            if draw.random() < 0.03:
                os.kill(os.getpid(), signal.SIGKILL)
            return done

        return call

    for name in WRITES:
        setattr(store, name, deadly(getattr(store, name)))
    while True:
        judge_runs(store, Bell(), SETTINGS, f"decider-{seed}")  # type: ignore[arg-type]


class Deciders:
    """Two of them; a new one for each that dies."""

    def __init__(self, url: str, database: str) -> None:
        self.url, self.database = url, database
        self.started = 0
        self.living: list[subprocess.Popen[bytes]] = []

    def keep_two(self) -> None:
        self.living = [one for one in self.living if one.poll() is None]
        while len(self.living) < 2:
            self.started += 1
            arguments = [self.url, self.database, str(self.started)]
            self.living.append(subprocess.Popen([sys.executable, __file__, *arguments]))

    def end(self) -> None:
        for one in self.living:
            one.kill()
            one.wait()


@pytest.fixture
def deciders(servers: Settings, mongo_store: MongoStore) -> Iterator[Deciders]:
    made = Deciders(places(servers.home).mongo_url, mongo_store.database.name)
    yield made
    made.end()


def is_digested(store: MongoStore, runs: list[Run]) -> bool:
    """Everything that was reported has been read, and what was decided is carried out."""
    running = [run for run in runs if run.state is State.RUNNING]
    courses = store.courses([run.id for run in running])
    for run in running:
        course = courses.get(run.id)
        if course is None or (course.attempt, course.line) != (run.attempt, run.shipped.events_lines):
            return False
        if course.ruling is not None and run.wish is None:
            return False
    return not any(run.judged.unread for run in runs)


@pytest.mark.timeout(280)
@pytest.mark.parametrize("rule", [{"rule": "halving"}, {"rule": "asha", "promote": "resume"}, {"rule": "asha"}])
def test_nothing_is_decided_twice(mongo_store: MongoStore, deciders: Deciders, rule: dict[str, Any]) -> None:
    curves = {f"run{number}": falling(0.1 + 0.08 * number) for number in range(9)}
    rules = {"metric": "loss", "min": 1, "max": 10, **rule}
    lab = Lab(rules, curves, epochs=10, workers=9, store=mongo_store)  # type: ignore[arg-type]
    deadline = time.monotonic() + 240
    while not all(run.state in ENDED for run in lab.runs()):
        assert time.monotonic() < deadline, [(run.id, run.state, run.judged) for run in lab.runs()]
        lab.claim()
        for run in lab.running():
            lab.report(run)
        while not is_digested(mongo_store, lab.runs()):
            assert time.monotonic() < deadline, [(run.id, run.state, run.judged) for run in lab.runs()]
            deciders.keep_two()
            time.sleep(0.01)
        for run in lab.running():
            lab.heed(run)
    assert deciders.started > 2
    assert lab.store.run("run0").state is State.FINISHED
    for run in lab.runs():
        said = [event for event in mongo_store.events(run.id) if event.event in ("stop", "pause", "resume")]
        assert sum(event.event == "stop" for event in said) == (run.state is State.CANCELLED)
        held = [event.because.split(" is ")[0].split(";")[0] for event in said if event.event == "pause"]
        assert len(held) == len(set(held)), held
        assert sum(event.event == "resume" for event in said) <= len(held)


if __name__ == "__main__":
    decide(sys.argv[1], sys.argv[2], int(sys.argv[3]))
