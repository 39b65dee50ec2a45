"""Small trainings that use much of what there is."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np


def text(n: int) -> str:
    draw = random.Random(5)
    words = ["the", "rain", "in", "spain", "stays", "mainly", "on", "a", "plain", "dog"]
    return "\n".join(" ".join(draw.choices(words, k=draw.randint(1, 9))) for _ in range(n))


def write_sequences(path: Path, n: int) -> None:
    draw = np.random.default_rng(6)
    offsets = np.cumsum([0, *draw.integers(1, 6, n)])
    labels = np.concatenate([np.eye(3)[draw.integers(0, 3, n)], draw.integers(0, 2, (n, 2))], axis=1)
    np.savez(path, values=draw.normal(0, 1, (offsets[-1], 4)), offsets=offsets, labels=labels)


def language_model(folder: Path, n: int = 150) -> dict[str, Any]:
    (folder / "text.txt").write_text(text(n))
    return {
        "model": "language-model", "n_hidden": 6, "vocabulary_size": 12, "learning_rate": 0.1, "batch_size": 2,
        "initial_momentum": 0.5, "final_momentum": 0.8, "momentum_switchover": 3, "learning_rate_decay": 0.9,
        "halve_on_rise": True, "clip_norm": 5, "epochs": 40, "log_every": 7,
        "data": {"train": str(folder / "text.txt"), "valid_fraction": 0.2},
    }  # fmt: skip


def classifier(folder: Path, n: int = 200) -> dict[str, Any]:
    write_sequences(folder / "x.npz", n)
    heads = [{"name": "mood", "kind": "softmax", "size": 3}, {"name": "when", "kind": "sigmoid", "size": 2}]
    return {
        "model": "classifier", "n_hidden": 7, "batch_size": 9, "noise": 0.2, "l1": 1e-4, "learning_rate": 0.05,
        "epochs": 60, "early_stopping": "minimum", "patience": 50, "log_every": 4,
        "data": {"train": str(folder / "x.npz"), "valid_fraction": 0.2}, "head": heads,
    }  # fmt: skip


_MOMENTUM = ("initial_momentum", "final_momentum", "momentum_switchover")
_MINI_BATCH = (
    "batch_size", "learning_rate", "learning_rate_decay", "halve_on_rise", "clip_norm", "log_every", "watch_every"
)  # fmt: skip


def with_optimizer(params: dict[str, Any], optimizer: str) -> dict[str, Any]:
    """The parameters without those that the optimizer does not use; `nesterov` is an optimizer here."""
    if optimizer in ("sgd", "nesterov"):
        return {**params, "nesterov": optimizer == "nesterov", "initial_momentum": 0.5}
    is_full_batch = optimizer in ("cg", "bfgs", "l-bfgs")
    unused = {*_MOMENTUM, *(_MINI_BATCH if is_full_batch else ())}
    own = {"iterations": 3} if is_full_batch else {"learning_rate": 0.02}
    return {**{name: value for name, value in params.items() if name not in unused}, "optimizer": optimizer, **own}
