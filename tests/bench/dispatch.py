"""What a run costs beside its command: python tests/bench/dispatch.py [--runs 200] [--rounds 5] [--queued 1000000]

Prints one JSON object, times in milliseconds. The command is a Python that does nothing; the rounds of the four ways to
start it are interleaved, so that whatever else the machine does hits them alike, and the medians are given:

    python_ms                    bare subprocess.run
    labq_ms                      `labq worker`, from claim to claim
    rq_fork_ms, rq_spawn_ms      rq's Worker and SpawnWorker with a job that does the same subprocess.run
    labq_cpu_ms, python_cpu_ms   processor time per run of all processes but the servers, without the worker's own start
    claim_p50_ms, claim_p99_ms   a claim while that many runs are queued
    claim_behind_…               the same with a tenth of them first in the queue and not for this worker (other tags)
    claim_in_span_…              the same by a worker whose time ends
    claim_beside_long_…          the same when all of them take longer than it has, but for some of another experiment
    ringable_ms                  what a repair round asks of the queue
    supervisor_pss_mb, _uss_mb, _cpu_percent    while a child trains for some seconds, with the default settings
    sampler_cpu_percent          of a core, one look every sample_s
"""

import argparse
import json
import os
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
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
from queueing.repair import RING_AT_MOST
from store.connect import connect, redis_url
from store.mongo import MongoStore
from store.mongo.codec import to_document
from store.servers import lifecycle
from store.settings import Settings
from store.spans import Pace, Span
from store.states import State
from store.store import RunQuery
from store.workers import Worker
from worker.sampler import Sampler

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
LOOKS = 100
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

    def idle_cpu_ms(self) -> float:
        """What a worker costs that finds nothing to do: its start, one look, its end."""
        before_ms = _cpu_ms()
        subprocess.run([*LABQ, "worker", "--burst"], env=self.env, check=True, capture_output=True, cwd=self.home)
        return _cpu_ms() - before_ms

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
def claims_ms(bench: Bench, span: Span | None = None) -> list[float]:
    """How long each of some hundred claims takes."""
    worker = Worker(name="bench", host="here", pid=1, queues=("default",), cpus=2, memory_bytes=1 << 34)
    times = []
    for _ in range(CLAIMS):
        began = time.perf_counter()
        assert bench.store.claim(worker, 20.0, span) is not None
        times.append((time.perf_counter() - began) * 1000)
    return times


def _claim_figures(bench: Bench, queued: int) -> dict[str, float]:
    """With nothing before them, and behind runs that are not for this worker."""
    _fill(bench, queued)
    figures = _quantiles("claim", claims_ms(bench))
    _fill(bench, queued // 10, "z", priority=10, tags=["elsewhere"])
    figures |= _quantiles("claim_behind", claims_ms(bench))
    began = time.perf_counter()
    bench.store.ringable(RING_AT_MOST)
    figures |= {"ringable_ms": (time.perf_counter() - began) * 1000}
    hour = Span.of(1800.0, 3600.0, 15.0)
    figures |= _quantiles("claim_in_span", claims_ms(bench, hour))
    bench.store.database["experiments"].insert_one({"_id": "many"})
    bench.store.note_pace("many", Pace(took_s=7200.0))
    _fill(bench, CLAIMS, "y", experiment="few")
    return figures | _quantiles("claim_beside_long", claims_ms(bench, hour))


def _quantiles(name: str, times_ms: list[float]) -> dict[str, float]:
    waits = statistics.quantiles(times_ms, n=100)
    return {f"{name}_p50_ms": waits[49], f"{name}_p99_ms": waits[98]}


def _fill(
    bench: Bench,
    queued: int,
    prefix: str = "",
    priority: int = 0,
    tags: Sequence[str] = (),
    experiment: str = "many",
) -> None:
    """Straight into the collection: enqueueing is measured elsewhere."""
    file = bench.home / "many.toml"
    file.write_text('name = "many"\ncommand = ["true", "{a}"]\n[params]\na = 1\n')
    (run,) = runs(define(file, bench.settings), datetime.now(UTC), "me", {"git": None})
    demands = replace(run.resources, tags=tuple(tags))
    template = to_document(replace(run, priority=priority, resources=demands, experiment=experiment))
    for start in range(0, queued, CHUNK):
        numbers = range(start, min(start + CHUNK, queued))
        documents = [{**template, "_id": f"{prefix}{n:011d}", "key": f"{prefix}{n}", "index": n} for n in numbers]
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
        memory = one.memory_full_info()
    cpu_s = after.user + after.system - before.user - before.system
    return {
        "supervisor_pss_mb": memory.pss / 1e6,
        "supervisor_uss_mb": memory.uss / 1e6,
        "supervisor_cpu_percent": 100 * cpu_s / took_s,
    }


def sampler(bench: Bench) -> dict[str, float]:
    """Looks at the tree of a running attempt, one after another; in a worker there is one every `sample_s` seconds."""
    worker = Worker(name="sampling", host="here", pid=1, queues=("default",), cpus=2, memory_bytes=1 << 34)
    run = bench.store.claim(worker, 60.0)
    assert run is not None
    child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    looking = Sampler(bench.store, bench.settings, run, bench.home, ())
    looking.look()
    began = time.process_time()
    for _ in range(LOOKS):
        looking.look()
    cpu_s = (time.process_time() - began) / LOOKS
    child.communicate()
    return {"sampler_cpu_percent": 100 * cpu_s / bench.settings.sample_s}


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
    cpu: dict[str, list[float]] = {"labq_cpu_ms": [], "python_cpu_ms": []}
    idle_ms = bench.idle_cpu_ms()
    count = max(1, options.runs // options.rounds)
    for _ in range(options.rounds):
        for name, way in ways.items():
            before_ms = _cpu_ms()
            times[name].append(way(count))
            cpu.get(name.replace("_ms", "_cpu_ms"), []).append((_cpu_ms() - before_ms) / count)
    cpu["labq_cpu_ms"] = [used - idle_ms / count for used in cpu["labq_cpu_ms"]]
    figures: dict[str, Any] = {name: statistics.median(values) for name, values in {**times, **cpu}.items()}
    figures["labq_over_python_ms"] = statistics.median(
        labq - python for labq, python in zip(times["labq_ms"], times["python_ms"], strict=True)
    )
    figures["labq_over_python_fastest_ms"] = min(times["labq_ms"]) - min(times["python_ms"])
    figures |= supervisor(bench)
    figures |= _claim_figures(bench, options.queued)
    figures |= sampler(bench)
    bench.store.close()
    return figures | {"queued": options.queued}


def _cpu_ms() -> float:
    """Of all that we started and waited for, and of what they did; the servers are not in it."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (used.ru_utime + used.ru_stime) * 1000


if __name__ == "__main__":
    main()
