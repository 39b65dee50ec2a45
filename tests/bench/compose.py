"""What a message costs: from story to text, HTML and pictures, warm and cold; and what 500 of them leave in memory.

    python tests/bench/compose.py [--mails 500]

One JSON object: milliseconds of wall clock and of the processor per kind, the first message of a fresh process, resident
memory before and after. The stories are those of `labq notify --test`; `gather` is the time to read one from memory.
"""

import argparse
import gc
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import psutil

COLD = """
import time
begun = time.perf_counter()
from notify.made_up.notices import one_of_each
from notify.compose import compose
imported = time.perf_counter()
notice, story = one_of_each(("ada@lab.example",))[0]
gathered = time.perf_counter()
compose(notice, story)
first = time.perf_counter()
compose(notice, story)
print((imported - begun) * 1000, (first - gathered) * 1000, (time.perf_counter() - first) * 1000)
"""


def timed(make: Callable[[], Any], times: int) -> dict[str, float]:
    """Median and greatest of some calls."""
    wall, busy = [], []
    for _ in range(times):
        begun, worked = time.perf_counter(), time.process_time()
        make()
        wall.append((time.perf_counter() - begun) * 1000)
        busy.append((time.process_time() - worked) * 1000)
    return {
        "wall_ms": round(statistics.median(wall), 1),
        "wall_most_ms": round(max(wall), 1),
        "cpu_ms": round(statistics.median(busy), 1),
    }


def cold() -> dict[str, float]:
    """The first message of a new process."""
    done = subprocess.run([sys.executable, "-c", COLD], capture_output=True, text=True, check=True, timeout=120)
    imports, first, second = (round(float(one), 1) for one in done.stdout.split())
    return {"imports_ms": imports, "first_ms": first, "second_ms": second}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mails", type=int, default=500)
    parser.add_argument("--times", type=int, default=7)
    options = parser.parse_args()
    from notify.compose import compose
    from notify.gather import gather
    from notify.made_up.notices import lab_of, one_of_each

    made = one_of_each(("ada@lab.example",))
    said = [compose(notice, story) for notice, story in made]  # fonts, templates
    kinds = {
        notice.about.value: {
            **timed(lambda n=notice, s=story: compose(n, s), options.times),
            "pictures": len(content.images),
            "bytes": len(content.text) + len(content.html) + sum(len(one.png) for one in content.images),
        }
        for (notice, story), content in zip(made, said, strict=True)
    }
    notice, _ = made[0]
    reading = timed(lambda: gather(lab_of(notice.about), notice), options.times)
    process = psutil.Process()
    gc.collect()
    memory = [process.memory_info().rss]
    begun = time.perf_counter()
    for place in range(options.mails):
        compose(*made[place % len(made)])
        if place % 50 == 49:
            memory.append(process.memory_info().rss)
    print(
        json.dumps(
            {
                "kinds": kinds,
                "slowest_ms": max(kind["wall_ms"] for kind in kinds.values()),
                "gather": reading,
                "cold": cold(),
                "mails": options.mails,
                "mails_s": round(time.perf_counter() - begun, 1),
                "memory_mb": [round(one / 1e6, 1) for one in memory],
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
