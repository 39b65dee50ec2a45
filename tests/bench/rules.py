"""What the rules round costs: python tests/bench/rules.py [--events 20000]

Prints one JSON object; times per event are processor time of the notifier alone, without MongoDB's:

    idle_ms                 a round in which nothing has happened (median of 200)
    unasked_us              per event, of runs about which nobody wants to be told
    asked_us                per event, of runs with `to` in [notify]: a notice each (or its place in a digest)
    ruled_us                per event, of runs with ten rules of everybody, with conditions and a daily digest
"""

import argparse
import json
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from notify.rules import round as rounds
from notify.rules.round import RulesRound
from store.mongo import MongoStore, open_store
from store.mongo.codec import to_documents
from store.query import Compared, Metric, Op
from store.rules import Rate, Rule, RuleBook, Scope, When
from store.runs import MetricSummary, Notify, Run, Task
from store.servers import lifecycle
from store.servers.places import places
from store.settings import Settings
from store.states import State


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=20_000)
    events = parser.parse_args().events
    home = Path(tempfile.mkdtemp(prefix="labq-bench-"))
    settings = Settings(home=home)
    lifecycle.up(settings)
    try:
        store = open_store(places(home).mongo_url, "bench", 10.0)
        figures = {"events": events, "idle_ms": round(idle(store) * 1e3, 2)}
        figures["unasked_us"] = per_event(store, "unasked", events, Notify())
        figures["asked_us"] = per_event(store, "asked", events, Notify(to=("me@lab.example",)))
        store.set_rules(RuleBook(scope=Scope.EVERYBODY, rules=tuple(rule(number) for number in range(10))))
        figures["ruled_us"] = per_event(store, "ruled", events, Notify())
        store.close()
    finally:
        lifecycle.down(settings)
        shutil.rmtree(home, ignore_errors=True)
    print(json.dumps(figures))


def idle(store: MongoStore) -> float:
    looking, took = RulesRound(store, Settings(), "bench"), []
    for _ in range(200):
        began = time.perf_counter()
        looking.once()
        took.append(time.perf_counter() - began)
    return statistics.median(took)


def rule(number: int) -> Rule:
    """Every second run meets the first one's condition, none that of the others."""
    below = Compared(field=Metric(name="loss"), op=Op.LESS, value=0.5 if number == 0 else -1.0)
    when = When.DAILY if number == 0 else When.AT_ONCE
    return Rule(
        name=f"r{number}",
        on=("finished",),
        to=(f"u{number}@lab.example",),
        where=below,
        when=when,
        at_most=Rate(count=10**6),
    )


def per_event(store: MongoStore, name: str, events: int, notify: Notify) -> float:
    now = store.now()
    runs = [
        Run(
            id=f"{name}{number:06}", key=f"{name}{number}", experiment=name, params={"lr": number}, notify=notify,
            task=Task(command=("true",), workdir="/"), queued_at=now, state=State.FINISHED, attempt=1, index=number,
            summary={"loss": MetricSummary(last=float(number % 2), last_step=1, count=1)},
        )
        for number in range(events)
    ]  # fmt: skip
    for start in range(0, events, 2000):
        some = runs[start : start + 2000]
        store.database["runs"].insert_many(to_documents(some), ordered=False)
        store.database["events"].insert_many(
            [{"run": run.id, "attempt": 1, "event": "finished", "at": now, "owed": "finished"} for run in some]
        )
    looking = RulesRound(store, Settings(), "bench")
    began = time.process_time()
    while store.owed(1):
        looking.once()
    assert events > rounds.PAGE
    return round((time.process_time() - began) / events * 1e6, 1)


if __name__ == "__main__":
    main()
