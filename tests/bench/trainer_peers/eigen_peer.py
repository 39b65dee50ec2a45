"""The C++/Eigen programme of the parallel-RNN report, float64, compiled for this machine when it is first used."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from trainer_peers.workloads import Array, TextCase, Weights

_SOURCE = Path(__file__).with_name("eigen_rnn.cpp")
_HEADERS = Path("/usr/include/eigen3")
_FLAGS = ("-O3", "-march=native", "-fopenmp", "-DNDEBUG", "-std=c++17", "-shared", "-fPIC")


_COMPILER = shutil.which("g++") or shutil.which("clang++")

if _COMPILER is None or not _HEADERS.exists():
    raise ImportError("a C++ compiler and Eigen")


def library() -> ctypes.CDLL:
    """Compiled and loaded; nothing of it is kept on disk."""
    target = Path(tempfile.mkdtemp(prefix="labq-bench-eigen-")) / "eigen_rnn.so"
    try:
        subprocess.run([str(_COMPILER), *_FLAGS, f"-I{_HEADERS}", str(_SOURCE), "-o", str(target)], check=True)
        return ctypes.CDLL(str(target))
    finally:
        shutil.rmtree(target.parent)


class LanguageModel:
    def __init__(self, case: TextCase) -> None:
        if case.dtype != "float64":
            raise ValueError("the programme has float64 alone")
        self.case = case
        self.u, self.w, self.v = (case.weights[name].copy() for name in "UWV")
        self.train = library().train
        self.train.restype = ctypes.c_double

    def run(self, order: Array) -> float:
        case, whole = self.case, ctypes.c_int64
        order = np.ascontiguousarray(order, np.int64)
        return float(
            self.train(
                _at(case.tokens),
                _at(case.offsets),
                _at(order),
                whole(len(order)),
                whole(case.batch_size),
                whole(case.bptt),
                ctypes.c_double(case.rate),
                whole(len(self.u)),
                whole(len(self.w)),
                _at(self.u),
                _at(self.w),
                _at(self.v),
            )
        )

    def weights(self) -> Weights:
        return {"U": self.u, "W": self.w, "V": self.v}


def _at(array: Array) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)
