"""The sequence classifier with its sequences."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.arrays import Doubles, Floats, Ints
from trainer.config import Activation, ClassifierConfig, Head, HeadKind, LossKind
from trainer.data.cache import usual_cache
from trainer.data.preparation import prepare_sequences
from trainer.data.sequences import Sequences, targets_for
from trainer.kernels import activations, readout
from trainer.kernels import classifier as kernels
from trainer.kernels.optimizers import Rule
from trainer.kernels.penalties import penalty
from trainer.layout import Layout, Part
from trainer.models import uniform
from trainer.order import weights_generator
from trainer.origin import as_json, plain

_ACTIVATIONS = {
    Activation.TANH: activations.TANH,
    Activation.SIGMOID: activations.SIGMOID,
    Activation.RELU: activations.RELU,
    Activation.CAPPED_RELU: activations.CAPPED_RELU,
}
_HEADS = {HeadKind.SOFTMAX: readout.SOFTMAX, HeadKind.SIGMOID: readout.SIGMOID, HeadKind.LINEAR: readout.LINEAR}
_LOSSES = {LossKind.MSE: readout.MSE, LossKind.CROSS_ENTROPY: readout.CROSS_ENTROPY}
_PENALISED = ("W_in", "W", "W_out")


class Classifier:
    """See trainer.models.Model."""

    def __init__(self, config: ClassifierConfig, heads: tuple[Head, ...], train: Sequences, valid: Sequences) -> None:
        dtype = config.dtype.value
        self.config, self.heads = config, heads
        self.n_train, self.n_valid = train.n_sequences, valid.n_sequences
        self.n_in, self.n_out = train.values.shape[1], sum(head.size for head in heads)
        self._train = _cast(train, heads, dtype)
        self._valid = _cast(valid, heads, dtype)
        self._identity = [*train.identity(), *valid.identity()]
        self._work = _work(max(train.longest, valid.longest), config.n_hidden, self.n_out, dtype)
        self.layout = _layout(self.n_in, config.n_hidden, self.n_out, dtype)
        self._gradient = self.layout.zeros()
        self._heads, self._kinds = _head_table(heads), (_ACTIVATIONS[config.activation], _LOSSES[config.loss])

    @classmethod
    def load(cls, config: ClassifierConfig) -> Classifier:
        """Read the sequences. Raises UserMistake."""
        return cls(config, *prepare_sequences(config, usual_cache()))

    def initial_weights(self) -> Floats:
        """Uniform within 1/sqrt(n) of n inputs; biases zero."""
        generator, dtype = weights_generator(self.config.seed), self.config.dtype.value
        i, h, o = self.n_in, self.config.n_hidden, self.n_out
        return self.layout.pack(
            {
                "W_in": uniform(generator, (i, h), 1 / math.sqrt(i), dtype),
                "W": uniform(generator, (h, h), 1 / math.sqrt(h), dtype),
                "W_out": uniform(generator, (h, o), 1 / math.sqrt(h), dtype),
                "b": np.zeros((1, h), dtype),
                "b_out": np.zeros((1, o), dtype),
            }
        )

    def data(self) -> list[NDArray[Any]]:
        return self._identity

    def parts(self) -> tuple[list[NDArray[Any]], list[NDArray[Any]]]:
        return list(self._train), list(self._valid)

    def extras(self) -> dict[str, NDArray[Any]]:
        """`heads`: those of the parameters, or found in the data, as JSON."""
        return {"heads": as_json([plain(head) for head in self.heads])}

    def predict(self, values: Floats, offsets: Ints, weights: Floats) -> Floats:
        """Answers (n, n_out) to packed sequences, without noise."""
        other, n = self.twin(), len(offsets) - 1
        work, views, answers = other._work, self._views(weights), np.zeros((n, self.n_out), self.layout.dtype)
        for s in range(n):
            target, sums = np.zeros((1, self.n_out), self.layout.dtype), np.zeros(2 + len(self.heads))
            rows = np.ascontiguousarray(values[offsets[s] : offsets[s + 1]])
            kernels.evaluate(rows, np.array([0, len(rows)]), target, 0, 1, views, work, self._heads, *self._kinds, sums)
            answers[s] = work.output
        return answers

    def train(self, order: Ints, epoch: int, weights: Floats, memory: Floats, rule: Rule, sums: Doubles) -> int:
        config = self.config
        return kernels.train(*self._train, order, config.batch_size, weights, memory, self._views(weights),
                             self._gradient, self._views(self._gradient), self._work, self._heads, *self._kinds,
                             self._noise(epoch), config.l1, config.l2, rule, sums)  # fmt: skip

    def gradient(self, order: Ints, epoch: int, weights: Floats, gradient: Floats) -> float:
        config = self.config
        gradient[:] = 0
        loss = kernels.mean_gradient(*self._train, order, self._views(weights), self._views(gradient), self._work,
                                     self._heads, *self._kinds, self._noise(epoch), config.l1, config.l2)  # fmt: skip
        return loss + self._penalty(weights)

    def evaluate(self, first: int, last: int, weights: Floats, sums: Doubles) -> None:
        kernels.evaluate(*self._valid, first, last, self._views(weights), self._work, self._heads, *self._kinds, sums)

    def twin(self) -> Classifier:
        other = copy.copy(self)
        other._gradient = self.layout.zeros()
        other._work = kernels.Work(*(np.zeros_like(array) for array in self._work))
        return other

    def _views(self, flat: Floats) -> kernels.Weights:
        return kernels.Weights(**{part.name: self.layout.matrix(flat, part.name) for part in self.layout.parts})

    def _noise(self, epoch: int) -> kernels.Noise:
        return kernels.Noise(self.config.noise, self.config.seed, epoch)

    def _penalty(self, weights: Floats) -> float:
        l1, l2 = self.config.l1, self.config.l2
        return sum(penalty(self.layout.matrix(weights, name), l1, l2) for name in _PENALISED) if l1 or l2 else 0.0

    @property
    def validation_size(self) -> int:
        return 2 + len(self.heads)

    def validation_metrics(self, sums: Doubles) -> dict[str, float]:
        """The share of wrong decisions, over all heads and, when there are several, of each."""
        mistakes = {head.name: sums[2 + h] for h, head in enumerate(self.heads) if head.kind is not HeadKind.LINEAR}
        decisions = {head.name: sums[1] * (head.size if head.kind is HeadKind.SIGMOID else 1) for head in self.heads}
        if not mistakes:
            return {}
        total = sum(mistakes.values()) / sum(decisions[name] for name in mistakes)
        each = {f"val_error_{name}": wrong / decisions[name] for name, wrong in mistakes.items()}
        return {"val_error": total, **(each if len(self.heads) > 1 else {})}

    def training_metrics(self, weights: Floats, train_loss: float) -> dict[str, float]:
        """The penalty that the training loss does not include."""
        del train_loss
        return {"penalty": self._penalty(weights)} if self.config.l1 or self.config.l2 else {}


def _layout(i: int, h: int, o: int, dtype: str) -> Layout:
    shapes = {"W_in": (i, h), "W": (h, h), "W_out": (h, o), "b": (1, h), "b_out": (1, o)}
    parts = (Part(name=name, rows=rows, columns=n, width=n) for name, (rows, n) in shapes.items())
    return Layout(tuple(parts), dtype)


def _cast(sequences: Sequences, heads: tuple[Head, ...], dtype: str) -> tuple[Floats, Ints, Floats]:
    """Values, offsets and targets; without a copy when they are of the precision already."""
    values, targets = sequences.values.astype(dtype, copy=False), targets_for(sequences, heads)
    return values, sequences.offsets, targets.astype(dtype, copy=False)


def _head_table(heads: tuple[Head, ...]) -> Ints:
    """(n_heads, 3): kind, first output, number of outputs."""
    firsts = np.cumsum([0, *(head.size for head in heads)])
    return np.array([(_HEADS[head.kind], firsts[h], head.size) for h, head in enumerate(heads)], dtype=np.int64)


def _work(t: int, h: int, o: int, dtype: str) -> kernels.Work:
    return kernels.Work(
        states=np.zeros((t + 1, h), dtype),
        slopes=np.zeros((t, h), dtype),
        errors=np.zeros((t, h), dtype),
        output=np.zeros(o, dtype),
        error=np.zeros(o, dtype),
    )
