"""What a round of the stopping rules costs: 1,000 running runs, each with new points of two metrics, real MongoDB.

    python tests/bench/stopping.py [--runs 1000] [--points 3000] [--rounds 5]

Prints one JSON object: CPU and wall milliseconds of this process per round, least and median of the rounds.
"""

import argparse
import json
import shutil
import statistics
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from queueing.doorbell import Doorbell
from queueing.stopping.round import judge_runs
from store.experiments import Experiment
from store.mongo import MongoStore, open_store
from store.runs import MetricSummary, Run, Shipped, Task
from store.servers import lifecycle
from store.servers.places import places
from store.settings import Settings
from store.states import State

RULES = {
    "metric": "val_loss",
    "by": "epoch",
    "rules": [{"rule": "asha", "min": 1000, "max": 1e6}, {"rule": "patience", "patience": 1e6}],
}


class Bell:
    """Nobody hears it."""

    def tell(self, _channels: Any) -> None: ...
    def ring(self, _tickets: Any) -> None: ...


def fill(store: MongoStore, runs: int, points: int) -> None:
    """Runs that are running and have reported that much; written past the store, which would take an hour."""
    now = datetime.now(UTC)
    store.add_experiment(Experiment(name="e", owner="me", source="", text="", created_at=now, stopping=RULES))
    summary = {name: MetricSummary(last=1.0, last_step=1, count=1) for name in ("val_loss", "epoch", "loss")}
    made = [
        Run(
            id=f"{n:012x}", key=f"k{n}", experiment="e", params={"lr": 0.1}, task=Task(command=("true",), workdir="/"),
            state=State.RUNNING, attempt=1, queued_at=now, started_at=now, index=n, summary=summary,
            shipped=Shipped(attempt=1, events_lines=points),
        )
        for n in range(runs)
    ]  # fmt: skip
    store.add_runs(made)
    for start in range(0, points, 1000):
        lines = list(range(start + 1, min(start + 1000, points) + 1))
        store.database["metrics"].insert_many([bucket(run.id, name, lines) for run in made for name in summary])


def bucket(run: str, name: str, lines: list[int]) -> dict[str, Any]:
    values = [1.0 / line if name != "epoch" else float(line) / 100 for line in lines]
    return {
        "run": run, "name": name, "attempt": 1, "bucket": (lines[0] - 1) // 1000, "line": lines, "step": lines,
        "time": [1.0] * len(lines), "value": values,
    }  # fmt: skip


def report(store: MongoStore, line: int, count: int) -> None:
    """Every run reports `count` further lines of all metrics."""
    for name in ("val_loss", "epoch", "loss"):
        fresh = bucket("", name, list(range(line + 1, line + count + 1)))
        arrays = {key: {"$each": fresh[key]} for key in ("line", "step", "time", "value")}
        store.database["metrics"].update_many(
            {"name": name, "bucket": fresh["bucket"]}, {"$push": arrays}, upsert=False
        )
    store.database["runs"].update_many({}, {"$set": {"shipped.events_lines": line + count}})


def timed(store: MongoStore, settings: Settings) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    assert judge_runs(store, cast(Doorbell, Bell()), settings, "bench") is not None
    return (time.process_time() - cpu) * 1000, (time.perf_counter() - wall) * 1000


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--points", type=int, default=3100)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="labq-bench-"))
    settings = Settings(home=home, renew_s=1000)
    lifecycle.up(settings)
    try:
        store = open_store(places(home).mongo_url, "bench", 60.0)
        fill(store, options.runs, options.points)
        first: list[tuple[float, float]] = [timed(store, settings)]
        while store.database["courses"].count_documents({}) < options.runs:
            first.append(timed(store, settings))
        idle = [timed(store, settings) for _ in range(options.rounds)]
        busy = []
        for number in range(options.rounds):
            report(store, options.points + 10 * number, 10)
            busy.append(timed(store, settings))
        print(json.dumps({
            "runs": options.runs, "points_each": options.points,
            "first_look_cpu_ms": round(sum(cpu for cpu, _ in first)), "first_look_rounds": len(first),
            "nothing_new": shown(idle), "ten_points_each": shown(busy),
        }))  # fmt: skip
        store.close()
    finally:
        lifecycle.down(settings)
        shutil.rmtree(home, ignore_errors=True)


def shown(times: list[tuple[float, float]]) -> dict[str, float]:
    cpu, wall = zip(*times, strict=True)
    return {
        "cpu_ms_least": round(min(cpu), 1), "cpu_ms_median": round(statistics.median(cpu), 1),
        "wall_ms_median": round(statistics.median(wall), 1),
    }  # fmt: skip


if __name__ == "__main__":
    main()
