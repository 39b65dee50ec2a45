"""How long 10,000 runs take into the queue: python tests/bench/enqueue.py [RUNS]

Prints one JSON object: seconds of the whole `labq enqueue` (start-up included), of the second call that adds none, of the
library alone, and of the floor, a bare pymongo insert_many of equal documents in chunks of 1000; and the ratio to it.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from queueing.definition import define
from queueing.doorbell import Doorbell
from queueing.enqueue import enqueue
from queueing.expand import runs
from store.connect import connect, redis_url
from store.mongo.codec import to_document
from store.servers import lifecycle
from store.settings import Settings

COUNT = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000


def timed(command: list[str], env: dict[str, str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, env=env, check=True, capture_output=True)
    return time.perf_counter() - began


def main() -> None:
    home = Path(tempfile.mkdtemp(prefix="labq-bench-"))
    settings = Settings(home=home)
    lifecycle.up(settings)
    try:
        file = home / "many.toml"
        text = f'name = "%s"\ncommand = ["true", "{{a}}"]\n[sweep.params]\na = {list(range(COUNT))}\n'
        file.write_text(text % "cli")
        env = {**os.environ, "LABQ_HOME": str(home)}
        labq = [sys.executable, "-P", "-m", "queueing.cli.main"]
        store = connect(settings)
        cli_s = timed([*labq, "enqueue", str(file)], env)
        again_s = timed([*labq, "enqueue", str(file)], env)
        startup_s = timed([*labq, "ls", "-n", "1"], env)
        file.write_text(text % "library")
        definition = define(file, settings)
        began = time.perf_counter()
        enqueue(definition, store, Doorbell(redis_url(settings), 5.0))
        library_s = time.perf_counter() - began
        documents = [to_document(run) for run in runs(definition, datetime.now(UTC), "me", {"git": None})]
        for document in documents:
            document["_id"], document["key"] = "f" + document["_id"], "f" + document["key"]
        began = time.perf_counter()
        for start in range(0, COUNT, 1000):
            store.database["runs"].insert_many(documents[start : start + 1000], ordered=False)
        floor_s = time.perf_counter() - began
        figures = {
            "runs": COUNT, "cli_s": cli_s, "cli_again_s": again_s, "startup_s": startup_s,
            "library_s": library_s, "floor_s": floor_s, "library_over_floor": library_s / floor_s,
        }  # fmt: skip
        print(json.dumps({name: round(value, 3) for name, value in figures.items()}))
        store.close()
    finally:
        lifecycle.down(settings)
        shutil.rmtree(home)


if __name__ == "__main__":
    main()
