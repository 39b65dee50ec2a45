"""The next-word model with its text."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.arrays import Doubles, Floats, Ints, Named
from trainer.config import LanguageModelConfig, Truncation
from trainer.crew import Crew
from trainer.data.cache import usual_cache
from trainer.data.preparation import prepare_text
from trainer.data.vocabulary import PackedText, Vocabulary
from trainer.kernels import language_model as kernels
from trainer.kernels.language_model_output import PARTS
from trainer.kernels.language_model_recurrence import Sizes, Text
from trainer.kernels.optimizers import ADAGRAD, SGD, Rule
from trainer.kernels.tiles.panels import panel_width
from trainer.layout import Layout, Part
from trainer.models import uniform
from trainer.models.language_model_room import room_for, seats
from trainer.order import weights_generator

# Words whose probabilities are in memory at a time: enough to make good use of each reading of the weights, …
_GOOD_ROWS = 256
# … and so many if a batch has them: they wait for the next pass over the weights together.
_MOST_ROWS = 1024
_FOREVER = 1 << 40


class LanguageModel:
    """See trainer.models.Model."""

    def __init__(
        self, config: LanguageModelConfig, vocabulary: Vocabulary, train: PackedText, valid: PackedText
    ) -> None:
        self.config, self.vocabulary = config, vocabulary
        self._train, self._valid = Text(train.tokens, train.offsets), Text(valid.tokens, valid.offsets)
        self._identity = [*train.identity(), *valid.identity()]
        self.n_train, self.n_valid = train.n_sentences, valid.n_sentences
        self.layout = _layout(len(vocabulary), config.n_hidden, config.dtype.value)
        self._largest_batch = _largest_batch(train, config.batch_size)
        self._sizes = _sizes(self.layout, _rows_at_a_time(train, valid, self._largest_batch))
        self._reach = _reach(config)
        self._make_room()

    def _make_room(self) -> None:
        n_threads = min(self.config.threads_of_a_gradient, PARTS)
        self._crew, self._seats = Crew(n_threads), seats(n_threads)
        self._room = room_for(self._sizes, n_threads, self.layout.dtype)
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
        return self._identity

    def train(self, order: Ints, epoch: int, weights: Floats, memory: Floats, rule: Rule, sums: Doubles) -> int:
        del epoch  # there is no noise to key
        if rule.kind == SGD and len(memory) == 0 and rule.longest == 0 and self._largest_batch <= self._sizes.rows:
            return self._run(kernels.DESCEND, self._train, order, weights, weights, rule.rate, sums)
        size = self.config.batch_size
        for done, start in enumerate(range(0, len(order), size)):
            if not self._update(order[start : start + size], weights, memory, rule, done, sums):
                return done
        return math.ceil(len(order) / size)

    def _update(self, batch: Ints, weights: Floats, memory: Floats, rule: Rule, number: int, sums: Doubles) -> bool:
        """One update by a whole gradient. False: the loss is not finite, and nothing was changed."""
        gradient, of_batch = self._gradient, np.zeros(2)
        self._run(kernels.GRADIENT, self._train, batch, weights, gradient, 0.0, of_batch)
        sums += np.tile(of_batch, 2)
        if not math.isfinite(of_batch[0]):
            gradient[:] = 0
        elif rule.kind == ADAGRAD and rule.longest == 0:
            pitch, dense = self.layout.matrix(weights, "U").shape[1], self.layout.offsets["W"]
            kernels.update_touched(self._train, batch, pitch, dense, weights, gradient, memory, rule, number)
        else:
            kernels.update(weights, gradient, memory, rule, number)
            gradient[:] = 0
        return math.isfinite(of_batch[0])

    def parts(self) -> tuple[list[NDArray[Any]], list[NDArray[Any]]]:
        return [*self._train], [*self._valid]

    def extras(self) -> Named:
        """`words`: the vocabulary, without which no sentence can be read or written."""
        return {"words": np.array(self.vocabulary.words)}

    def gradient(self, order: Ints, epoch: int, weights: Floats, gradient: Floats) -> float:
        del epoch
        gradient[:], sums = 0, np.zeros(2)
        self._run(kernels.GRADIENT, self._train, order, weights, gradient, 0.0, sums)
        return float(sums[0] / len(order))

    def loss_weight(self, order: Ints) -> float:
        offsets = self._train.offsets
        return float((offsets[order + 1] - offsets[order] - 1).sum())

    def evaluate(self, first: int, last: int, weights: Floats, sums: Doubles) -> None:
        self._run(kernels.EVALUATE, self._valid, np.arange(first, last), weights, weights, 0.0, sums)

    def _run(self, task: int, text: Text, order: Ints, weights: Floats, gradient: Floats, rate: float,
             sums: Doubles) -> int:  # fmt: skip
        arguments = (
            task, text, order, self.config.batch_size, self._views(weights), self._views(gradient),
            self._sizes, self._room, self._reach, rate, sums,
        )  # fmt: skip
        return self._crew.run(lambda index: kernels.run(*arguments, self._seats[index]))

    def twin(self) -> LanguageModel:
        other = copy.copy(self)
        other._make_room()
        return other

    def _views(self, flat: Floats) -> kernels.Weights:
        layout = self.layout
        return kernels.Weights(layout.matrix(flat, "U"), layout.matrix(flat, "W"), layout.panels(flat, "V"))

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
    width = panel_width(np.dtype(dtype).itemsize)
    pitch = -(-h // width) * width
    return Layout(
        (
            Part(name="U", rows=k, columns=h, width=pitch),
            Part(name="W", rows=h, columns=h, width=pitch),
            Part(name="V", rows=h, columns=k, width=width),
        ),
        dtype,
    )


def _largest_batch(train: PackedText, batch_size: int) -> int:
    """The words to predict in the longest sentences, as many as a batch has."""
    return int(np.sort(np.diff(train.offsets) - 1)[-batch_size:].sum())


def _rows_at_a_time(train: PackedText, valid: PackedText, largest_batch: int) -> int:
    """How many words are read together: at least a sentence, and a whole batch unless it is very large."""
    enough = min(_GOOD_ROWS, max(1, len(train.tokens), len(valid.tokens)))
    # An odd number: panels that are a power of two apart would share few places in the cache.
    return max(train.longest, valid.longest, enough, largest_batch if largest_batch <= _MOST_ROWS else 0) | 1


def _sizes(layout: Layout, n_rows: int) -> Sizes:
    u, w, v = layout.parts
    return Sizes(rows=n_rows, hidden=w.rows, pitch=w.width, panels=v.n_panels, width=v.width, words=u.rows)


def _reach(config: LanguageModelConfig) -> kernels.Reach:
    if config.truncation is Truncation.CHUNKED:
        return kernels.Reach(depth=_FOREVER, chunk=max(1, config.bptt))
    return kernels.Reach(depth=config.bptt, chunk=_FOREVER)
