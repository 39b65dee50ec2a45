"""What a round of the diagnosis costs: 1,000 running runs that are quiet, or have all reported; real MongoDB.

    python tests/bench/diagnosis.py [--runs 1000] [--points 500] [--rounds 3]

Prints one JSON object: CPU and wall milliseconds of this process per round (least and median of the rounds), without
the pauses and the deadline that spread it in reality; a look at one run with a million points of two metrics; what a
run in the first hour takes of a processor when it is looked at as often as the settings say.
"""

import argparse
import json
import math
import shutil
import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from notify.looking.due import chosen
from notify.looking.look import look_now
from notify.looking.round import look_around
from store.metrics import BUCKET_POINTS
from store.mongo import MongoStore, open_store
from store.runs import Attempt, MetricSummary, Run, Shipped, Task
from store.servers import lifecycle
from store.servers.places import places
from store.settings import Settings
from store.states import State

METRICS = ("train_loss", "val_loss", "learning_rate", "norm_W", "gradient_norm")
HOUR = timedelta(hours=1)


def a_run(number: int, points: int, now: datetime, metrics: tuple[str, ...]) -> Run:
    summary = {name: MetricSummary(last=0.1, last_step=points, count=points) for name in metrics}
    return Run(
        id=f"{number:012x}", key=f"k{number}", experiment=f"e{number % 20}", params={"lr": 0.1}, state=State.RUNNING,
        task=Task(command=("true",), workdir="/"), attempt=1, queued_at=now, started_at=now - HOUR, index=number,
        summary=summary, shipped=Shipped(attempt=1, events_lines=points),
        history=(Attempt(number=1, worker="w", started_at=now - HOUR),),
    )  # fmt: skip


def bucket(run: str, name: str, number: int, lines: range, now: datetime) -> dict[str, Any]:
    begin = now.timestamp() - 3600
    noise = {line: 0.01 * math.sin(line * 12.9898) for line in lines}
    values = [
        2.0 * math.exp(-line / 300) + 0.2 + noise[line] if "loss" in name else 1.0 + noise[line] for line in lines
    ]
    return {
        "run": run, "name": name, "attempt": 1, "bucket": number, "line": list(lines), "step": list(lines),
        "time": [begin + line for line in lines], "value": values,
    }  # fmt: skip


def fill(store: MongoStore, runs: list[Run], points: int, metrics: tuple[str, ...], now: datetime) -> None:
    """Written past the store, which would take an hour."""
    store.add_runs(runs)
    for start in range(0, points, BUCKET_POINTS):
        lines = range(start + 1, min(start + BUCKET_POINTS, points) + 1)
        for name in metrics:
            shared = bucket("", name, start // BUCKET_POINTS, lines, now)
            store.database["metrics"].insert_many([{**shared, "run": run.id} for run in runs])


def age(store: MongoStore, lines: int) -> None:
    """Every run was looked at an hour ago, and has reported `lines` since."""
    an_hour_ago = {"$set": {"looked_at": datetime.now(UTC) - HOUR}}
    store.database["diagnoses"].update_many({}, an_hour_ago)
    store.database["runs"].update_many({}, {"$inc": {"shipped.events_lines": lines}})


def timed(store: MongoStore) -> tuple[float, float, int]:
    wall, cpu, looked = time.perf_counter(), time.process_time(), 0
    now = store.now()
    while due := chosen(store.glimpses(100), now, 30.0):
        looked += look_around(store, due, now, lambda: False).looked
    return (time.process_time() - cpu) * 1000, (time.perf_counter() - wall) * 1000, looked


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--points", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="labq-bench-"))
    settings = Settings(home=home)
    lifecycle.up(settings)
    try:
        store, now = open_store(places(home).mongo_url, "bench", 60.0), datetime.now(UTC)
        runs = [a_run(number, options.points, now, METRICS) for number in range(options.runs)]
        fill(store, runs, options.points, METRICS, now)
        first = timed(store)
        nothing_due = [timed(store) for _ in range(options.rounds)]
        reporting = []
        for _ in range(options.rounds):
            age(store, 1)
            reporting.append(timed(store))
        each_ms = min(cpu for cpu, _, _ in reporting) / options.runs
        print(json.dumps({
            "runs": options.runs, "metrics": len(METRICS), "points_each": options.points,
            "first_look_cpu_ms": round(first[0]), "nothing_due": shown(nothing_due), "all_reporting": shown(reporting),
            "a_look_cpu_ms": round(each_ms, 2), "share_of_a_core_for_a_run_in_its_first_hour": round(each_ms / 48_000, 6),
            "million_points": million(store, now),
        }))  # fmt: skip
        store.close()
    finally:
        lifecycle.down(settings)
        shutil.rmtree(home, ignore_errors=True)


def million(store: MongoStore, now: datetime) -> dict[str, float]:
    """A run with a million points of each of two metrics."""
    run = a_run(10**6, 10**6, now, METRICS[:2])
    fill(store, [run], 10**6, METRICS[:2], now)
    look_now(store, run)
    wall, cpu = time.perf_counter(), time.process_time()
    look_now(store, run)
    return {
        "cpu_ms": round((time.process_time() - cpu) * 1000, 1), "wall_ms": round((time.perf_counter() - wall) * 1000, 1),
    }  # fmt: skip


def shown(times: list[tuple[float, float, int]]) -> dict[str, float]:
    cpu, wall, looked = zip(*times, strict=True)
    return {
        "cpu_ms_least": round(min(cpu), 1), "cpu_ms_median": round(statistics.median(cpu), 1),
        "wall_ms_median": round(statistics.median(wall), 1), "looks": looked[0],
    }  # fmt: skip


if __name__ == "__main__":
    main()
