"""How long questions about very many runs take: python tests/bench/queries.py [--runs 1000000] [--home FOLDER]

Fills a database by raw inserts (five minutes for a million runs; a FOLDER is kept and not filled again), asks each
question below a few times, and prints one JSON object: milliseconds of the first answer and the median of all, from the
text of the query to the Run objects of a page of 50. Questions that begin with "all:" read every run that matches.
"""

import argparse
import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from million import BIG, fill

from queueing.query import columns as named
from queueing.query.asking import known_names, runs_where, understood
from store.connect import connect
from store.grouping import Grouping
from store.mongo import MongoStore
from store.servers import lifecycle
from store.settings import Settings
from store.store import RunQuery

PAGE = 50
ROUNDS = 5
MIDDLE = "exp-{:04}"


def questions(count: int, middle: str) -> dict[str, dict[str, Any]]:
    """Name of a question: what `runs_where` is given. `AFTER` is a run in the middle of the list."""
    return {
        "newest": {},
        "newest, the page in the middle": {"after": "AFTER"},
        "newest, offset of a tenth": {"skip": count // 10},
        "an experiment": {"text": middle},
        "failed": {"text": "state=failed"},
        "failed of a large experiment": {"text": f"{BIG} and state=failed"},
        "rare tag": {"text": "tag:paper"},
        "rare reason": {"text": "reason=lost"},
        "one owner, since half a year": {"text": "owner=eve and created>-180d"},
        "the README's example": {
            "text": "state=finished and val_loss<0.25 and params.n_hidden in [50,150] and tag:paper and created>-300d"
        },
        "best.val_loss < 0.101": {"text": "best.val_loss<0.101"},
        "a parameter of one run": {"text": "params.seed=77"},
        "a parameter of every fourth": {"text": "lr=0.01"},
        "missing(val_loss)": {"text": "missing(val_loss)"},
        "sort by a metric": {"sort": "best.val_loss"},
        "sort by a metric, greatest first": {"sort": "-val_accuracy"},
        "sort by a metric, the page in the middle": {"sort": "best.val_loss", "after": "AFTER"},
        "finished, sort by a metric": {"text": "state=finished", "sort": "best.val_loss"},
        "rare tag, sort by a metric": {"text": "tag:paper", "sort": "best.val_loss"},
        "an experiment, sort by a metric": {"text": middle, "sort": "best.val_loss"},
        "a large experiment, sort by a metric": {"text": BIG, "sort": "best.val_loss"},
        "two conditions, sort by a metric": {"text": "lr=0.01 and n_hidden=50", "sort": "val_loss"},
        "sort by a parameter": {"sort": "-params.lr"},
        "sort by a parameter, the page in the middle": {"sort": "params.lr", "after": "AFTER"},
        "sort by the end": {"sort": "-ended"},
        "sort by duration": {"sort": "-duration"},
        "sort by duration, the page in the middle": {"sort": "duration", "after": "AFTER"},
        "two conditions, sort by duration": {"text": "owner=eve and state=failed", "sort": "-duration"},
        "duration > 23.5h": {"text": "duration>23.5h"},
        "sort by priority": {"sort": "-priority"},
        "message ~ cuda": {"text": "message ~ cuda"},
        "message ~ no such text": {"text": "message ~ 'no such text'"},
        # What no index answers: every run that matches is read.
        "all: sort by memory asked for": {"sort": "-memory"},
    }


def ask(store: MongoStore, after: str, given: dict[str, Any]) -> int:
    """The number of runs on the page."""
    chosen = {name: after if value == "AFTER" else value for name, value in given.items() if name != "text"}
    return len(runs_where(given.get("text", ""), store, limit=PAGE, **chosen))


def counts(store: MongoStore, middle: str) -> dict[str, Callable[[], Any]]:
    """What stands under a table, and groups."""

    def counted(text: str) -> int | None:
        return store.count(RunQuery(where=understood(text, store)), 10_001, 0.3)

    def grouped(text: str, by: str) -> int:
        names = known_names(text, store)
        extreme = named.extreme(named.columns("best.val_loss", names)[0])
        query = RunQuery(where=understood(text, store))
        return len(store.groups(query, Grouping(by=named.group(by, names), extremes=(extreme,))))

    return {
        "counts of all": lambda: sum(store.counts(None, at_most=10_001).values()),
        "counts of an experiment": lambda: sum(store.counts(middle, at_most=10_001).values()),
        "count of a query": lambda: counted("val_loss<0.5 and state=finished"),
        "groups of an experiment": lambda: grouped(middle, "params.lr"),
        "all: groups by experiment": lambda: grouped("", "experiment"),
    }


def timed(work: Callable[[], Any]) -> dict[str, Any]:
    """Milliseconds of the first answer and of the median, and what was answered."""
    took = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        answer = work()
        took.append((time.perf_counter() - began) * 1000)
    return {"first_ms": round(took[0], 1), "median_ms": round(statistics.median(took), 1), "answer": answer}


def measured(store: MongoStore, count: int) -> dict[str, Any]:
    """Every question."""
    middle = MIDDLE.format(count // 20_000)
    after = store.runs(RunQuery(limit=1, skip=count // 2))[0].id
    asked = {name: timed(lambda g=given: ask(store, after, g)) for name, given in questions(count, middle).items()}
    return asked | {name: timed(work) for name, work in counts(store, middle).items()}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--home", type=Path)
    options = parser.parse_args()
    home = options.home or Path(tempfile.mkdtemp(prefix="labq-bench-"))
    settings = Settings(home=home, mongo_timeout_s=60.0)
    lifecycle.up(settings)
    try:
        store = connect(settings)
        began = time.perf_counter()
        if store.database["runs"].estimated_document_count() == 0:
            fill(store, options.runs)
        figures = {
            "runs": store.database["runs"].estimated_document_count(),
            "fill_s": round(time.perf_counter() - began),
        }
        sizes = store.database.command("collstats", "runs")
        figures |= {"data_mb": sizes["storageSize"] // 10**6, "indexes_mb": sizes["totalIndexSize"] // 10**6}
        asked = measured(store, figures["runs"])
        indexed = [one["median_ms"] for name, one in asked.items() if not name.startswith("all:")]
        print(json.dumps({**figures, "slowest_of_indexed_ms": max(indexed), "questions": asked}, indent=1))
        store.close()
    finally:
        lifecycle.down(settings)
        if options.home is None:
            shutil.rmtree(home)


if __name__ == "__main__":
    main()
