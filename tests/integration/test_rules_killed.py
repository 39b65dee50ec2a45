"""A notifier that is killed in the middle of the write in which it deals with events."""

import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime

import pytest

from notify.rules.round import RulesRound
from store.errors import StoreUnavailable
from store.mongo import MongoStore
from store.notices import Notice
from store.occasions import Occasion
from store.rules import Rule, RuleBook, Scope, When
from store.runs import Ending, Notify, Run, Task
from store.servers.places import places
from store.settings import Settings
from store.states import State
from store.store import Settlement
from store.workers import Worker

WORKER = Worker(name="w", host="h", pid=1, memory_bytes=1 << 40)
RUNS = 7
KILLED = """
import os, signal, sys
from notify.rules.round import RulesRound
from store.mongo import open_store
from store.mongo.telling import Tellings
from store.settings import Settings

url, database, step = sys.argv[1:]
store = open_store(url, database, 10.0)
real = getattr(Tellings, step)

def work(*given, **named):
    real(*given, **named)
    os.kill(os.getpid(), signal.SIGKILL)

setattr(Tellings, step, work)
RulesRound(store, Settings(), "killed").once(alone=True)
"""


@pytest.mark.parametrize("step", ["_deal_with", "_remember", "_gather", "_owe", "owe"])
def test_whoever_is_killed_at_any_step_of_the_write_leaves_all_of_it_or_nothing(
    servers: Settings, mongo_store: MongoStore, step: str
) -> None:
    daily = Rule(name="daily", on=("finished",), to=("daily@lab.example",), when=When.DAILY)
    over = Rule(name="over", on=("sweep-finished",), to=("over@lab.example",))
    mongo_store.set_rules(RuleBook(scope=Scope.EVERYBODY, rules=(daily, over)))
    for number in range(RUNS):
        carry_out(mongo_store, f"run{number}")
    killed = [sys.executable, "-c", KILLED, places(servers.home).mongo_url, mongo_store.database.name, step]
    assert subprocess.run(killed, timeout=60).returncode == -9
    left = len(mongo_store.owed(100))
    assert left == (0 if step == "owe" else RUNS), "after `owe` the write is done, before its end nothing is"
    assert len(told(mongo_store)) == (RUNS if step == "owe" else 0)
    finish(mongo_store)
    found = mongo_store.notices()
    assert Counter(one.run for one in told(mongo_store)) == Counter(f"run{number}" for number in range(RUNS))
    parts = [part.run for one in found if one.about is Occasion.DIGEST for part in one.parts]
    assert Counter(parts) == Counter(f"run{number}" for number in range(RUNS))
    assert sum(one.about is Occasion.SWEEP_FINISHED for one in found) == 1


def finish(store: MongoStore) -> None:
    """The server gives up the transaction of the killed one after ten seconds; others wait for that."""
    while True:
        try:
            RulesRound(store, Settings(), "next").once(alone=True)
        except StoreUnavailable:
            continue
        if not store.owed(1):
            return


def told(store: MongoStore) -> list[Notice]:
    return [one for one in store.notices() if one.about is Occasion.FINISHED]


def carry_out(store: MongoStore, name: str) -> None:
    told_of = Notify(to=("me@lab.example",))
    task = Task(command=("true",), workdir="/")
    now = datetime.now(UTC)
    run = Run(id=name, key=name, experiment="exp", params={}, task=task, queued_at=now, notify=told_of)
    store.add_runs([run])
    claimed = store.claim(WORKER, 60)
    assert claimed is not None
    store.begin(name, 1, None, {})
    store.settle(name, 1, Settlement(state=State.FINISHED, ending=Ending(exit_code=0)))
