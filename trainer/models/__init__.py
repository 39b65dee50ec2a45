"""What the training loop knows of a model: a fixed set of sequences, and numbers in and out of kernels."""

from __future__ import annotations

from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from trainer.arrays import Doubles, Floats, Ints
from trainer.config import Config
from trainer.kernels.optimizers import Rule
from trainer.layout import Layout


class Model(Protocol):
    """A model with its data. It holds scratch memory but no state: that is in the arguments.

    Weights, gradient and each slot of the optimizer's memory are flat buffers of one layout.
    """

    layout: Layout
    n_train: int
    n_valid: int

    def initial_weights(self) -> Floats:
        """Freshly drawn weights (layout.size)."""

    def data(self) -> list[NDArray[Any]]:
        """What identifies the prepared data, for its digest."""

    def parts(self) -> tuple[list[NDArray[Any]], list[NDArray[Any]]]:
        """The training data and the validation data, to look at.

        Of a classifier: values (rows, n_in), offsets (n+1), targets (n, n_out); of a language model: tokens, offsets.
        """

    def extras(self) -> dict[str, NDArray[Any]]:
        """What a checkpoint must hold besides weights and parameters, so that it can be used without the data."""

    def train(self, order: Ints, epoch: int, weights: Floats, memory: Floats, rule: Rule, sums: Doubles) -> int:
        """Make one update per batch_size sequences of `order`; add losses to sums (4); return the updates made.

        Fewer than asked means that the loss of the next was not finite.
        """

    def gradient(self, order: Ints, epoch: int, weights: Floats, gradient: Floats) -> float:
        """Overwrite gradient with that of the mean objective over the sequences of `order`; returns the objective."""

    def loss_weight(self, order: Ints) -> float:
        """What the loss of these sequences is averaged over: how many they are, or how many words they have."""

    def evaluate(self, first: int, last: int, weights: Floats, sums: Doubles) -> None:
        """Add loss, weight and more of validation sequences first … last-1 to sums (validation_size)."""

    def twin(self) -> Self:
        """A model with the same data and scratch memory of its own: for another thread."""

    @property
    def validation_size(self) -> int:
        """Length of the sums of evaluate: loss, weight, then what validation_metrics understands."""

    def validation_metrics(self, sums: Doubles) -> dict[str, float]:
        """Metrics other than the loss."""

    def training_metrics(self, weights: Floats, train_loss: float) -> dict[str, float]:
        """Metrics other than the loss and the norms of the weights."""


def load_model(config: Config) -> Model:
    """The model of a configuration, with its data. Raises UserMistake for bad data."""
    from trainer.config import LanguageModelConfig

    if isinstance(config, LanguageModelConfig):
        from trainer.models.language_model import LanguageModel

        return LanguageModel.load(config)
    from trainer.models.classifier import Classifier

    return Classifier.load(config)


def uniform(generator: np.random.Generator, shape: tuple[int, int], bound: float, dtype: str) -> Floats:
    """Weights drawn evenly from -bound … bound."""
    return generator.uniform(-bound, bound, shape).astype(dtype)
