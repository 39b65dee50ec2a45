"""One implementation in a process of its own: python -P -m trainer_peers.worker IMPLEMENTATION DTYPE FOLDER

Reads commands from stdin, a JSON object a line, and answers each with one on stdout. `prepare` a workload: check three
updates without noise, save what they did to the weights, warm up; `epoch`: one pass, timed.
"""

from __future__ import annotations

import json
import os
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from trainer_peers.workloads import Case, ClassifierCase, at_rate, load, without_noise

CHECKED_UPDATES = 3


def trained(module: Any, case: Case) -> Any:
    """An implementation of the case."""
    return module.Classifier(case) if isinstance(case, ClassifierCase) else module.LanguageModel(case)


def check(module: Any, case: Case) -> dict[str, np.ndarray]:
    """Loss, and the change of every weight matrix, of the first updates.

    At such a rate the change is well above the last bits of the weights, which differ with the order of sums.
    """
    case = at_rate(without_noise(case), 0.1 if isinstance(case, ClassifierCase) else 0.1 * case.batch_size)
    model = trained(module, case)
    loss = model.run(np.arange(CHECKED_UPDATES * case.batch_size))
    changes = {name: np.array(w, np.float64) - case.weights[name] for name, w in model.weights().items()}
    return {"loss": np.array(loss), **changes}


class Worker:
    def __init__(self, implementation: str, dtype: str, folder: Path) -> None:
        self.implementation, self.dtype, self.folder = implementation, dtype, folder
        if implementation == "labq":
            from trainer.jit import keep_compiled_kernels_for

            keep_compiled_kernels_for(dtype)
        self.module = import_module(f"trainer_peers.{implementation}_peer")
        self.model: Any = None
        self.n_sequences = self.number = 0

    def prepare(self, workload: str) -> dict[str, Any]:
        self.model, began = None, time.process_time()
        case = load(self.folder, workload, self.dtype)
        path = self.folder / f"check-{os.getpid()}.npz"
        np.savez(path, **check(self.module, case))
        self.model, self.n_sequences, self.number = trained(self.module, case), case.n_sequences, 0
        self.epoch()
        return {"check": str(path), "prepared": time.process_time() - began}

    def epoch(self) -> dict[str, float]:
        """Seconds of one pass in a new order: by the wall, and of processor time."""
        began, worked = time.perf_counter(), time.process_time()
        order = np.random.default_rng(self.number).permutation(self.n_sequences)
        self.model.run(order)
        self.number += 1
        return {"wall": time.perf_counter() - began, "cpu": time.process_time() - worked}

    def answer(self, command: dict[str, Any]) -> dict[str, Any]:
        try:
            return self.prepare(command["workload"]) if command["do"] == "prepare" else self.epoch()
        except Exception as problem:  # noqa: BLE001  (told to the parent, which does not time this one)
            return {"problem": f"{type(problem).__name__}: {problem}"}


def main(implementation: str, dtype: str, folder: str) -> int:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints must not come between the answers
    try:
        if implementation.startswith("torch"):
            import torch

            torch.set_num_threads(int(os.environ["BENCH_THREADS"]))
        worker = Worker(implementation, dtype, Path(folder))
    except ImportError as problem:
        print(json.dumps({"missing": str(problem)}), file=answers, flush=True)
        return 0
    print(json.dumps({"ready": True}), file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(worker.answer(json.loads(line))), file=answers, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
