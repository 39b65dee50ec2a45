"""Histories of labq's own trainer: its loop, in this process, with a recorder where the reporter would be."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import numpy as np
from recording import Recorder, grouped

STRETCH = 60.0
"""A second of these small trainings stands for a minute, so that intervals are those of real ones."""


def train(params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
    """One run. `data` names a maker below and its arguments; params are the trainer's, without its table of data."""
    from trainer.jit import keep_compiled_kernels_for
    from trainer.loop import Loop, initial_state
    from trainer.models import load_model
    from trainer.validation import load_config

    with tempfile.TemporaryDirectory() as folder:
        os.environ["LABQ_DIR"] = folder
        maker, arguments = data["kind"], {k: v for k, v in data.items() if k != "kind"}
        table = MAKERS[maker](Path(folder), **arguments)
        given = {**params, **table}
        config = load_config(given)
        keep_compiled_kernels_for(config.dtype.value)
        model = load_model(config)
        recorder = Recorder()
        with np.errstate(all="ignore"):
            Loop(config, model, initial_state(config, model), recorder).run()
    return {
        "made": {"by": "labq's trainer", "data": data},
        "params": params,
        "groups": grouped(recorder.lines, STRETCH),
        "output": "\n".join(recorder.output[-40:]),
        "stopped": recorder.stopped,
    }


def _saved(folder: Path, values: Any, offsets: Any, labels: Any, kind: str, size: int, valid: float) -> dict[str, Any]:
    np.savez(folder / "x.npz", values=values, offsets=offsets, labels=labels)
    head = {"name": "answer", "kind": kind, "size": size}
    return {"data": {"train": str(folder / "x.npz"), "valid_fraction": valid}, "head": [head]}


def digits(folder: Path, n: int = 800, seed: int = 0, valid: float = 0.25, wrong: float = 0.0) -> dict[str, Any]:
    """Handwritten digits of scikit-learn as eight rows of eight; a share `wrong` of the labels is drawn by lot."""
    from sklearn.datasets import load_digits

    found = load_digits()
    draw = np.random.default_rng(seed)
    chosen = draw.permutation(len(found.images))[:n]
    labels = found.target[chosen]
    mistaken = draw.random(n) < wrong
    labels = np.where(mistaken, draw.integers(0, 10, n), labels)
    values = found.images[chosen].reshape(-1, 8) / 16
    return _saved(folder, values, np.arange(0, 8 * n + 1, 8), np.eye(10)[labels], "softmax", 10, valid)


def sums(folder: Path, n: int = 800, length: int = 20, seed: int = 0, wrong: float = 0.0) -> dict[str, Any]:
    """Whether the first number of a pair stream is, summed over time, above nought."""
    draw = np.random.default_rng(seed)
    values = draw.normal(0, 1, (n, length, 3))
    right = values[:, :, 0].sum(axis=1) > 0
    labels = np.where(draw.random(n) < wrong, draw.random(n) < 0.5, right).astype(float)[:, None]
    return _saved(folder, values.reshape(-1, 3), np.arange(0, n * length + 1, length), labels, "sigmoid", 1, 0.25)


def noise(folder: Path, n: int = 300, length: int = 6, seed: int = 0) -> dict[str, Any]:
    """Labels that have nothing to do with the sequences."""
    draw = np.random.default_rng(seed)
    values = draw.normal(0, 1, (n * length, 5))
    labels = np.eye(3)[draw.integers(0, 3, n)]
    return _saved(folder, values, np.arange(0, n * length + 1, length), labels, "softmax", 3, 0.3)


def docs(folder: Path, sentences: int = 1500, valid: float = 0.1) -> dict[str, Any]:
    """Sentences of Python's documentation, for a language model."""
    return {"data": {"source": "pydoc", "max_sentences": sentences, "valid_fraction": valid}}


MAKERS = {"digits": digits, "sums": sums, "noise": noise, "docs": docs}
