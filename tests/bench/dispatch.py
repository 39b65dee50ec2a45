"""What a run costs beside its command: python tests/bench/dispatch.py [--runs 200] [--rounds 5] [--queued 1000000]

Prints one JSON object, times in milliseconds. The command is a Python that does nothing; the rounds of the four ways to
start it are interleaved, so that whatever else the machine does hits them alike, and the medians are given:

    python_ms                    bare subprocess.run
    labq_ms                      `labq worker`, from claim to claim
    rq_fork_ms, rq_spawn_ms      rq's Worker and SpawnWorker with a job that does the same subprocess.run
    claim_p50_ms, claim_p99_ms   a claim while that many runs are queued
    supervisor_uss_mb, supervisor_cpu_percent    while a child trains for some seconds, with the default settings
"""

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from redis import Redis
from rq import Queue

from queueing.definition import define
from queueing.doorbell import Doorbell
from queueing.enqueue import enqueue
from queueing.expand import runs
from store.connect import connect, redis_url
from store.mongo import MongoStore
from store.mongo.codec import to_document
from store.servers import lifecycle
from store.settings import Settings
from store.states import State
from store.store import RunQuery
from store.workers import Worker

NO_OP = [sys.executable, "-c", "pass"]
LABQ = [sys.executable, "-P", "-m", "queueing.cli.main"]
RQ = """
import sys
from redis import Redis
from rq import Queue, {0} as Worker
connection = Redis.from_url(sys.argv[1])
Worker([Queue("q", connection=connection)], connection=connection).work(burst=True, logging_level="ERROR")
"""
CLAIMS = 500
CHUNK = 10_000
TRAINING_S = 12.0
TRAINING = """
import time, labq
for step in range(100_000):
    labq.log(step, loss=1.0 / (step + 1), accuracy=0.5)
    print("step", step)
    time.sleep(0.02)
"""


class Bench:
    """A pair of servers, and one way to start no-ops per method. Each returns milliseconds per run."""

    def __init__(self, home: Path, settings: Settings) -> None:
        self.home, self.settings = home, settings
        self.store: MongoStore = connect(settings)
        self.env = {**os.environ, "LABQ_HOME": str(home), "LABQ_NOTIFY_TO": ""}
        self.rounds = 0

    def python(self, count: int) -> float:
        """The floor."""
        began = time.perf_counter()
        for _ in range(count):
            subprocess.run(NO_OP, check=True)
        return (time.perf_counter() - began) * 1000 / count

    def labq(self, count: int) -> float:
        """From the first claim to the last settle, on MongoDB's clock."""
        name = f"no-op-{self.rounds}"
        self.rounds += 1
        file = self.home / "no-op.toml"
        command = json.dumps([*NO_OP, "{n}"])
        file.write_text(f'name = "{name}"\ncommand = {command}\n[sweep.params]\nn = {list(range(count))}\n')
        enqueue(define(file, self.settings), self.store, Doorbell(redis_url(self.settings), 5.0))
        subprocess.run([*LABQ, "worker", "--burst"], env=self.env, check=True, capture_output=True, cwd=self.home)
        made = self.store.runs(RunQuery(experiment=name))
        assert {run.state for run in made} == {State.FINISHED}
        return _span_ms([(run.started_at, run.ended_at) for run in made]) / count

    def rq_fork(self, count: int) -> float:
        """rq's usual worker."""
        return self._rq("Worker", count)

    def rq_spawn(self, count: int) -> float:
        """rq's worker that starts a fresh interpreter per job."""
        return self._rq("SpawnWorker", count)

    def _rq(self, worker: str, count: int) -> float:
        """From the first job's start to the last one's end, by rq's own times."""
        with Redis.from_url(redis_url(self.settings)) as redis:
            queue = Queue("q", connection=redis)
            jobs = [queue.enqueue("subprocess.call", NO_OP, result_ttl=3600) for _ in range(count)]
            call = [sys.executable, "-c", RQ.format(worker), redis_url(self.settings)]
            subprocess.run(call, env=self.env, check=True, capture_output=True)
            for job in jobs:
                job.refresh()  # type: ignore[no-untyped-call]
            spans = [(job.started_at, job.ended_at) for job in jobs]
            for job in jobs:
                job.delete()
        return _span_ms(spans) / count


def _span_ms(spans: list[tuple[datetime | None, datetime | None]]) -> float:
    began = [start for start, _ in spans if start]
    ended = [end for _, end in spans if end]
    assert len(began) == len(ended) == len(spans)
    return (max(ended) - min(began)).total_seconds() * 1000


# ── claims ──
def claims_ms(bench: Bench, queued: int) -> list[float]:
    """How long each of some hundred claims takes while so many runs are queued."""
    _fill(bench, queued)
    worker = Worker(name="bench", host="here", pid=1, queues=("default",), cpus=2, memory_bytes=1 << 34)
    times = []
    for _ in range(CLAIMS):
        began = time.perf_counter()
        assert bench.store.claim(worker, 20.0) is not None
        times.append((time.perf_counter() - began) * 1000)
    return times


def _fill(bench: Bench, queued: int) -> None:
    """Straight into the collection: enqueueing is measured elsewhere."""
    file = bench.home / "many.toml"
    file.write_text('name = "many"\ncommand = ["true", "{a}"]\n[params]\na = 1\n')
    (run,) = runs(define(file, bench.settings), datetime.now(UTC), "me", {"git": None})
    template = to_document(run)
    for start in range(0, queued, CHUNK):
        numbers = range(start, min(start + CHUNK, queued))
        documents = [{**template, "_id": f"{n:012d}", "key": f"k{n}", "index": n} for n in numbers]
        bench.store.database["runs"].insert_many(documents, ordered=False)


# ── the supervisor ──
def supervisor(bench: Bench) -> dict[str, float]:
    """Its own memory and its share of a core while a child logs fifty points a second."""
    script = bench.home / "training.py"
    script.write_text(TRAINING)
    file = bench.home / "training.toml"
    command = json.dumps([sys.executable, str(script)])
    file.write_text(f'name = "training"\ncommand = {command}\ngrace = "1s"\n')
    enqueue(define(file, bench.settings), bench.store, Doorbell(redis_url(bench.settings), 5.0))
    with _worker(bench) as process:
        _wait_until_it_trains(bench.store)
        one = psutil.Process(process.pid).children()[0]
        time.sleep(2.0)  # the start of an attempt is no part of it
        before, began = one.cpu_times(), time.perf_counter()
        time.sleep(TRAINING_S)
        after, took_s = one.cpu_times(), time.perf_counter() - began
        uss_mb = one.memory_full_info().uss / 1e6
    cpu_s = after.user + after.system - before.user - before.system
    return {"supervisor_uss_mb": uss_mb, "supervisor_cpu_percent": 100 * cpu_s / took_s}


def _wait_until_it_trains(store: MongoStore) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if any(run.summary for run in store.runs(RunQuery(experiment="training", states=(State.RUNNING,)))):
            return
        time.sleep(0.05)
    raise AssertionError("the training does not start")


@contextmanager
def _worker(bench: Bench) -> Iterator[subprocess.Popen[bytes]]:
    quiet = subprocess.DEVNULL
    process = subprocess.Popen([*LABQ, "worker"], env=bench.env, stdout=quiet, stderr=quiet, cwd=bench.home)
    try:
        yield process
    finally:
        for _ in range(2):
            process.send_signal(signal.SIGTERM)
            time.sleep(1.5)
        process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200, help="no-ops of each kind, in all rounds together")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--queued", type=int, default=1_000_000, help="runs in the queue while claims are timed")
    options = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="labq-dispatch-"))
    settings = Settings(home=home)
    lifecycle.up(settings)
    try:
        print(json.dumps({name: round(value, 2) for name, value in _figures(Bench(home, settings), options).items()}))
    finally:
        lifecycle.down(settings)
        shutil.rmtree(home)


def _figures(bench: Bench, options: argparse.Namespace) -> dict[str, float]:
    ways: dict[str, Callable[[int], float]] = {
        "labq_ms": bench.labq, "rq_fork_ms": bench.rq_fork, "rq_spawn_ms": bench.rq_spawn, "python_ms": bench.python,
    }  # fmt: skip
    bench.labq(3)  # once: which packages this Python has is asked the first time and then remembered
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(options.rounds):
        for name, way in ways.items():
            times[name].append(way(max(1, options.runs // options.rounds)))
    figures: dict[str, Any] = {name: statistics.median(values) for name, values in times.items()}
    figures["labq_over_python_ms"] = statistics.median(
        labq - python for labq, python in zip(times["labq_ms"], times["python_ms"], strict=True)
    )
    figures |= supervisor(bench)
    waits = statistics.quantiles(claims_ms(bench, options.queued), n=100)
    bench.store.close()
    return figures | {"claim_p50_ms": waits[49], "claim_p99_ms": waits[98], "queued": options.queued}


if __name__ == "__main__":
    main()
