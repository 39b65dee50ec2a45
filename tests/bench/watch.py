"""What `labq watch` costs: processor time here, and of MongoDB, beside a sweep of which some runs report.

python tests/bench/watch.py [--runs 300] [--points 10000] [--running 16] [--seconds 30]   prints one JSON object
"""

import argparse
import fcntl
import json
import math
import os
import pty
import random
import select
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil

from store.experiments import Experiment
from store.metrics import BUCKET_POINTS
from store.mongo import MongoStore, open_store
from store.mongo.codec import to_documents
from store.runs import Attempt, Lease, MetricSummary, Progress, Run, Shipped, Task
from store.servers import lifecycle
from store.servers.places import places
from store.settings import Settings
from store.states import State

NOW = datetime.now(UTC)
METRIC = "val_loss"
EVERY_S = 0.5
"""A running run reports ten points so often."""


def value_of(number: int, step: int) -> float:
    return math.exp(-step / (1000 + 20 * number)) + 0.1 * random.random()


def a_run(number: int, points: int, *, running: bool) -> Run:
    began = NOW - timedelta(minutes=30 + number)
    return Run(
        id=f"{number:04d}abcdefgh", key=str(number), experiment="sweep", params={"lr": 10.0 ** -(number % 5), "seed": number},
        task=Task(command=("true",), workdir="/"), queued_at=began, index=number, attempt=1, started_at=began,
        state=State.RUNNING if running else State.FINISHED, ended_at=None if running else began + timedelta(minutes=25),
        lease=Lease(worker=f"host-{number}", until=NOW + timedelta(days=1)) if running else None,
        progress=Progress(done=points, total=2 * points if running else points),
        summary={METRIC: MetricSummary(last=0.2, last_step=points - 1, count=points, min=0.1 + number / 1000, min_step=5)},
        shipped=Shipped(attempt=1, events_lines=points, events_bytes=40 * points),
        history=(Attempt(number=1, worker="w", started_at=began),),
    )  # fmt: skip


def fill(store: MongoStore, runs: int, points: int, running: int) -> None:
    store.add_experiment(Experiment(name="sweep", owner="me", source="", text="", created_at=NOW))
    store.database["runs"].insert_many(to_documents([a_run(n, points, running=n < running) for n in range(runs)]))
    for number in range(runs):
        store.database["metrics"].insert_many(
            [bucket(number, at, min(BUCKET_POINTS, points - at)) for at in range(0, points, BUCKET_POINTS)]
        )


def bucket(number: int, at: int, count: int) -> dict[str, Any]:
    steps = list(range(at, at + count))
    return {
        "run": f"{number:04d}abcdefgh", "name": METRIC, "attempt": 1, "bucket": at // BUCKET_POINTS,
        "line": [step + 1 for step in steps], "step": steps, "time": [NOW.timestamp() + step / 10 for step in steps],
        "value": [value_of(number, step) for step in steps],
    }  # fmt: skip


class Reporting(threading.Thread):
    """Stands in for the shippers of the running runs."""

    def __init__(self, store: MongoStore, running: int, points: int) -> None:
        super().__init__(daemon=True)
        self.store, self.running, self.at, self.over = store, running, points, threading.Event()

    def run(self) -> None:
        while not self.over.wait(EVERY_S):
            for number in range(self.running):
                self._ship(number)
            self.at += 10

    def _ship(self, number: int) -> None:
        new = bucket(number, self.at, 10)
        place = {name: new[name] for name in ("run", "name", "attempt", "bucket")}
        push = {name: {"$each": new[name]} for name in ("line", "step", "time", "value")}
        self.store.database["metrics"].update_one(place, {"$push": push}, upsert=True)
        done = self.at + 10
        self.store.database["runs"].update_one(
            {"_id": new["run"]},
            {
                "$set": {
                    "shipped.events_lines": done, "progress.done": float(done), f"summary.{METRIC}.count": done,
                    f"summary.{METRIC}.last": new["value"][-1], f"summary.{METRIC}.last_step": done - 1,
                }
            },
        )  # fmt: skip


class Watched:
    """`labq watch` in a terminal, and its screen read away."""

    def __init__(self, home: Path) -> None:
        self.outside, inside = pty.openpty()
        fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 160, 0, 0))
        env = {**os.environ, "LABQ_HOME": str(home), "TERM": "xterm-256color"}
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "queueing.cli.main", "watch", "sweep"], stdin=inside, stdout=inside, stderr=inside,
            env=env, start_new_session=True,
        )  # fmt: skip
        self.drawn = b""

    def read_for(self, seconds: float, until: bytes = b"") -> float:
        began = time.monotonic()
        while (took := time.monotonic() - began) < seconds:
            if select.select([self.outside], [], [], 0.05)[0]:
                self.drawn = (self.drawn + os.read(self.outside, 65536))[-60_000:]
            if until and until in self.drawn:
                break
        return took


def read_s(store: MongoStore) -> float:
    """For how long the server has been busy with reads: the page alone reads, whoever reports writes."""
    latency: int = store.client.admin.command("serverStatus", opLatencies=1)["opLatencies"]["reads"]["latency"]
    return latency / 1e6


def cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def measure(home: Path, options: argparse.Namespace) -> dict[str, Any]:
    settings = Settings(home=home)
    store = open_store(places(home).mongo_url, "labq", 30.0)
    fill(store, options.runs, options.points, options.running)
    mongod = psutil.Process(lifecycle.running(settings)["mongod"].pid)
    reporting = Reporting(store, options.running, options.points)
    reporting.start()
    began = read_s(store)
    page = Watched(home)
    drawn = page.read_for(60, until=b"val_loss by step")
    filled = drawn + page.read_for(120, until=f"middle half of {min(300, options.runs)}".encode())
    fill_mongo = read_s(store) - began
    assert page.process.poll() is None, page.drawn.decode()
    process = psutil.Process(page.process.pid)
    fill_cpu = cpu_s(process)
    page.read_for(8)
    before, mine, all_of_it = read_s(store), cpu_s(process), cpu_s(mongod)
    page.read_for(options.seconds)
    reading = (read_s(store) - before) / options.seconds
    whole = (cpu_s(mongod) - all_of_it) / options.seconds
    share = (cpu_s(process) - mine) / options.seconds
    memory = process.memory_info().rss
    os.write(page.outside, b"q")
    page.read_for(2)
    page.process.wait(10)
    reporting.over.set()
    reporting.join()
    store.close()
    return {
        "runs": options.runs, "points": options.points, "running": options.running, "until_drawn_s": round(drawn, 2),
        "until_all_is_read_s": round(filled, 2), "cpu_until_all_is_read_s": round(fill_cpu, 2),
        "mongod_until_all_is_read_s": round(fill_mongo, 2), "cpu_share": round(share, 3),
        "mongod_read_ms_per_second": round(1000 * reading, 1), "mongod_cpu_share_with_reports": round(whole, 3),
        "memory_mb": round(memory / 1e6),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    for name, default in (("runs", 300), ("points", 10_000), ("running", 16), ("seconds", 20)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="labq-bench-"))
    try:
        lifecycle.up(Settings(home=home))
        print(json.dumps(measure(home, options)))
    finally:
        lifecycle.down(Settings(home=home))
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
