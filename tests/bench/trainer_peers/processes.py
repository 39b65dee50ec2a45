"""The processes that are timed: started with their number of CPUs, told what to do in turn."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
_INSTALL = {
    "torch_rnn": "pip install torch --index-url https://download.pytorch.org/whl/cpu",
    "torch_manual": "pip install torch --index-url https://download.pytorch.org/whl/cpu",
    "jax": "pip install jax",
    "eigen": "apt-get install g++ libeigen3-dev",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Implementation:
    """What is timed."""

    name: str
    n_threads: int = 1
    dtype: str = "float32"

    @property
    def key(self) -> str:
        return f"{self.name}_us"


def cpus() -> list[int]:
    """The processors that this process may use, the last first: the first serves most interrupts."""
    return sorted(os.sched_getaffinity(0), reverse=True)


def environment(n_threads: int) -> dict[str, str]:
    """Every library gets as many threads as CPUs."""
    pools = ("OMP", "OPENBLAS", "MKL", "NUMBA")
    eigen = "true" if n_threads > 1 else "false"
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests" / "bench")]),
        **{f"{pool}_NUM_THREADS": str(n_threads) for pool in pools},
        "BENCH_THREADS": str(n_threads),
        "XLA_FLAGS": f"--xla_cpu_multi_thread_eigen={eigen} intra_op_parallelism_threads={n_threads}",
        "JAX_PLATFORMS": "cpu",
    }


class Process:
    """One implementation at work. `missing` says what its library lacks, `problem` why it is not timed."""

    def __init__(self, implementation: Implementation, folder: Path, number: int) -> None:
        self.implementation, self.problem = implementation, ""
        n, here = implementation.n_threads, cpus()
        start = [here[(number + i) % len(here)] for i in range(n)]
        command = ["-P", "-m", "trainer_peers.worker", implementation.name, implementation.dtype, str(folder)]
        self._child = subprocess.Popen(
            ["taskset", "-c", ",".join(map(str, start)), sys.executable, *command],
            env=environment(n), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    @property
    def install(self) -> str:
        """How to get what this implementation needs."""
        return _INSTALL.get(self.implementation.name, "pip install labq")

    def is_there(self) -> bool:
        """Whether its library could be imported; to be asked once, first."""
        return "ready" in self.answer()

    def tell(self, **command: Any) -> None:
        assert self._child.stdin is not None
        self._child.stdin.write(json.dumps(command) + "\n")
        self._child.stdin.flush()

    def answer(self) -> dict[str, Any]:
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        found: dict[str, Any] = json.loads(line) if line else {"problem": "the process died"}
        self.problem = found.get("problem", "")
        return found

    def move(self) -> None:
        """To the CPUs where everything is timed, with all its threads."""
        wanted = set(cpus()[: self.implementation.n_threads])
        for thread in Path(f"/proc/{self._child.pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), wanted)

    def end(self) -> None:
        self._child.communicate()


def roofline(n_threads: int) -> dict[str, Any]:
    """What the machine can do, measured in a process of its own."""
    command = [sys.executable, "-P", "-m", "trainer_peers.roofline", str(n_threads)]
    found = subprocess.run(command, env=environment(1), capture_output=True, text=True, check=True)
    measured: dict[str, Any] = json.loads(found.stdout)
    return measured
