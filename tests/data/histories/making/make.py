"""Record histories: `python make.py FOLDER SEED COUNT_FACTOR [GROUP …]` from the root of the repository; see ../README.md."""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[4])]

import numpy as np  # noqa: E402
from recipes import GROUPS, Group, histories  # noqa: E402
from recording import write  # noqa: E402


def record(folder: Path, name: str, group: Group, seed: int) -> str:
    """All histories of one group; says how many drawn ones were not what was meant."""
    began, kept, drawn = time.perf_counter(), [], 0
    if group.parallel > 1:
        shares = [replace(group, count=1) for _ in range(group.count)]
        with ThreadPoolExecutor(group.parallel) as pool:
            found = pool.map(lambda item: list(histories(item[1], 1000 * seed + item[0], 3)), enumerate(shares))
            results = [one for several in found for one in several]
    else:
        results = histories(group, seed, 40 * group.count)
    for history, good in results:
        drawn += 1
        if good:
            kept.append(history)
            write(folder, f"{name}-{len(kept):02}", history | {"group": name, "must": group.must, "may": group.may})
    return f"{name}: {len(kept)} of {drawn} drawn, {time.perf_counter() - began:.0f} s"


def main(folder: str, seed: str, factor: str, *names: str) -> None:
    np.seterr(all="ignore")
    for name in names or GROUPS:
        group = GROUPS[name]
        wanted = replace(group, count=max(1, round(group.count * float(factor))))
        print(record(Path(folder), name, wanted, int(seed)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
