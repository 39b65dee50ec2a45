"""How fast labq trains, against what one would use instead: python tests/bench/trainer.py [--quick] [--json]

Prints one JSON object: microseconds per token (of the classifier: per step of a sequence) of labq and its peers for
four workloads, the ratios of the peers to labq, and the share of the machine's peak that labq reaches, counting only
the arithmetic that is needed. See docs/performance.md.

Every implementation is a process of its own, pinned to one CPU (two under threads2). One epoch of each is run in turn,
again and again; a time is the median over the rounds, a ratio the median of the ratios within a round. An
implementation whose first updates are not those of a plain NumPy reference in float64 is not timed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import statistics
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from trainer_peers import numpy_peer, tables, worker, workloads
from trainer_peers.processes import Implementation, Process, cpus, roofline

PEERS = ("torch_rnn", "torch_manual", "jax", "numpy")
UNTRUNCATED = ("torch_rnn",)  # autograd carries errors back to the start: another gradient, checked as such
TOLERANCE = {"float32": 1e-4, "float64": 1e-9}
LABQ = Implementation(name="labq")


@dataclass(slots=True, kw_only=True)
class Bench:
    """What was asked for, and what was found on the way."""

    folder: Path
    rounds: int
    clock: str
    peak: dict[str, dict[str, float]]  # GF/s by precision and threads
    prepare_s: dict[str, float] = field(default_factory=dict)  # compiling, checking and warming up, all together
    missing: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)


def implementations(quick: bool, two: bool) -> list[Implementation]:
    """Everything that is timed. --quick: float64 only for labq against the report's programme, its goal being there."""
    found = [Implementation(name=name) for name in ("labq", *PEERS)]
    found += [
        Implementation(name=name, dtype="float64")
        for name in (("labq", "eigen") if quick else ("labq", *PEERS, "eigen"))
    ]
    if two:
        found += [Implementation(name=name, n_threads=2) for name in (("labq",) if quick else ("labq", *PEERS))]
        found += [] if quick else [Implementation(name="labq", n_threads=2, dtype="float64")]
    return found


def takes_part(implementation: Implementation, workload: str, quick: bool) -> bool:
    if implementation.name == "eigen":
        return workload == "lm_b1"
    return not quick or implementation.dtype == "float32" or workload == "lm_b1"


def reference(folder: Path, workload: str, truncated: bool) -> dict[str, np.ndarray]:
    """What the first updates do, in float64."""
    case = workloads.load(folder, workload, "float64")
    if not truncated and isinstance(case, workloads.TextCase):
        case = workloads.untruncated(case)
    return worker.check(numpy_peer, case)


def deviation(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> float:
    """The greatest difference of a loss or a weight's change, relative to the greatest of its kind."""
    pairs = [(np.asarray(found[name]), value) for name, value in expected.items()]
    return max(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in pairs)


def prepared(bench: Bench, workload: str, processes: Iterable[Process]) -> list[Process]:
    """The processes that compute the right thing, ready to be timed."""
    processes = list(processes)
    for process in processes:
        process.tell(do="prepare", workload=workload)
    expected = {truncated: reference(bench.folder, workload, truncated) for truncated in (True, False)}
    right = []
    for process in processes:
        answer, what = process.answer(), process.implementation
        problem = process.problem
        bench.prepare_s[what.name] = bench.prepare_s.get(what.name, 0.0) + answer.get("prepared", 0.0)
        if not problem:
            with np.load(answer["check"]) as found:
                off = deviation(dict(found), expected[what.name not in UNTRUNCATED])
            problem = "" if off < TOLERANCE[what.dtype] else f"its updates differ by {off:.1e}"
        if problem:
            bench.refused[f"{what.name} {workload} {what.dtype} {what.n_threads} threads"] = problem
        else:
            right.append(process)
    return right


def timed(bench: Bench, workload: str, processes: list[Process]) -> dict[Implementation, list[float]]:
    """Microseconds per step of each round."""
    n_steps = workloads.load(bench.folder, workload, "float32").n_steps
    times: dict[Implementation, list[float]] = {process.implementation: [] for process in processes}
    for process in processes:
        process.move()
    for _ in range(bench.rounds):
        for process in processes:
            process.tell(do="epoch")
            # Processor time of two threads would be the same however well they share the work.
            clock = bench.clock if process.implementation.n_threads == 1 else "wall"
            times[process.implementation].append(process.answer()[clock] / n_steps * 1e6)
    return times


def figures(times: dict[Implementation, list[float]], dtype: str, flops: float, peak: float) -> dict[str, Any]:
    """One thread: times, ratios to labq, and labq's share of the peak."""
    mine = {i.name: t for i, t in times.items() if i.dtype == dtype and i.n_threads == 1}
    names = ["labq", *PEERS, *(["eigen"] if "eigen" in mine else [])]
    out: dict[str, Any] = {f"{name}_us": median(mine.get(name)) for name in names}
    out["ratios"] = {name: ratio(mine.get(name), mine.get("labq")) for name in names[1:]}
    out["roofline"] = share(mine.get("labq"), flops, peak)
    return out


def figures_of_two(times: dict[Implementation, list[float]], dtype: str, flops: float, peak: float) -> dict[str, Any]:
    """Two threads: as `figures`, with each peer at its better number of threads, and what labq gains."""
    one = {i.name: t for i, t in times.items() if i.dtype == dtype and i.n_threads == 1}
    two = {i.name: t for i, t in times.items() if i.dtype == dtype and i.n_threads == 2}
    out: dict[str, Any] = {f"{name}_us": median(t) for name, t in two.items()}
    best = {name: min(one.get(name, t), t, key=statistics.median) for name, t in two.items() if name != "labq"}
    out["ratios"] = {name: ratio(t, two.get("labq")) for name, t in best.items()}
    out["speedup"] = ratio(one.get("labq"), two.get("labq"))
    out["roofline"] = share(two.get("labq"), flops, peak)
    return out


def median(values: list[float] | None) -> float | None:
    return round(statistics.median(values), 4) if values else None


def ratio(above: list[float] | None, below: list[float] | None) -> float | None:
    """The median of the ratios of the rounds."""
    return round(statistics.median(a / b for a, b in zip(above, below, strict=True)), 2) if above and below else None


def share(times: list[float] | None, flops: float, peak: float) -> float | None:
    return round(flops / (statistics.median(times) * 1e3 * peak), 3) if times else None


def started(bench: Bench, wanted: list[Implementation]) -> list[Process]:
    """The processes whose library is there."""
    processes = [Process(implementation, bench.folder, number) for number, implementation in enumerate(wanted)]
    there = []
    for process in processes:
        if process.is_there():
            there.append(process)
        else:
            bench.missing[process.implementation.name] = process.install
    return there


def run(bench: Bench, wanted: list[Implementation], names: list[str], quick: bool) -> dict[str, Any]:
    """All workloads."""
    results: dict[str, Any] = {name: {} for name in names} | {"threads2": {}, "float64": {}}
    processes = started(bench, wanted)
    try:
        for name in names:
            chosen = [p for p in processes if takes_part(p.implementation, name, quick)]
            times = timed(bench, name, prepared(bench, name, chosen))
            _put(results, name, times, workloads.load(bench.folder, name, "float32").useful_flops, bench.peak)
    finally:
        for process in processes:
            process.end()
    return results


def _put(results: dict[str, Any], name: str, times: dict[Implementation, list[float]], flops: float, peak: Any) -> None:
    results[name] = figures(times, "float32", flops, peak["float32"]["1"])
    dtypes = {i.dtype for i in times if i.n_threads == 1}
    if "float64" in dtypes:
        results["float64"][name] = figures(times, "float64", flops, peak["float64"]["1"])
    for dtype in sorted({i.dtype for i in times if i.n_threads == 2}):
        key = name if dtype == "float32" else f"{name}_float64"
        results["threads2"][key] = figures_of_two(times, dtype, flops, peak[dtype]["2"])


def machine() -> dict[str, Any]:
    """Where and with what it was measured."""
    from importlib.metadata import PackageNotFoundError, version

    versions = {}
    for package in ("numpy", "scipy", "numba", "llvmlite", "torch", "jax"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = None
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": names[0] if names else platform.machine(),
        "cpus": len(cpus()),
        "python": platform.python_version(),
        "versions": versions,
        "load": os.getloadavg()[0],
    }


def parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="trainer.py", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="under a minute: float32, few sentences, few rounds")
    parser.add_argument("--json", action="store_true", help="one line instead of indented lines")
    parser.add_argument("--markdown", metavar="FILE", help="print the tables of docs/performance.md from this output")
    parser.add_argument("--rounds", type=int, help="default: 5 with --quick, else 11")
    parser.add_argument("--sentences", type=int, help="of an epoch of the language model; default: 30 and 100")
    parser.add_argument("--only", choices=workloads.NAMES, action="append", help="this workload; may be repeated")
    parser.add_argument("--one-thread", action="store_true", help="without threads2")
    parser.add_argument(
        "--clock", choices=("wall", "cpu"), default="wall", help="cpu: processor time of one thread, for a busy machine"
    )
    parser.add_argument("--sequences", metavar="FILE", help=".npz with values, offsets and labels (24 columns)")
    parser.add_argument("--text", metavar="FILE", help="a text file, one sentence a line")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    asked = parsed(arguments)
    if asked.markdown:
        print(tables.markdown(json.loads(Path(asked.markdown).read_text())))
        return 0
    n_threads = min(2, len(cpus()))
    two = n_threads == 2 and not asked.one_thread
    with tempfile.TemporaryDirectory(prefix="labq-bench-") as name:
        folder, quick = Path(name), asked.quick
        workloads.generate(folder, asked.sentences or (30 if quick else 100), asked.sequences, asked.text)
        before = roofline(n_threads)
        bench = Bench(
            folder=folder, rounds=asked.rounds or (5 if quick else 11), clock=asked.clock, peak=before["peak_gflops"]
        )
        results = run(bench, implementations(quick, two), asked.only or list(workloads.NAMES), quick)
    command = shlex.join(["python", "tests/bench/trainer.py", *arguments])
    results |= {
        "roofline": before,
        "machine": machine(),
        "command": command,
        "rounds": bench.rounds,
        "clock": bench.clock,
    }
    results |= {"missing": bench.missing, "refused": bench.refused}
    results["prepare_s"] = {name: round(seconds, 1) for name, seconds in bench.prepare_s.items()}
    print(json.dumps(results, indent=None if asked.json else 2))
    return 1 if bench.refused else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
