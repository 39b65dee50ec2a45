"""The training loop: order, schedule, logging, checkpoints. It owns the state; the model and its kernels do not.

Every stretch of updates ends where something has to be written. How long the stretches between are depends on the
speed of the machine, and nothing that is computed or logged depends on them.
"""

from __future__ import annotations

import math
import time
from enum import IntEnum

import numpy as np

from trainer import full_batch, schedule
from trainer.arrays import Doubles, Ints
from trainer.config import Common
from trainer.early_stopping import remember, says_stop
from trainer.models import Model
from trainer.order import epoch_order
from trainer.report import Reporter, log_line
from trainer.server import least_stretch, trainer_of
from trainer.state import Phase, TrainingState
from trainer.watching import Watching
from trainer.watching_clock import Clock
from trainer.watching_layers import WatchedUpdates, norms

_STRETCH_S = 0.05
_POINTS_AN_EPOCH, _POINTS_A_RUN, _UPDATES_A_POINT = 50, 1000, 10


class Outcome(IntEnum):
    FINISHED = 0
    TOLD_TO_STOP = 1
    DIVERGED = 2


class Stretch:
    """How many updates or sequences to give to a kernel at a time, so that it comes back after so many seconds."""

    def __init__(self, seconds: float, least: int = 1) -> None:
        self.size = self._least = least
        self._seconds = seconds

    def took(self, count: int, seconds: float) -> None:
        """Learn from the last stretch; never grow more than fourfold at once."""
        wanted = int(count * self._seconds / max(seconds, 1e-6))
        self.size = max(self._least, min(4 * self.size, wanted))


def initial_state(config: Common, model: Model) -> TrainingState:
    """The state of a run that begins. Raises UserMistake where the optimizer cannot cope with so many weights."""
    full_batch.check_size(config, model)
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
        self.n_batches = n_updates(config, model.n_train)
        self.total = config.epochs * self.n_batches
        least = least_stretch(config)
        self.log_every = config.log_every or max(least, default_log_every(self.n_batches, config.epochs))
        self._updates, self._valid = Stretch(stretch_s, least), Stretch(stretch_s)
        self._train = trainer_of(config, model)
        self._clock, self._watching = Clock(config, model.n_train), Watching(config, model, reporter)
        self._watched = WatchedUpdates(config, model, self.n_batches)

    def run(self) -> Outcome:
        """Train. The state is checkpointed at the end, and when told to stop; not after a loss that is not finite."""
        outcome = Outcome.FINISHED
        while outcome is Outcome.FINISHED and not self.state.phase.is_over:
            outcome = self._updates_of_epoch() if self.state.phase is Phase.UPDATES else self._end_of_epoch()
        if outcome is Outcome.DIVERGED:
            self.reporter.stop("diverged")
            return outcome
        self.reporter.checkpoint(self.state)
        if self.state.phase.is_over:
            self._watching.end_of_run(self.state)
        if self.state.phase is Phase.STOPPED_EARLY:
            self.reporter.stop("early-stopping")
        return outcome

    def _updates_of_epoch(self) -> Outcome:
        self._clock.begin(self.state)
        outcome = self._iterations() if self.config.optimizer.is_full_batch else self._batches()
        if outcome is Outcome.FINISHED:
            self._clock.updates_made()
            self.state.phase = Phase.EPOCH_END
        return outcome

    def _batches(self) -> Outcome:
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
        return Outcome.FINISHED

    def _stretch(self, order: Ints) -> bool:
        """Some updates, and the point of the log they may end with. False: the loss is not finite."""
        state, size, count = self.state, self.config.batch_size, self._next_stretch()
        chosen = order[state.batch * size : (state.batch + count) * size]
        watched = self._watched.before(state, chosen) if self._watched.until_next(state.update) == 0 else None
        rule = schedule.rule(self.config, state.learning_rate, state.epoch, state.update)
        began = time.perf_counter()
        done = self._train(chosen, state.epoch, state.weights, state.memory, rule, state.sums)
        self._updates.took(count, time.perf_counter() - began)
        state.batch += done
        state.update += done
        if done < count:
            self.reporter.log(state.update + 1, self._window())
            return False
        if watched is not None:
            self.reporter.log(state.update, self._watched.after(state, watched))
        if state.update % self.log_every == 0:
            self.reporter.log(state.update, self._window())
            state.sums[:2] = 0
        return True

    def _window(self) -> dict[str, float]:
        return {"loss": float(self.state.sums[0] / self.state.sums[1])}

    def _next_stretch(self) -> int:
        """How many updates to make at once: none beyond the next that something is written after, and a watched one
        by itself.
        """
        state = self.state
        counts = [self._updates.size, self.n_batches - state.batch, self.log_every - state.update % self.log_every]
        if self.config.checkpoint_every:
            counts.append(self.config.checkpoint_every - state.update % self.config.checkpoint_every)
        if (before_watched := self._watched.until_next(state.update)) is not None:
            counts.append(max(1, before_watched))
        return min(counts)

    def _iterations(self) -> Outcome:
        """The updates of an epoch as scipy makes them: all, or when told to stop none."""
        state, reporter = self.state, self.reporter
        found = full_batch.descend(self.config, self.model, state.weights, state.epoch, reporter.told_to_stop)
        if found is None:
            return Outcome.TOLD_TO_STOP
        for number, objective in enumerate(found.objectives, start=state.update + 1):
            reporter.log(number, {"objective": objective})
        if not found.is_finite:
            return Outcome.DIVERGED
        state.weights[:] = found.weights
        state.sums[2:] = found.sums
        state.batch, state.update = self.n_batches, state.update + self.n_batches
        return Outcome.FINISHED

    def _end_of_epoch(self) -> Outcome:
        """Validate, log, and decide how to go on. Told to stop meanwhile, it is begun anew at the resume."""
        state = self.state
        sums = np.zeros(self.model.validation_size)
        if not self._validate(sums):
            return Outcome.TOLD_TO_STOP
        metrics = self._metrics(sums)
        self.reporter.log(state.update, metrics | self._clock.metrics(state))
        self.reporter.say(log_line(state.epoch + 1, self.n_batches, metrics))
        if not _all_finite(metrics):
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
        metrics = {
            "epoch": float(state.epoch + 1),
            "train_loss": train_loss,
            **self.model.training_metrics(state.weights, train_loss),
        }
        if sums[1]:
            metrics |= {"val_loss": float(sums[0] / sums[1]), **self.model.validation_metrics(sums)}
        if not self.config.optimizer.is_full_batch:
            metrics["learning_rate"] = state.learning_rate
        return metrics | norms(state.layout, state.weights) | self._watching.end_of_epoch(state)

    def _next_epoch(self, metrics: dict[str, float]) -> None:
        """Move the state to the next epoch, or to the end."""
        state, config = self.state, self.config
        stop = False
        if "val_loss" in metrics:
            stop = says_stop(config, state.stopping, metrics["val_loss"])
            if metrics["val_loss"] < state.stopping.best:
                state.keep_best()
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


def n_updates(config: Common, n_train: int) -> int:
    """Updates an epoch: one a mini-batch, or one an iteration of scipy."""
    return config.iterations if config.optimizer.is_full_batch else math.ceil(n_train / config.batch_size)


def default_log_every(n_batches: int, epochs: int) -> int:
    """Updates between two points of the loss: 50 points an epoch, or fewer where that makes more than 1000 a run.

    Never fewer than 10 updates, or an epoch: where an update takes half a millisecond a point is some percent of it.
    """
    points = min(_POINTS_AN_EPOCH, max(1, _POINTS_A_RUN // epochs))
    return max(n_batches // points, min(n_batches, _UPDATES_A_POINT))


def _all_finite(metrics: dict[str, float]) -> bool:
    """The losses and the weights, which show in their norms. A perplexity may be infinite."""
    counted = (v for name, v in metrics.items() if name in ("train_loss", "val_loss") or name.startswith("norm_"))
    return all(math.isfinite(value) for value in counted)
