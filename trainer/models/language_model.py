"""The next-word model with its text."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.arrays import Doubles, Floats, Ints
from trainer.config import LanguageModelConfig
from trainer.data.text import sentences, valid_sentences
from trainer.data.vocabulary import PackedText, Vocabulary, build_vocabulary, pack
from trainer.kernels import language_model as kernels
from trainer.models import Rates, uniform
from trainer.order import split, weights_generator


class LanguageModel:
    """See trainer.models.Model."""

    def __init__(
        self, config: LanguageModelConfig, vocabulary: Vocabulary, train: PackedText, valid: PackedText
    ) -> None:
        self.config, self.vocabulary = config, vocabulary
        self._train, self._valid = train, valid
        self.n_train, self.n_valid = train.n_sentences, valid.n_sentences
        self._work = _work(len(vocabulary), config, max(train.longest, valid.longest))
        self._gradient = kernels.Weights(**{name: np.zeros_like(w) for name, w in self.initial_weights().items()})

    @classmethod
    def load(cls, config: LanguageModelConfig) -> LanguageModel:
        """Read the text; words are counted in its training part only. Raises UserMistake."""
        text, held_back = sentences(config.data), valid_sentences(config.data)
        if held_back is None:
            kept, chosen = split(len(text), config.data.valid_fraction)
            text, held_back = [text[i] for i in kept], [text[i] for i in chosen]
        vocabulary = build_vocabulary(text, config.vocabulary_size)
        return cls(config, vocabulary, pack(text, vocabulary), pack(held_back, vocabulary))

    def initial_weights(self) -> dict[str, Floats]:
        """Uniform within 1/sqrt(n) of n inputs, as in Britz's tutorial."""
        generator, dtype = weights_generator(self.config.seed), self.config.dtype.value
        h, k = self.config.n_hidden, len(self.vocabulary)
        return {
            "U": uniform(generator, (k, h), 1 / math.sqrt(k), dtype),
            "W": uniform(generator, (h, h), 1 / math.sqrt(h), dtype),
            "V": uniform(generator, (h, k), 1 / math.sqrt(h), dtype),
        }

    def data(self) -> list[NDArray[Any]]:
        return [self._train.tokens, self._train.offsets, self._valid.tokens, self._valid.offsets]

    def train(self, order: Ints, epoch: int, weights: dict[str, Floats], velocity: dict[str, Floats],
              rates: Rates, sums: Doubles) -> int:  # fmt: skip
        del epoch  # there is no noise to key
        text, w, v = self._train, kernels.Weights(**weights), kernels.Weights(**velocity)
        return kernels.train(text.tokens, text.offsets, order, self.config.batch_size, w, v, self._gradient, self._work,
                             self.config.bptt, rates, sums)  # fmt: skip

    def evaluate(self, first: int, last: int, weights: dict[str, Floats], sums: Doubles) -> None:
        text, w = self._valid, kernels.Weights(**weights)
        kernels.evaluate(text.tokens, text.offsets, first, last, w, self._work, sums)

    @property
    def validation_size(self) -> int:
        return 2

    def validation_metrics(self, sums: Doubles) -> dict[str, float]:
        return {"val_perplexity": perplexity(sums[0] / sums[1])}

    def training_metrics(self, weights: dict[str, Floats], train_loss: float) -> dict[str, float]:
        del weights
        return {"train_perplexity": perplexity(train_loss)}


def perplexity(loss: float) -> float:
    """exp of the loss per word; infinite where that is too large for a float."""
    with np.errstate(over="ignore"):
        return float(np.exp(loss))


def _work(k: int, config: LanguageModelConfig, longest: int) -> kernels.Work:
    t, h, dtype = longest, config.n_hidden, config.dtype.value
    return kernels.Work(
        states=np.zeros((t + 1, h), dtype),
        probs=np.zeros((t, k), dtype),
        level=np.zeros((t, h), dtype),
        carried=np.zeros((t, h), dtype),
        total=np.zeros((t, h), dtype),
        touched=np.zeros(k, np.int64),
        is_touched=np.zeros(k, np.bool_),
        n_touched=np.zeros(1, np.int64),
    )
