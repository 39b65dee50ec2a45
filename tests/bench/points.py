"""What very many points cost: python tests/bench/points.py [--points 20000000] [--each 100000] [--home FOLDER]

Fills a database with finished runs of one metric each, POINTS points altogether (a FOLDER is kept and not filled again).
The first bucket of each run is shipped as a supervisor does it; the others are inserted as they would lie, which is
faster. Prints one JSON object: points a second of filling, bytes a point on the disk with indexes, milliseconds (the
best of five) of one curve, of 50 curves, of a page of 50 runs and of the counts, and the megabytes by which the peak of a
process that has read one curve rises when it reads 50, one after the other. Nothing is extrapolated: `points` is what is there.
"""

import argparse
import json
import multiprocessing
import os
import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from plot import fill

from store.connect import connect
from store.metrics import Axis
from store.mongo import MongoStore
from store.servers import lifecycle
from store.settings import Settings
from store.store import RunQuery

ROUNDS = 5
SHOWN = 50


def best_ms(work: Callable[[], Any]) -> float:
    took = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return round(min(took) * 1000, 1)


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def bytes_per_point(store: MongoStore, points: int) -> float:
    """After a checkpoint of the database."""
    store.client.admin.command("fsync")
    stats = store.database.command("collStats", "metrics")
    return round((stats["storageSize"] + stats["totalIndexSize"]) / points, 1)


def stored(store: MongoStore) -> int:
    found = store.database["runs"].aggregate([{"$group": {"_id": None, "points": {"$sum": "$summary.loss.count"}}}])
    return sum(one["points"] for one in found)


def measured(settings: Settings, each: int) -> dict[str, Any]:
    """In a process of its own: this one's peak of memory is that of the filling."""
    store = connect(settings)
    count = store.database["runs"].estimated_document_count()
    draw = np.random.default_rng(2)
    some = [f"bench{number:04d}" for number in draw.choice(count, min(SHOWN, count), replace=False)]
    assert len(store.curve(some[0], "loss").values) == each

    def curves() -> None:
        for run in some:
            store.curve(run, "loss", (Axis.STEP,))

    store.curve(some[0], "loss")
    before = peak_mb()
    curves()
    more_mb = peak_mb() - before
    return {
        "curve_ms": best_ms(lambda: store.curve(some[0], "loss")),
        "curve_without_times_ms": best_ms(lambda: store.curve(some[0], "loss", (Axis.STEP,))),
        f"{len(some)}_curves_ms": best_ms(curves),
        "more_memory_mb": round(more_mb, 1),
        "page_of_runs_ms": best_ms(lambda: store.runs(RunQuery(limit=SHOWN))),
        "counts_ms": best_ms(lambda: store.counts(None, at_most=10_001)),
    }


def aside(work: Callable[..., dict[str, Any]], *given: Any) -> dict[str, Any]:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, given)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=20_000_000)
    parser.add_argument("--each", type=int, default=100_000)
    parser.add_argument("--home", type=Path)
    options = parser.parse_args()
    home = options.home or Path(tempfile.mkdtemp(prefix="labq-bench-"))
    settings = Settings(home=home, mongo_timeout_s=120.0)
    lifecycle.up(settings)
    try:
        store = connect(settings)
        began, is_new = time.perf_counter(), store.database["runs"].estimated_document_count() == 0
        if is_new:
            fill(store, max(1, options.points // options.each), options.each)
        points, spent_s = stored(store), time.perf_counter() - began
        report = {
            "points": points,
            "runs": store.database["runs"].estimated_document_count(),
            "fill_points_per_s": round(points / spent_s) if is_new else None,
            "bytes_per_point": bytes_per_point(store, points),
            **aside(measured, settings, options.each),
            "load": os.getloadavg()[0],
        }
        print(json.dumps(report))
        store.close()
    finally:
        lifecycle.down(settings)
        if options.home is None:
            shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
