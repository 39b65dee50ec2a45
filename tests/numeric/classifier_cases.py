"""Small classifiers for tests: their data, their model and what the slow twin says of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy_twins import ClassifierCase, Weights, classifier_loss, noise, penalty

from trainer.config import (
    Activation,
    ClassifierConfig,
    Head,
    HeadKind,
    LossKind,
    ModelKind,
    Precision,
    Readout,
)
from trainer.data.sequences import Sequences
from trainer.kernels.optimizers import Rule
from trainer.models.classifier import Classifier

N_IN, N_HIDDEN = 3, 6
LENGTHS = [4, 1, 7, 2, 2, 5, 1, 3, 9, 4, 2, 6, 3]
MIXED = (("softmax", 3), ("sigmoid", 2), ("linear", 2), ("softmax", 2))
SEED, EPOCH = 2**33 + 1, 4
STAND_STILL = Rule(0, 0.0, 0.0, 0.0, 0.0, 0.0, 0)


def sequences(case: ClassifierCase, lengths: list[int], n_in: int = N_IN, labels_steps: bool = False) -> Sequences:
    """Packed sequences with labels that fit the heads."""
    draw = np.random.default_rng(1)
    offsets = np.cumsum([0, *lengths], dtype=np.int64)
    rows = offsets[-1] if labels_steps else len(lengths)
    parts = []
    for kind, size in case.heads:
        part = draw.uniform(0.1, 1, (rows, size))
        parts.append(part / part.sum(axis=1, keepdims=True) if kind == "softmax" else part)
    values = draw.normal(0, 1, (offsets[-1], n_in))
    return Sequences(values=values, offsets=offsets, labels=np.concatenate(parts, axis=1), name="drawn")


def model(
    case: ClassifierCase,
    data: Sequences,
    n_hidden: int = N_HIDDEN,
    dtype: str = "float64",
    valid: Sequences | None = None,
    **more: Any,
) -> Classifier:
    """A classifier that trains and, unless there are others, validates on these sequences."""
    heads = tuple(Head(name=f"{i}", kind=HeadKind(kind), size=size) for i, (kind, size) in enumerate(case.heads))
    config = ClassifierConfig(
        model=ModelKind.CLASSIFIER, activation=Activation(case.activation), readout=Readout(case.readout),
        loss=LossKind(case.loss), l1=case.l1, l2=case.l2, n_hidden=n_hidden, dtype=Precision(dtype), head=heads,
        seed=SEED, **{"batch_size": 5} | more,
    )  # fmt: skip
    return Classifier(config, heads, data, data if valid is None else valid)


def drawn_weights(case: ClassifierCase, n_in: int = N_IN, n_hidden: int = N_HIDDEN) -> Weights:
    """Weights of a size that saturates nothing."""
    draw = np.random.default_rng(3)
    shapes = {"W_in": (n_in, n_hidden), "W": (n_hidden, n_hidden), "W_out": (n_hidden, case.n_out)}
    shapes |= {"b": (1, n_hidden), "b_out": (1, case.n_out)}
    return {name: draw.normal(0, 0.6 / np.sqrt(shape[0]), shape) for name, shape in shapes.items()}


def noise_of(data: Sequences, s: int, n_hidden: int, sigma: float, epoch: int = EPOCH) -> np.ndarray:
    """(steps, n_hidden)"""
    steps = data.offsets[s + 1] - data.offsets[s]
    return np.array([noise(n_hidden, sigma, SEED, epoch, s, t) for t in range(steps)])


def labels_of(data: Sequences, s: int) -> np.ndarray:
    """Those of a sequence, or of each of its steps."""
    has_steps = len(data.labels) > data.n_sequences
    return data.labels[data.offsets[s] : data.offsets[s + 1]] if has_steps else data.labels[s]


def objective(case: ClassifierCase, data: Sequences, order: list[int], sigma: float) -> Any:
    """The mean loss of sequences with the penalties, as a function of the weights."""
    inputs = [data.values[data.offsets[s] : data.offsets[s + 1]] for s in order]

    def of(w: Weights) -> float:
        etas = [noise_of(data, s, w["W"].shape[0], sigma) for s in order]
        losses = [
            classifier_loss(x, labels_of(data, s), w, case, eta) for x, s, eta in zip(inputs, order, etas, strict=True)
        ]
        return float(np.mean(losses)) + penalty(w, case)

    return of


def gradient_of(trained: Classifier, w: Weights, order: list[int]) -> tuple[float, Weights]:
    """Objective and gradient as the kernels compute them."""
    flat = trained.layout.zeros()
    value = trained.gradient(np.array(order), EPOCH, trained.layout.pack(w), flat)
    return value, trained.layout.unpack(flat)
