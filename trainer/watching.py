"""What config.watch adds to the metrics and files of an epoch. It looks at the state and changes nothing.

Files are one attempt's: a run that goes on elsewhere begins new ones, so the name of a file that grows tells its first
epoch. Metrics are the whole run's.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Protocol, cast

from trainer import watching_answers
from trainer.arrays import Floats, Ints
from trainer.config import ClassifierConfig, Common, Head, Readout, Watch
from trainer.data.vocabulary import Vocabulary
from trainer.models import Model
from trainer.sampling import sample
from trainer.state import TrainingState
from trainer.watching_answers import Answers, Part
from trainer.watching_layers import dead_units

_SAMPLES = 10  # validation sequences shown
_SENTENCES, _MOST_WORDS = 5, 30
AT_END = "answers-at-end.json"
_MOST_BLINDED = 20_000_000  # numbers that a run's end reads to try all features: a second or so


class Keeper(Protocol):
    """Where files go."""

    def artifact(self, name: str, text: str, *, append: bool = False) -> None: ...


class Predicts(Protocol):
    """What is asked of a classifier beyond trainer.models.Model."""

    heads: tuple[Head, ...]

    def predict(self, values: Floats, offsets: Ints, weights: Floats) -> Floats:
        """Answers (N, O) to the sequences packed in values, (rows, n_in), and offsets, (N+1)."""


class Writes(Protocol):
    """What is asked of a language model beyond trainer.models.Model."""

    vocabulary: Vocabulary


@dataclass(slots=True)
class Watching:
    """The watching of one run in this process."""

    config: Common
    model: Model
    keeper: Keeper
    _first_epoch: int | None = None  # of those whose end this process has seen

    def end_of_epoch(self, state: TrainingState) -> dict[str, float]:
        """Metrics of the epoch that ends; files are written on the way."""
        metrics: dict[str, float] = {}
        if Watch.LAYERS in self.config.watch:
            metrics |= dead_units(self.config, self.model, state.weights)
        if isinstance(self.config, ClassifierConfig):
            metrics |= self._answers(self.config, state)
        elif Watch.SAMPLES in self.config.watch:
            self.keeper.artifact("samples.txt", self._sentences(state))
        return metrics

    def end_of_run(self, state: TrainingState) -> None:
        """What a classifier answers to the validation data in the end, as a small file: confusion matrices, and what
        each feature is worth where it is cheap to find out.
        """
        if not isinstance(self.config, ClassifierConfig) or not self.model.n_valid:
            return
        if self.config.readout is Readout.EVERY_STEP:  # answers to steps, not to sequences
            return
        teller, valid = _Teller(cast(Predicts, self.model), state.weights), parts(self.model)[1]
        answers = teller.answers(valid)
        is_cheap = valid.values.size * valid.values.shape[1] <= _MOST_BLINDED
        found = {
            "epoch": state.epoch,
            "loss": sum(watching_answers.head_losses(answers, self.config.loss).values()),
            "errors": watching_answers.head_errors(answers),
            "confusion": {name: matrix.tolist() for name, matrix in watching_answers.confusion(answers).items()},
            "features": list(_features(self.config, teller, valid, answers).values()) if is_cheap else [],
        }
        self.keeper.artifact(AT_END, json.dumps(found) + "\n")

    def _sentences(self, state: TrainingState) -> str:
        """Some that the model makes up, the same for the same weights, seed and epoch."""
        vocabulary, named = cast(Writes, self.model).vocabulary, state.layout.unpack(state.weights)
        drawn = sample(named, vocabulary, _SENTENCES, seed=self.config.seed + state.epoch, longest=_MOST_WORDS)
        return f"epoch {state.epoch + 1}\n" + "".join(" ".join(words) + "\n" for words in drawn)

    def _answers(self, config: ClassifierConfig, state: TrainingState) -> dict[str, float]:
        if not {Watch.HEADS, Watch.CONFUSION, Watch.FEATURES, Watch.SAMPLES}.intersection(config.watch):
            return {}
        teller = _Teller(cast(Predicts, self.model), state.weights)
        train, valid = parts(self.model)
        metrics = _heads(config, "train", teller.answers(train)) if Watch.HEADS in config.watch else {}
        return metrics | (self._validation(config, state, teller, valid) if self.model.n_valid else {})

    def _validation(
        self, config: ClassifierConfig, state: TrainingState, teller: _Teller, valid: Part
    ) -> dict[str, float]:
        answers = teller.answers(valid)
        metrics: dict[str, float] = {}
        if Watch.HEADS in config.watch:
            metrics |= _heads(config, "val", answers)
        if Watch.CONFUSION in config.watch:
            metrics |= self._confusion(state.epoch + 1, answers)
        if Watch.FEATURES in config.watch:
            metrics |= _features(config, teller, valid, answers)
        if Watch.SAMPLES in config.watch:
            few = Answers(heads=answers.heads, given=answers.given[:_SAMPLES], right=answers.right[:_SAMPLES])
            self.keeper.artifact("samples.csv", watching_answers.sample_lines(state.epoch + 1, few))
        return metrics

    def _confusion(self, epoch: int, answers: Answers) -> dict[str, float]:
        matrices = watching_answers.confusion(answers)
        begins = self._first_epoch is None
        self._first_epoch = epoch if self._first_epoch is None else self._first_epoch
        for number, (head, matrix) in enumerate(matrices.items()):
            lines = watching_answers.confusion_lines(epoch, matrix, with_header=begins)
            named = head if re.fullmatch(r"[\w-]+", head) else f"head-{number}"
            self.keeper.artifact(f"confusion-{named}-from-epoch-{self._first_epoch}.csv", lines, append=not begins)
        return watching_answers.recalls(matrices)


@dataclass(frozen=True, slots=True)
class _Teller:
    """A classifier at one point of its training."""

    model: Predicts
    weights: Floats

    def answers(self, part: Part) -> Answers:
        given = self.model.predict(part.values, part.offsets, self.weights)
        return Answers(heads=self.model.heads, given=given, right=part.targets)


def parts(model: Model) -> tuple[Part, Part]:
    """Training and validation data of a classifier."""
    train, valid = (Part(values=v, offsets=o, targets=t) for v, o, t in model.parts())
    return train, valid


def _heads(config: ClassifierConfig, of: str, answers: Answers) -> dict[str, float]:
    losses, errors = watching_answers.head_losses(answers, config.loss), watching_answers.head_errors(answers)
    return {f"{of}_loss_{name}": loss for name, loss in losses.items()} | {
        f"{of}_error_{name}": error for name, error in errors.items()
    }


def _features(config: ClassifierConfig, teller: _Teller, valid: Part, answers: Answers) -> dict[str, float]:
    """`feature_J`: by how much the validation loss rises when the net does not see feature J."""
    loss = sum(watching_answers.head_losses(answers, config.loss).values())
    each = (teller.answers(part) for part in watching_answers.without_feature(valid))
    blind = [sum(watching_answers.head_losses(found, config.loss).values()) for found in each]
    return {f"feature_{j}": worse - loss for j, worse in enumerate(blind)}
