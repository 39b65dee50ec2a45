"""Fifty curves drawn by `labq plot`, as a process of its own: the import of Matplotlib, reading, thinning, the file.

python tests/bench/plot.py [RUNS] [POINTS]   (default 50 and 100000); prints one JSON object.
"""

import json
import math
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from store.experiments import Experiment
from store.metrics import BUCKET_POINTS, Segment, Shipment, summarize
from store.mongo import MongoStore, open_store
from store.runs import Ending, MetricSummary, Run, Task
from store.servers import lifecycle
from store.servers.places import places
from store.settings import Settings
from store.states import State
from store.store import Settlement
from store.workers import Worker

WORKER = Worker(name="w", host="here", pid=1, cpus=4, memory_bytes=8 << 30)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
REPEATS = 3


def fill(store: MongoStore, runs: int, points: int) -> None:
    """One curve each, with noise and one peak."""
    store.add_experiment(Experiment(name="bench", owner="me", source="", text="", created_at=NOW))
    dice = np.random.default_rng(0)
    for index in range(runs):
        name = f"bench{index:04d}"
        task = Task(command=("true",), workdir="/")
        params = {"lr": index % 5, "seed": index}
        store.add_runs(
            [Run(id=name, key=name, experiment="bench", params=params, index=index, task=task, queued_at=NOW)]
        )
        store.claim(WORKER, 600.0)
        store.begin(name, 1, None, {})
        values = np.exp(-np.arange(points) / points * 3) + dice.normal(0, 0.02, points) + index / 100
        values[points // 3] = 9.0
        store.ship(name, 1, *_first(values, points))
        starts = range(BUCKET_POINTS, points, BUCKET_POINTS)
        if starts:
            buckets = [_bucket(name, values, at, min(BUCKET_POINTS, points - at)) for at in starts]
            store.database["metrics"].insert_many(buckets)
        store.settle(name, 1, Settlement(state=State.FINISHED, ending=Ending(exit_code=0)))


def _first(values: np.ndarray, points: int) -> tuple[Shipment, dict[str, MetricSummary]]:
    """The first bucket as a worker ships it, with the summary of all; the others are put beside it, which is faster."""
    steps = list(range(min(BUCKET_POINTS, points)))
    part = values[: len(steps)].tolist()
    segment = Segment(name="loss", index=0, lines=steps, steps=steps, times=[1e9 + s for s in steps], values=part)
    shipment = Shipment(events_from=0, events_to=9, lines_to=points, segments=(segment,), output_from=0)
    every = Segment(name="loss", index=0, lines=[], steps=list(range(points)), times=[], values=values.tolist())
    return shipment, summarize({}, [every])


def _bucket(run: str, values: np.ndarray, at: int, count: int) -> dict[str, Any]:
    steps = list(range(at, at + count))
    return {
        "run": run, "name": "loss", "attempt": 1, "bucket": at // BUCKET_POINTS, "line": steps, "step": steps,
        "time": [1e9 + step for step in steps], "value": values[at : at + count].tolist(),
    }  # fmt: skip


def timed(home: Path, database: str, *arguments: str) -> dict[str, float]:
    """The best of some tries: wall and processor seconds of the whole process, and its largest memory.

    With compiled modules, as those of an installed labq are: the first try compiles them.
    """
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    env |= {"LABQ_HOME": str(home), "LABQ_MONGO_DATABASE": database, "PYTHONPYCACHEPREFIX": str(home / "bytecode")}
    walls, works = [], []
    for _ in range(REPEATS):
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        command = [
            sys.executable,
            "-c",
            "from queueing.cli.main import main; raise SystemExit(main())",
            "plot",
            "bench",
            *arguments,
        ]
        subprocess.run(command, env=env, check=True, capture_output=True)
        walls.append(time.perf_counter() - began)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        works.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return {"s": round(min(walls), 2), "processor_s": round(min(works), 2), "peak_mb_so_far": math.ceil(peak)}


def main() -> None:
    runs, points = (
        (int(text) for text in [*sys.argv[1:], "50", "100000"][:2])
        if len(sys.argv) != 2
        else (int(sys.argv[1]), 100_000)
    )
    home = Path(tempfile.mkdtemp(prefix="labq-bench-"))
    settings = Settings(home=home)
    lifecycle.up(settings)
    try:
        store = open_store(places(home).mongo_url, "bench", 60.0)
        fill(store, runs, points)
        store.close()
        out = str(home / "x")
        print(
            json.dumps(
                {
                    "runs": runs,
                    "points_each": points,
                    "terminal": timed(home, "bench"),
                    "png": timed(home, "bench", "-o", f"{out}.png"),
                    "png_by_with_bands": timed(home, "bench", "--by", "lr", "-o", f"{out}.png"),
                    "png_smoothed": timed(home, "bench", "--smooth", "0.9", "-o", f"{out}.png"),
                    "svg": timed(home, "bench", "-o", f"{out}.svg"),
                }
            )
        )
    finally:
        lifecycle.down(settings)
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
