"""How fast runs get into the queue: python tests/bench/enqueue.py [RUNS] [ROUNDS]

Prints one JSON object. Runs per second, of the fastest of ROUNDS (default 5; the four take turns):
  insert_many          bare pymongo, equal documents in chunks of 1000, w: majority, j: true
  rq_enqueue_many      RQ's enqueue_many of equal jobs, in chunks of 1000
  insert_many_plus_rq  both, one after the other, as a queue with a ticket for every run would
  labq                 the library: expand, hash, insert, ring
  labq_ratio           labq / insert_many_plus_rq
Seconds: cli_10k_s (the whole `labq enqueue`, start-up included), cli_again_s (the same again: adds none), startup_s.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from redis import Redis
from rq import Queue
from rq.serializers import JSONSerializer

from queueing.definition import define
from queueing.doorbell import Doorbell
from queueing.enqueue import enqueue
from queueing.expand import runs
from store.connect import connect, redis_url
from store.mongo import MongoStore
from store.mongo.codec import to_documents
from store.servers import lifecycle
from store.settings import Settings

COUNT = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
ROUNDS = int(sys.argv[2]) if len(sys.argv) > 2 else 5
CHUNK = 1000
TEXT = 'name = "%s"\ncommand = ["true", "{a}", "{b}"]\n[sweep.params]\na = %s\nb = %s\n'


def text(name: str) -> str:
    """A grid of about the square root by the square root."""
    side = int(COUNT**0.5)
    return TEXT % (name, list(range(side)), list(range(COUNT // side)))


class Bench:
    """One home, one pair of servers."""

    def __init__(self, home: Path) -> None:
        self.settings = Settings(home=home)
        lifecycle.up(self.settings)
        self.store: MongoStore = connect(self.settings)
        self.redis = Redis.from_url(redis_url(self.settings))
        self.file = home / "many.toml"

    def close(self) -> None:
        self.store.close()
        self.redis.close()
        lifecycle.down(self.settings)

    def labq(self, number: int) -> float:
        self.file.write_text(text(f"library-{number}"))
        definition = define(self.file, self.settings)
        doorbell = Doorbell(redis_url(self.settings), 5.0)
        return timed(lambda: enqueue(definition, self.store, doorbell))

    def insert_many(self, number: int) -> float:
        self.file.write_text(text(f"bare-{number}"))
        definition = define(self.file, self.settings)
        documents = to_documents(list(runs(definition, datetime.now(UTC), "me", {"git": None})))
        return timed(lambda: self._insert(documents))

    def _insert(self, documents: list[dict[str, object]]) -> None:
        for start in range(0, COUNT, CHUNK):
            self.store.database["runs"].insert_many(documents[start : start + CHUNK], ordered=False)

    def rq_enqueue_many(self, number: int) -> float:
        queue = Queue(f"bench-{number}", connection=self.redis, serializer=JSONSerializer)
        return timed(lambda: self._ring(queue, number))

    @staticmethod
    def _ring(queue: Queue, number: int) -> None:
        for start in range(0, COUNT, CHUNK):
            jobs = [
                Queue.prepare_data("bench.nothing", args=(i,), job_id=f"b{number}-{i}", timeout=-1, result_ttl=0)
                for i in range(start, min(start + CHUNK, COUNT))
            ]
            queue.enqueue_many(jobs)


def timed(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def command_line(home: Path, *arguments: str) -> float:
    env = {**os.environ, "LABQ_HOME": str(home)}
    labq = [sys.executable, "-P", "-m", "queueing.cli.main", *arguments]
    return timed(lambda: subprocess.run(labq, env=env, check=True, capture_output=True))


def main() -> None:
    home = Path(tempfile.mkdtemp(prefix="labq-bench-"))
    bench = Bench(home)
    took: dict[str, list[float]] = {}
    try:
        for number in range(ROUNDS):
            for name in ("insert_many", "rq_enqueue_many", "labq"):
                took.setdefault(name, []).append(getattr(bench, name)(number))
            bench.file.write_text(text(f"cli-{number}"))
            took.setdefault("cli_10k_s", []).append(command_line(home, "enqueue", str(bench.file)))
            took.setdefault("cli_again_s", []).append(command_line(home, "enqueue", str(bench.file)))
            took.setdefault("startup_s", []).append(command_line(home, "ls", "-n", "1"))
    finally:
        bench.close()
        shutil.rmtree(home)
    print(json.dumps(figures({name: min(seconds) for name, seconds in took.items()})))


def figures(took: dict[str, float]) -> dict[str, float]:
    """What is printed, from the fastest rounds."""
    rates = {name: COUNT / took[name] for name in ("insert_many", "rq_enqueue_many", "labq")}
    rates["insert_many_plus_rq"] = COUNT / (took["insert_many"] + took["rq_enqueue_many"])
    seconds = {name: round(took[name], 2) for name in ("cli_10k_s", "cli_again_s", "startup_s")}
    ratio = rates["labq"] / rates["insert_many_plus_rq"]
    return {
        "runs": COUNT,
        **{name: round(rate) for name, rate in rates.items()},
        "labq_ratio": round(ratio, 2),
        **seconds,
    }


if __name__ == "__main__":
    main()
