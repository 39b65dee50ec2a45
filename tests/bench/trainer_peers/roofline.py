"""What the machine can do: python -P -m trainer_peers.roofline prints one JSON object.

The peak is that of fused multiply-adds on the widest vectors, in enough independent chains to hide their latency; the
bandwidths are those of reading, and of reading and writing in place, a buffer that fits L2, L3 or neither.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
from llvmlite import binding, ir
from numba.core import cgutils, types
from numba.extending import intrinsic

# Chains of dependent operations: latency times units, as far as there are registers (16, or 32 with AVX-512 and ARM).
_CHAINS = {128: 24, 256: 12, 512: 16}
_ROUNDS = 9
_TIMES_OF_A_RUN = 2_000_000


def vector_bits() -> int:
    """The widest vectors of this processor."""
    features = binding.get_host_cpu_features()
    if features.get("avx512f"):
        return 512
    return 256 if features.get("avx") else 128


def _fma_loop(real: Any, lanes: int) -> Any:
    """A function of n that makes n vector multiply-adds in each chain."""
    n_chains = _CHAINS[vector_bits()]
    vector = ir.VectorType(real, lanes)

    @intrinsic
    def loop(typing_context: Any, n: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            name = f"llvm.fma.v{lanes}f{32 if isinstance(real, ir.FloatType) else 64}"
            fma = cgutils.get_or_insert_function(builder.module, ir.FunctionType(vector, [vector] * 3), name)
            factor, start = ir.Constant(vector, [0.999] * lanes), ir.Constant(vector, [0.5] * lanes)
            sums = [cgutils.alloca_once_value(builder, start) for _ in range(n_chains)]
            with cgutils.for_range(builder, arguments[0]):
                for s in sums:
                    builder.store(builder.call(fma, [builder.load(s), factor, start]), s)
            total = builder.load(sums[0])
            for s in sums[1:]:
                total = builder.fadd(total, builder.load(s))
            first = builder.extract_element(total, ir.IntType(32)(0))
            return first if isinstance(real, ir.DoubleType) else builder.fpext(first, ir.DoubleType())

        return types.float64(types.int64), generate

    return numba.njit(nogil=True)(lambda n: loop(n))


@numba.njit(nogil=True, fastmath=True)
def _read(a: Any, times: int) -> float:
    total = a[0]
    for i in range(times):
        a[0] = i  # or the compiler would read once for all times
        for j in range(a.shape[0]):
            total += a[j]
    return float(total)


@numba.njit(nogil=True, fastmath=True)
def _change(a: Any, times: int) -> float:
    for _ in range(times):
        for j in range(a.shape[0]):
            a[j] = a[j] * a.dtype.type(0.999) + a.dtype.type(0.5)
    return float(a[0])


def _at_once(jobs: list[Callable[[], object]]) -> float:
    """Seconds from the first start to the last end of jobs that begin together, each on a processor of its own."""
    cpus, barrier = sorted(os.sched_getaffinity(0), reverse=True), threading.Barrier(len(jobs))
    spans = [(0.0, 0.0)] * len(jobs)

    def work(number: int, job: Callable[[], object]) -> None:
        os.sched_setaffinity(0, {cpus[number]})
        barrier.wait()
        began = time.perf_counter()
        job()
        spans[number] = began, time.perf_counter()

    threads = [threading.Thread(target=work, args=pair) for pair in enumerate(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return max(end for _, end in spans) - min(began for began, _ in spans)


def _best(jobs: list[Callable[[], object]]) -> float:
    return min(_at_once(jobs) for _ in range(_ROUNDS))


def peak_gflops(dtype: str, n_threads: int) -> float:
    lanes = vector_bits() // (32 if dtype == "float32" else 64)
    loop = _fma_loop(ir.FloatType() if dtype == "float32" else ir.DoubleType(), lanes)
    loop(1)
    seconds = _best([lambda: loop(_TIMES_OF_A_RUN)] * n_threads)
    return 2 * _CHAINS[vector_bits()] * lanes * _TIMES_OF_A_RUN * n_threads / seconds / 1e9


def bandwidth(n_bytes: int, n_threads: int) -> dict[str, float]:
    """GB/s of reading, and of changing in place (bytes read plus bytes written); every thread has its own buffer."""
    buffers = [np.ones(n_bytes // 4, np.float32) for _ in range(n_threads)]
    times = max(1, 100_000_000 // n_bytes)
    _read(buffers[0], 1), _change(buffers[0], 1)
    read = _best([lambda b=b: _read(b, times) for b in buffers])
    change = _best([lambda b=b: _change(b, times) for b in buffers])
    moved = n_threads * times * n_bytes / 1e9
    return {"read_gb_s": moved / read, "update_gb_s": 2 * moved / change}


def cache_bytes() -> dict[str, int]:
    """Sizes of L2 and L3 as Linux tells them; ordinary ones where it does not."""
    sizes = {"l2": 1 << 20, "l3": 16 << 20}
    for index in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"):
        level, size = (index / "level").read_text().strip(), (index / "size").read_text().strip()
        if level in "23":
            sizes[f"l{level}"] = int(size.rstrip("KM")) << (10 if size.endswith("K") else 20)
    return sizes


def measured(n_threads: int) -> dict[str, Any]:
    """Peaks and bandwidths of 1 … n_threads threads."""
    caches = cache_bytes()
    places = {
        "l2": caches["l2"] // 2,
        "l3": max(2 * caches["l2"], caches["l3"] // 8),
        "ram": min(4 * caches["l3"], 400 << 20),
    }
    return {
        "vector_bits": vector_bits(),
        "buffer_bytes": places,
        "peak_gflops": {
            dtype: {str(n): round(peak_gflops(dtype, n), 1) for n in range(1, n_threads + 1)}
            for dtype in ("float32", "float64")
        },
        "bandwidth": {
            place: {
                str(n): {name: round(value, 1) for name, value in bandwidth(size, n).items()}
                for n in range(1, n_threads + 1)
            }
            for place, size in places.items()
        },
    }


if __name__ == "__main__":
    print(json.dumps(measured(int(sys.argv[1]) if len(sys.argv) > 1 else 1)))
