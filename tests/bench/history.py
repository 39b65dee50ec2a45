"""How compact and quick the history of a series is: python tests/bench/history.py [--points 1000000]

Stores one series through `Store.ship`, as a supervisor does, in shipments of 50,000 points (4 MiB of events), and the same points in the
two layouts that one would think of first: a document for each point (an index over run, name and step, which keeps
points unique), and MongoDB's time-series collection. Prints one JSON object: points a second taken in, stored bytes a point with
all indexes, and the milliseconds for reading 100,000 of them (the best of five).
"""

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from pymongo import ASCENDING

from store.connect import connect
from store.metrics import Segment, Shipment
from store.mongo import MongoStore
from store.runs import Run, Task
from store.servers import lifecycle
from store.settings import Settings
from store.workers import Worker

AT_ONCE = 50_000
READ = 100_000
ROUNDS = 5
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
ORDER = [("run", ASCENDING), ("name", ASCENDING), ("step", ASCENDING)]

Columns = tuple[list[int], list[float], list[float]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=1_000_000)
    count = max(parser.parse_args().points, READ)
    home = Path(tempfile.mkdtemp(prefix="labq-bench-"))
    settings = Settings(home=home, mongo_timeout_s=120.0)
    try:
        lifecycle.up(settings)
        store = connect(settings)
        columns = _columns(count)
        report = {
            **_labq(store, columns),
            "points": count,
            "one_document_per_point": _documents(store, columns),
            "time_series": _time_series(store, columns),
        }
        store.close()
    finally:
        lifecycle.down(settings)
        shutil.rmtree(home, ignore_errors=True)
    print(json.dumps(report))


def _columns(count: int) -> Columns:
    """A falling, noisy loss, every 13 ms or so; times to the millisecond, as labq.py writes them."""
    drawn = np.random.default_rng(1)
    steps = np.arange(count)
    values = np.exp(-steps / count * 5) + drawn.normal(0, 0.01, count)
    times = BEGAN.timestamp() + np.round(steps * 0.013 + drawn.random(count) * 1e-3, 3)
    return steps.tolist(), times.tolist(), values.tolist()


def _pieces(columns: Columns) -> Iterator[tuple[int, list[int], list[float], list[float]]]:
    for first in range(0, len(columns[0]), AT_ONCE):
        yield first, *(column[first : first + AT_ONCE] for column in columns)  # type: ignore[misc]


# ── the layouts ──
def _labq(store: MongoStore, columns: Columns) -> dict[str, float]:
    task = Task(command=("true",), workdir="/")
    for run in ("aaaa", "bbbb"):
        store.add_runs([Run(id=run, key=run, experiment="bench", params={}, task=task, queued_at=BEGAN)])
        store.claim(Worker(name="w", host="h", pid=1, cpus=4, memory_bytes=1 << 33), 3600.0)
        store.begin(run, 1, None, {})
    spent_s = _spent_s(lambda: _ship(store, "aaaa", columns))
    small: Columns = (columns[0][:READ], columns[1][:READ], columns[2][:READ])
    _ship(store, "bbbb", small)
    curve = store.curve("bbbb", "loss")
    assert (curve.steps.tolist(), curve.times.tolist(), curve.values.tolist()) == small
    return {
        "ingest_points_per_s": round(len(columns[0]) / spent_s),
        "bytes_per_point": _bytes(store, "metrics", len(columns[0]) + READ),
        "read_100k_ms": _best_ms(lambda: store.curve("bbbb", "loss")),
        "read_100k_as_tuples_ms": _best_ms(lambda: store.series("bbbb", "loss")),
    }


def _ship(store: MongoStore, run: str, columns: Columns) -> None:
    for first, steps, times, values in _pieces(columns):
        lines = range(first + 1, first + 1 + len(steps))
        segment = Segment(name="loss", index=first, lines=[*lines], steps=steps, times=times, values=values)
        shipment = Shipment(
            events_from=first * 50, events_to=lines[-1] * 50, lines_to=lines[-1], segments=(segment,), output_from=0
        )
        store.ship(run, 1, shipment, {})


def _documents(store: MongoStore, columns: Columns) -> dict[str, float]:
    collection = store.database["points"]
    collection.create_index(ORDER, unique=True)

    def fill() -> None:
        for _, *piece in _pieces(columns):
            rows = zip(*piece, strict=True)
            collection.insert_many(
                [{"run": "a", "name": "loss", "step": s, "time": t, "value": v} for s, t, v in rows], ordered=False
            )

    def read() -> Any:
        found = collection.find({"run": "a", "name": "loss", "step": {"$lt": READ}}).sort(ORDER)
        return [(one["step"], one["time"], one["value"]) for one in found]

    return _figures(store, "points", len(columns[0]), fill, read)


def _time_series(store: MongoStore, columns: Columns) -> dict[str, float]:
    layout = {"timeField": "at", "metaField": "of", "granularity": "seconds"}
    collection = store.database.create_collection("ticks", timeseries=layout)
    of = "a loss"

    def fill() -> None:
        for _, *piece in _pieces(columns):
            rows = zip(*piece, strict=True)
            collection.insert_many(
                [{"of": of, "at": datetime.fromtimestamp(t, UTC), "step": s, "value": v} for s, t, v in rows],
                ordered=False,
            )

    def read() -> Any:
        last = datetime.fromtimestamp(columns[1][READ - 1] + 0.0005, UTC)
        return [(one["step"], one["at"], one["value"]) for one in collection.find({"of": of, "at": {"$lte": last}})]

    return _figures(store, "ticks", len(columns[0]), fill, read)


# ── figures ──
def _figures(
    store: MongoStore, name: str, count: int, fill: Callable[[], None], read: Callable[[], Any]
) -> dict[str, float]:
    spent_s = _spent_s(fill)
    assert len(read()) == READ
    return {
        "ingest_points_per_s": round(count / spent_s),
        "bytes_per_point": _bytes(store, name, count),
        "read_100k_ms": _best_ms(read),
    }


def _spent_s(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _best_ms(work: Callable[[], Any]) -> float:
    return round(min(_spent_s(work) for _ in range(ROUNDS)) * 1000, 1)


def _bytes(store: MongoStore, name: str, count: int) -> float:
    """What lies on the disk after a checkpoint of the database, indexes included."""
    store.client.admin.command("fsync")
    stats = store.database.command("collStats", name)
    return round((stats["storageSize"] + stats["totalIndexSize"]) / count, 1)


if __name__ == "__main__":
    main()
