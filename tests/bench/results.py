"""How long the results of many runs take: python tests/bench/results.py [RUNS [CASE …]]

Prints one JSON object: seconds and peak memory (MB) of `labq results big -o FILE` for each format, sorted and as they come,
with runs that have eight parameters and eight metrics; and of `--at-best`, `--over repeat` and `--pivot`.
"""

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from store.connect import connect
from store.experiments import Experiment
from store.mongo import MongoStore
from store.mongo.codec import to_documents
from store.runs import MetricSummary, Run, Task
from store.servers import lifecycle
from store.settings import Settings
from store.states import State

COUNT = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
CHOSEN = sys.argv[2:]
CASES = {
    "csv": [],
    "parquet": [],
    "json": [],
    "xlsx": [],
    "csv_sorted": ["--sort", "val_loss"],
    "csv_at_best": ["--at-best", "val_loss"],
    "over_repeat": ["--over", "repeat"],
    "pivot": ["--pivot", "l1", "noise"],
    "ten_best": ["--sort", "val_loss", "--best", "10"],
}
METRICS = [f"{part}_{what}" for part in ("train", "val", "test") for what in ("loss", "accuracy")] + ["epoch", "gap"]


def fill(store: MongoStore) -> None:
    draw, now, task = random.Random(1), datetime.now(UTC), Task(command=("true",), workdir="/")
    store.add_experiment(Experiment(name="big", owner="ann", source="/big.toml", text="", created_at=now))
    for start in range(0, COUNT, 5000):
        runs = [_run(i, draw, now, task) for i in range(start, min(COUNT, start + 5000))]
        store.database["runs"].insert_many(to_documents(runs), ordered=False)
        points = [
            {"run": run.id, "name": name, "attempt": 1, "bucket": 0, "line": [1, 2], "step": [300, 400], "time": [0.0, 1.0],
             "value": [0.1, 0.2]}
            for run in runs for name in ("val_loss", "test_loss")
        ]  # fmt: skip
        store.database["metrics"].insert_many(points, ordered=False)


def _run(i: int, draw: random.Random, now: datetime, task: Task) -> Run:
    low = draw.random()
    one = MetricSummary(last=low * 1.1, last_step=400, count=400, min=low, min_step=300, max=1.0, max_step=0)
    params = {"l1": draw.choice([1e-5, 1e-4]), "noise": draw.choice([0.1, 1.0]), "lr": draw.random(), "seed": i % 5,
              "n_hidden": 100, "act": "tanh", "epochs": 400, "data": {"train": "tweets.tsv"}}  # fmt: skip
    return Run(
        id=f"{i:012d}", key=str(i), experiment="big", params={**params, "lr": i // 5}, repeat=i % 5, index=i, task=task,
        queued_at=now, started_at=now, ended_at=now + timedelta(hours=1), state=State.FINISHED, attempt=1,
        summary=dict.fromkeys(METRICS, one),
    )  # fmt: skip


def timed(env: dict[str, str], *arguments: str) -> dict[str, float]:
    """In a process of its own, which tells its own peak."""
    code = "import sys,resource;from queueing.cli.main import main;c=main(sys.argv[1:]);" \
        "u=resource.getrusage(resource.RUSAGE_SELF);print(u.ru_maxrss,u.ru_utime+u.ru_stime);sys.exit(c)"  # fmt: skip
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, *arguments], env=env, capture_output=True, text=True, check=True
    )
    peak, cpu = done.stdout.split()[-2:]
    wall = time.perf_counter() - began
    return {"s": round(wall, 2), "cpu_s": round(float(cpu), 2), "peak_mb": round(int(peak) / 1024)}


def main() -> None:
    home = Path(tempfile.mkdtemp(prefix="labq-bench-"))
    settings = Settings(home=home)
    lifecycle.up(settings)
    try:
        store = connect(settings)
        fill(store)
        store.close()
        env = {**os.environ, "LABQ_HOME": str(home)}
        told: dict[str, object] = {"runs": COUNT}
        for name, arguments in CASES.items():
            if name in CHOSEN or not CHOSEN:
                file = home / f"{name}.{name if name in ('parquet', 'json', 'xlsx') else 'csv'}"
                told[name] = timed(
                    env, "results", "big", *arguments, *(["-o", str(file)] if name != "ten_best" else [])
                )
                told[f"{name}_mb"] = round(file.stat().st_size / 1e6, 1) if file.exists() else None
        print(json.dumps(told, indent=2))
    finally:
        lifecycle.down(settings)
        shutil.rmtree(home)


if __name__ == "__main__":
    main()
