"""The next-word model with its text."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.arrays import Doubles, Floats, Ints
from trainer.config import LanguageModelConfig
from trainer.data.cache import usual_cache
from trainer.data.preparation import prepare_text
from trainer.data.vocabulary import PackedText, Vocabulary
from trainer.kernels import language_model as kernels
from trainer.kernels.optimizers import Rule
from trainer.layout import Layout, Part
from trainer.models import uniform
from trainer.order import weights_generator


class LanguageModel:
    """See trainer.models.Model."""

    def __init__(
        self, config: LanguageModelConfig, vocabulary: Vocabulary, train: PackedText, valid: PackedText
    ) -> None:
        self.config, self.vocabulary = config, vocabulary
        self._train, self._valid = train, valid
        self.n_train, self.n_valid = train.n_sentences, valid.n_sentences
        self._work = _work(len(vocabulary), config, max(train.longest, valid.longest))
        self.layout = _layout(len(vocabulary), config.n_hidden, config.dtype.value)
        self._gradient = self.layout.zeros()

    @classmethod
    def load(cls, config: LanguageModelConfig) -> LanguageModel:
        """Read the text; words are counted in its training part only. Raises UserMistake."""
        return cls(config, *prepare_text(config, usual_cache()))

    def initial_weights(self) -> Floats:
        """Uniform within 1/sqrt(n) of n inputs, as in Britz's tutorial."""
        generator, dtype = weights_generator(self.config.seed), self.config.dtype.value
        h, k = self.config.n_hidden, len(self.vocabulary)
        return self.layout.pack(
            {
                "U": uniform(generator, (k, h), 1 / math.sqrt(k), dtype),
                "W": uniform(generator, (h, h), 1 / math.sqrt(h), dtype),
                "V": uniform(generator, (h, k), 1 / math.sqrt(h), dtype),
            }
        )

    def data(self) -> list[NDArray[Any]]:
        return [*self._train.identity(), *self._valid.identity()]

    def train(self, order: Ints, epoch: int, weights: Floats, memory: Floats, rule: Rule, sums: Doubles) -> int:
        del epoch  # there is no noise to key
        text, config = self._train, self.config
        return kernels.train(text.tokens, text.offsets, order, config.batch_size, weights, memory, self._views(weights),
                             self._gradient, self._views(self._gradient), self._work, config.bptt, rule,
                             sums)  # fmt: skip

    def parts(self) -> tuple[list[NDArray[Any]], list[NDArray[Any]]]:
        return [self._train.tokens, self._train.offsets], [self._valid.tokens, self._valid.offsets]

    def extras(self) -> dict[str, NDArray[Any]]:
        """`vocabulary`: its words as UTF-8, a line each."""
        return {"vocabulary": np.frombuffer("\n".join(self.vocabulary.words).encode(), np.uint8)}

    def gradient(self, order: Ints, epoch: int, weights: Floats, gradient: Floats) -> float:
        del epoch
        gradient[:] = 0
        text, views = self._train, self._views(gradient)
        return kernels.mean_gradient(
            text.tokens, text.offsets, order, self._views(weights), gradient, views, self._work, self.config.bptt
        )

    def evaluate(self, first: int, last: int, weights: Floats, sums: Doubles) -> None:
        text = self._valid
        kernels.evaluate(text.tokens, text.offsets, first, last, self._views(weights), self._work, sums)

    def twin(self) -> LanguageModel:
        other = copy.copy(self)
        other._gradient = self.layout.zeros()
        other._work = kernels.Work(*(np.zeros_like(array) for array in self._work))
        return other

    def _views(self, flat: Floats) -> kernels.Weights:
        return kernels.Weights(**{part.name: self.layout.matrix(flat, part.name) for part in self.layout.parts})

    @property
    def validation_size(self) -> int:
        return 2

    def validation_metrics(self, sums: Doubles) -> dict[str, float]:
        return {"val_perplexity": perplexity(sums[0] / sums[1])}

    def training_metrics(self, weights: Floats, train_loss: float) -> dict[str, float]:
        del weights
        return {"train_perplexity": perplexity(train_loss)}


def perplexity(loss: float) -> float:
    """exp of the loss per word; infinite where that is too large for a float."""
    with np.errstate(over="ignore"):
        return float(np.exp(loss))


def _layout(k: int, h: int, dtype: str) -> Layout:
    shapes = {"U": (k, h), "W": (h, h), "V": (h, k)}
    parts = (Part(name=name, rows=rows, columns=n, width=n) for name, (rows, n) in shapes.items())
    return Layout(tuple(parts), dtype)


def _work(k: int, config: LanguageModelConfig, longest: int) -> kernels.Work:
    t, h, dtype = longest, config.n_hidden, config.dtype.value
    return kernels.Work(
        states=np.zeros((t + 1, h), dtype),
        probs=np.zeros((t, k), dtype),
        level=np.zeros((t, h), dtype),
        carried=np.zeros((t, h), dtype),
        total=np.zeros((t, h), dtype),
    )
