"""The training loop: order, schedule, logging, checkpoints. It owns the state; the model and its kernels do not.

Every stretch of updates ends where something has to be written. How long the stretches between are depends on the
speed of the machine, and nothing that is computed or logged depends on them.
"""

from __future__ import annotations

import math
import time
from enum import IntEnum

import numpy as np

from trainer import schedule
from trainer.arrays import Doubles, Floats, Ints
from trainer.config import Common
from trainer.early_stopping import remember, says_stop
from trainer.kernels.linear import norm
from trainer.models import Model
from trainer.order import epoch_order
from trainer.report import Reporter
from trainer.state import Phase, TrainingState

_STRETCH_S = 0.05
_POINTS_AN_EPOCH = 50


class Outcome(IntEnum):
    FINISHED = 0
    TOLD_TO_STOP = 1
    DIVERGED = 2


class Stretch:
    """How many updates or sequences to give to a kernel at a time, so that it comes back after so many seconds."""

    def __init__(self, seconds: float) -> None:
        self.size = 1
        self._seconds = seconds

    def took(self, count: int, seconds: float) -> None:
        """Learn from the last stretch; never grow more than fourfold at once."""
        wanted = int(count * self._seconds / max(seconds, 1e-6))
        self.size = max(1, min(4 * self.size, wanted))


def initial_state(config: Common, model: Model) -> TrainingState:
    """The state of a run that begins."""
    return TrainingState(
        layout=model.layout,
        weights=model.initial_weights(),
        memory=model.layout.zeros(config.memory_slots),
        learning_rate=config.learning_rate,
    )


class Loop:
    """Trains a model from a state to the end, or until told to stop."""

    def __init__(
        self, config: Common, model: Model, state: TrainingState, reporter: Reporter, stretch_s: float = _STRETCH_S
    ) -> None:
        self.config, self.model, self.state, self.reporter = config, model, state, reporter
        self.n_batches = math.ceil(model.n_train / config.batch_size)
        self.total = config.epochs * self.n_batches
        self.log_every = config.log_every or max(1, self.n_batches // _POINTS_AN_EPOCH)
        self._updates, self._valid = Stretch(stretch_s), Stretch(stretch_s)

    def run(self) -> Outcome:
        """Train. The state is checkpointed at the end, and when told to stop; not after a loss that is not finite."""
        outcome = Outcome.FINISHED
        while outcome is Outcome.FINISHED and not self.state.phase.is_over:
            outcome = self._updates_of_epoch() if self.state.phase is Phase.UPDATES else self._end_of_epoch()
        if outcome is Outcome.DIVERGED:
            self.reporter.stop("diverged")
            return outcome
        self.reporter.checkpoint(self.state)
        if self.state.phase is Phase.STOPPED_EARLY:
            self.reporter.stop("early-stopping")
        return outcome

    def _updates_of_epoch(self) -> Outcome:
        state = self.state
        order = epoch_order(self.model.n_train, self.config.seed, state.epoch)
        while state.batch < self.n_batches:
            if self.reporter.told_to_stop():
                return Outcome.TOLD_TO_STOP
            if not self._stretch(order):
                return Outcome.DIVERGED
            # The checkpoint at the end of an epoch comes after the metrics of the epoch.
            if state.batch < self.n_batches:
                self.reporter.checkpoint_if_due(state)
            self.reporter.progress(state.update, self.total)
        state.phase = Phase.EPOCH_END
        return Outcome.FINISHED

    def _stretch(self, order: Ints) -> bool:
        """Some updates, and the point of the log they may end with. False: the loss is not finite."""
        state, size = self.state, self.config.batch_size
        count = min(self._updates.size, self._updates_to_next_writing())
        chosen = order[state.batch * size : (state.batch + count) * size]
        rule = schedule.rule(self.config, state.learning_rate, state.epoch, state.update)
        began = time.perf_counter()
        done = self.model.train(chosen, state.epoch, state.weights, state.memory, rule, state.sums)
        self._updates.took(count, time.perf_counter() - began)
        state.batch += done
        state.update += done
        if done < count:
            self.reporter.log(state.update + 1, {"loss": float(state.sums[0] / state.sums[1])})
            return False
        if state.update % self.log_every == 0:
            self.reporter.log(state.update, {"loss": float(state.sums[0] / state.sums[1])})
            state.sums[:2] = 0
        return True

    def _updates_to_next_writing(self) -> int:
        state = self.state
        left = [self.n_batches - state.batch, self.log_every - state.update % self.log_every]
        if self.config.checkpoint_every:
            left.append(self.config.checkpoint_every - state.update % self.config.checkpoint_every)
        return min(left)

    def _end_of_epoch(self) -> Outcome:
        """Validate, log, and decide how to go on. Told to stop meanwhile, it is begun anew at the resume."""
        state = self.state
        sums = np.zeros(self.model.validation_size)
        if not self._validate(sums):
            return Outcome.TOLD_TO_STOP
        metrics = self._metrics(sums)
        self.reporter.log(state.update, metrics)
        if not all(math.isfinite(metrics[name]) for name in ("train_loss", "val_loss") if name in metrics):
            return Outcome.DIVERGED
        self._next_epoch(metrics)
        if not state.phase.is_over:
            self.reporter.checkpoint_if_due(state)
        self.reporter.progress(state.update, self.total, now=True)
        return Outcome.FINISHED

    def _validate(self, sums: Doubles) -> bool:
        first, n_valid = 0, self.model.n_valid
        while first < n_valid:
            if self.reporter.told_to_stop():
                return False
            last = min(n_valid, first + self._valid.size)
            began = time.perf_counter()
            self.model.evaluate(first, last, self.state.weights, sums)
            self._valid.took(last - first, time.perf_counter() - began)
            first = last
        return True

    def _metrics(self, sums: Doubles) -> dict[str, float]:
        state = self.state
        train_loss = float(state.sums[2] / state.sums[3])
        metrics = {"train_loss": train_loss, **self.model.training_metrics(state.weights, train_loss)}
        if sums[1]:
            metrics |= {"val_loss": float(sums[0] / sums[1]), **self.model.validation_metrics(sums)}
        return metrics | {"learning_rate": state.learning_rate} | norms(state.layout.unpack(state.weights))

    def _next_epoch(self, metrics: dict[str, float]) -> None:
        """Move the state to the next epoch, or to the end."""
        state, config = self.state, self.config
        stop = False
        if "val_loss" in metrics:
            stop = says_stop(config, state.stopping, metrics["val_loss"])
            state.stopping = remember(state.stopping, metrics["val_loss"], config.patience)
        state.learning_rate = schedule.next_learning_rate(
            config, state.learning_rate, state.previous_loss, metrics["train_loss"]
        )
        state.previous_loss = metrics["train_loss"]
        state.sums[2:] = 0
        state.epoch += 1
        state.batch = 0
        over = Phase.DONE if state.epoch == config.epochs else Phase.UPDATES
        state.phase = Phase.STOPPED_EARLY if stop else over


def norms(weights: dict[str, Floats]) -> dict[str, float]:
    """The Euclidean length of every weight matrix."""
    return {f"norm_{name}": norm(w) for name, w in weights.items()}
