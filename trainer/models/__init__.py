"""What the training loop knows of a model: a fixed set of sequences, and numbers in and out of kernels."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from trainer.arrays import Doubles, Floats, Ints
from trainer.config import Config

Rates = tuple[float, float, float]  # learning rate, momentum, longest gradient (0: any)


class Model(Protocol):
    """A model with its data. It holds scratch memory but no state: that is in the arguments."""

    n_train: int
    n_valid: int

    def initial_weights(self) -> dict[str, Floats]:
        """Freshly drawn weights."""

    def data(self) -> list[NDArray[Any]]:
        """The prepared data, for its digest."""

    def train(self, order: Ints, epoch: int, weights: dict[str, Floats], velocity: dict[str, Floats],
              rates: Rates, sums: Doubles) -> int:  # fmt: skip
        """Make one update per batch_size sequences of `order`; add losses to sums (4); return the updates made.

        Fewer than asked means that the loss of the next was not finite.
        """

    def evaluate(self, first: int, last: int, weights: dict[str, Floats], sums: Doubles) -> None:
        """Add loss, weight and more of validation sequences first … last-1 to sums (validation_size)."""

    @property
    def validation_size(self) -> int:
        """Length of the sums of evaluate: loss, weight, then what validation_metrics understands."""

    def validation_metrics(self, sums: Doubles) -> dict[str, float]:
        """Metrics other than the loss."""

    def training_metrics(self, weights: dict[str, Floats], train_loss: float) -> dict[str, float]:
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
