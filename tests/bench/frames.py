"""How long data frames of very many runs take: python tests/bench/frames.py [--runs 100000] [--home FOLDER]

Fills a database with runs of eight parameters and three metrics (a FOLDER is kept and not filled again). Each case is a
process of its own. Prints one JSON object: of each case the seconds from the call of `labq.runs` to the frame, rows and
columns of the frame, its own size and the peak memory of the process (MB), and what the imports alone take; `cpu_s` is
this process alone, without MongoDB. `load`, `loop_s`: how busy the machine was, and a loop of ten million additions.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from million import fill

from store.connect import connect
from store.servers import lifecycle
from store.settings import Settings

PROGRAMME = """
import json, resource, sys, time
import labq, {library}, numpy
import queueing.api, pymongo
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before, began, used = peak(), time.perf_counter(), time.process_time()
frame = {expression}
took, used = time.perf_counter() - began, time.process_time() - used
size = {size}
print(json.dumps({{"s": round(took, 2), "cpu_s": round(used, 2), "rows": len(frame), "columns": frame.shape[1], "frame_mb": round(size / 2**20),
                   "peak_mb": round(peak()), "imports_mb": round(before)}}))
"""
PANDAS = "frame.memory_usage(deep=True).sum()"
CASES = {
    "to_pandas": ("labq.runs().to_pandas()", "pandas", PANDAS),
    "to_polars": ("labq.runs().to_polars()", "polars", "frame.estimated_size()"),
    "to_pandas, four columns": ("labq.runs().to_pandas('run,lr,best.val_loss,duration')", "pandas", PANDAS),
    "to_pandas, sorted": ("labq.runs(sort='best.val_loss').to_pandas()", "pandas", PANDAS),
    "to_pandas, finished below a loss": ("labq.runs('state=finished and val_loss<0.5').to_pandas()", "pandas", PANDAS),
}  # fmt: skip


def timed(home: Path, expression: str, library: str, size: str) -> dict[str, float]:
    programme = PROGRAMME.format(expression=expression, library=library, size=size)
    env = {**os.environ, "LABQ_HOME": str(home), "LABQ_MONGO_TIMEOUT_S": "60"}
    done = subprocess.run([sys.executable, "-c", programme], env=env, capture_output=True, text=True, timeout=300)
    if done.returncode:
        return {"failed": done.stderr.splitlines()[-1]}
    found: dict[str, float] = json.loads(done.stdout)
    return found


def loop_s() -> float:
    began, total = time.perf_counter(), 0
    for number in range(10_000_000):
        total += number
    return round(time.perf_counter() - began, 2)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--home", type=Path)
    options = parser.parse_args()
    home = options.home or Path(tempfile.mkdtemp(prefix="labq-bench-"))
    settings = Settings(home=home, mongo_timeout_s=60.0)  # machines are busy; it is for the filling
    lifecycle.up(settings)
    try:
        store = connect(settings)
        if store.database["runs"].estimated_document_count() < options.runs:
            fill(store, options.runs)
        measured = {name: timed(home, *case) for name, case in CASES.items()}
        print(json.dumps({"runs": options.runs, "load": os.getloadavg()[0], "loop_s": loop_s(), **measured}))
    finally:
        lifecycle.down(settings)
        if options.home is None:
            shutil.rmtree(home)


if __name__ == "__main__":
    main()
