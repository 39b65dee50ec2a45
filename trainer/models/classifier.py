"""The sequence classifier with its sequences."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.arrays import Doubles, Floats, Ints
from trainer.config import Activation, ClassifierConfig, Head, HeadKind, LossKind, Readout
from trainer.crew import Crew
from trainer.data.cache import usual_cache
from trainer.data.preparation import prepare_sequences
from trainer.data.sequences import Sequences, targets_for
from trainer.kernels import activations, readout, recurrence
from trainer.kernels import classifier as kernels
from trainer.kernels.activations import Noise
from trainer.kernels.optimizers import Rule
from trainer.kernels.penalties import penalty
from trainer.models import classifier_rooms as rooms
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
_READOUTS = {
    Readout.LAST: recurrence.LAST,
    Readout.MEAN: recurrence.MEAN,
    Readout.EVERY_STEP: recurrence.EVERY_STEP,
}
_LOSSES = {LossKind.MSE: readout.MSE, LossKind.CROSS_ENTROPY: readout.CROSS_ENTROPY}
_PENALISED = ("W_in", "W", "W_out")
_EVALUATED_AT_ONCE, _ROWS_AT_ONCE = 64, 4096
_NO_UPDATE = Rule(-1, 0.0, 0.0, 0.0, 0.0, 0.0, 0)


class Classifier:
    """See trainer.models.Model."""

    def __init__(self, config: ClassifierConfig, heads: tuple[Head, ...], train: Sequences, valid: Sequences) -> None:
        self.config, self.heads = config, heads
        self.n_train, self.n_valid = train.n_sequences, valid.n_sequences
        self.n_in, self.n_out = train.values.shape[1], sum(head.size for head in heads)
        self.layout = rooms.layout(self.n_in, config.n_hidden, self.n_out, config.dtype.value)
        self._sizes = rooms.sizes(self.layout)
        self._train = rooms.data(train, targets_for(train, heads), self._sizes, config.dtype.value)
        self._valid = rooms.data(valid, targets_for(valid, heads), self._sizes, config.dtype.value)
        self._identity = [*train.identity(), *valid.identity()]
        self._network = kernels.Network(
            _ACTIVATIONS[config.activation], _READOUTS[config.readout], _LOSSES[config.loss], _head_table(heads),
            len(heads), config.l1, config.l2,
        )  # fmt: skip
        self._crew = Crew(min(config.threads_of_a_gradient, rooms.n_shards(config.batch_size)))
        self._make_rooms()

    def _make_rooms(self) -> None:
        room = rooms.Room(
            batch=max(self.config.batch_size, _EVALUATED_AT_ONCE),
            rows=rooms.most_rows(self._train.offsets, self.config.batch_size, self._valid.offsets),
            longest=max(rooms.longest(self._train.offsets), rooms.longest(self._valid.offsets)),
            n_heads=len(self.heads),
            reads_every_step=self.config.readout is Readout.EVERY_STEP,
        )
        dtype = self.config.dtype.value
        self._shared = rooms.shared(self.layout, self._sizes, rooms.n_shards(self.config.batch_size), room)
        self._own = [rooms.own(self._sizes, room, dtype) for _ in range(self._crew.n)]
        self._at_once = rooms.shards_a_pass(self._sizes, self._train.offsets, self.config.batch_size, dtype)

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
        return self._plain(self._train), self._plain(self._valid)

    def _plain(self, data: kernels.Data) -> list[NDArray[Any]]:
        return [data.values[:, -1 - self.n_in : -1], data.offsets, data.targets]

    def extras(self) -> dict[str, NDArray[Any]]:
        """`heads`: those of the parameters, or found in the data, as JSON."""
        return {"heads": as_json([plain(head) for head in self.heads])}

    def train(self, order: Ints, epoch: int, weights: Floats, memory: Floats, rule: Rule, sums: Doubles) -> int:
        return self._crew.run(lambda me: self._train_part(me, order, epoch, weights, memory, rule, sums))

    def gradient(self, order: Ints, epoch: int, weights: Floats, gradient: Floats) -> float:
        sums = np.zeros(4)
        self._crew.run(lambda me: self._train_part(me, order, epoch, weights, self._no_memory, _NO_UPDATE, sums))
        gradient[:] = self._shared.gradient
        return float(sums[0] / sums[1]) + self._penalty(weights)

    def _train_part(self, me: int, order: Ints, epoch: int, weights: Floats, memory: Floats, rule: Rule,
                    sums: Doubles) -> int:  # fmt: skip
        config, part = self.config, kernels.Part(me, self._crew.n, self._at_once)
        noise = Noise(config.noise, config.seed, epoch)
        done: int = kernels.train(self._train, order, config.batch_size, weights, memory, self._sizes, self._network,
                                  noise, self._shared, self._own[me], part, rule, sums)  # fmt: skip
        return done

    def loss_weight(self, order: Ints) -> float:
        return float(len(order))

    def evaluate(self, first: int, last: int, weights: Floats, sums: Doubles) -> None:
        scores = np.zeros((last - first, 1 + len(self.heads)))
        own, nothing = self._own[0]._replace(counts=True), np.zeros((0, self.n_out), self.config.dtype.value)
        kernels.evaluate(self._valid, first, last, weights, self._sizes, self._network, own, scores, nothing)
        for score in scores:  # one after another, so that the sums do not depend on where a validation was cut
            sums += [score[0], 1, *score[1:]]

    def predict(self, values: Floats, offsets: Ints, weights: Floats) -> Floats:
        """The answers to packed sequences: probabilities, or numbers of a linear head.   # (n_sequences, n_out)

        values: (rows, n_in); offsets: (n_sequences+1).
        """
        n, dtype = len(offsets) - 1, self.config.dtype.value
        answers, scores = np.zeros((n, self.n_out), dtype), np.zeros((n, 1 + len(self.heads)))
        given = rooms.padded(values, offsets, np.zeros((n, self.n_out), dtype), self._sizes, dtype)
        room = rooms.Room(
            batch=_EVALUATED_AT_ONCE, rows=max(rooms.longest(offsets), _ROWS_AT_ONCE), longest=rooms.longest(offsets),
            n_heads=len(self.heads), reads_every_step=self.config.readout is Readout.EVERY_STEP,
        )  # fmt: skip
        own = rooms.own(self._sizes, room, dtype)
        kernels.evaluate(given, 0, n, weights, self._sizes, self._network, own, scores, answers)
        return answers

    def twin(self) -> Classifier:
        other = copy.copy(self)
        other._crew = Crew(self._crew.n)
        other._make_rooms()
        return other

    @property
    def _no_memory(self) -> Floats:
        return self.layout.zeros(0)

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


def _head_table(heads: tuple[Head, ...]) -> Ints:
    """(n_heads, 3): kind, first output, number of outputs."""
    firsts = np.cumsum([0, *(head.size for head in heads)])
    return np.array([(_HEADS[head.kind], firsts[h], head.size) for h, head in enumerate(heads)], dtype=np.int64)
