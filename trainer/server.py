"""Asynchronous training: threads with weights of their own update those of a server, one at a time.

The mini-batch server of the parallel-RNN report (after Laurent et al., arXiv 1510.01378). The batches of a stretch are
dealt to the threads in turn: thread i of n has batches i, i + n, … A thread computes the gradient of a batch at its
private weights, updates the server's weights by it in a critical section, and refreshes its private weights outside
of it, while others may be writing: that made the report's programme 1.5 times as fast and did no harm to its loss.

Which thread comes first is up to the machine: with more than one, two runs are never the same bits, and a run that is
resumed goes on from its checkpoint but not as the uninterrupted run would have. Every call of `train` begins and ends
with all threads at the server's weights, so a checkpoint needs nothing more, and a stop is answered as soon as with
one thread; but a call can keep no more threads busy than it has batches.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from functools import partial
from typing import Protocol

import numpy as np

from trainer.arrays import Doubles, Floats, Ints
from trainer.config import Common, Parallel
from trainer.kernels.optimizers import Rule, apply
from trainer.models import Model


class Train(Protocol):
    """What makes updates: see trainer.models.Model.train."""

    def __call__(
        self, order: Ints, epoch: int, weights: Floats, memory: Floats, rule: Rule, sums: Doubles, /
    ) -> int: ...


def trainer_of(config: Common, model: Model) -> Train:
    """What makes the updates of a run: the model by itself, or a server."""
    return Server(config, model).train if config.parallel is Parallel.SERVER else model.train


def least_stretch(config: Common) -> int:
    """How many updates to ask for at once, so that every thread has a batch."""
    return config.threads if config.parallel is Parallel.SERVER else 1


class Server:
    """Trains a model with `threads` threads."""

    def __init__(self, config: Common, model: Model) -> None:
        self.batch_size = config.batch_size
        self._workers = [_Worker(model) for _ in range(config.threads)]

    def train(self, order: Ints, epoch: int, weights: Floats, memory: Floats, rule: Rule, sums: Doubles) -> int:
        """As Model.train. A loss that is not finite stops all threads before their next update."""
        batches = [order[first : first + self.batch_size] for first in range(0, len(order), self.batch_size)]
        shared = _Shared(weights, memory, rule, sums)
        n, busy = len(self._workers), self._workers[: len(batches)]
        _at_once([partial(worker.train, batches[i::n], epoch, shared) for i, worker in enumerate(busy)], shared)
        return shared.done


class _Shared:
    """The server: weights and what the optimizer remembers, changed by one thread at a time."""

    def __init__(self, weights: Floats, memory: Floats, rule: Rule, sums: Doubles) -> None:
        self.weights, self.memory, self.rule, self.sums = weights, memory, rule, sums
        self.done = 0
        self.problem: BaseException | None = None
        self.is_over = False
        self._critical = threading.Lock()

    def update(self, gradient: Floats, loss: float, weight: float) -> None:
        """One update by the gradient of a batch, and its loss into the sums; nothing once training is over."""
        with self._critical:
            if self.is_over:
                return
            self.sums += (loss, weight, loss, weight)
            if not math.isfinite(loss):
                self.is_over = True
                return
            apply(self.weights, gradient, self.memory, self.rule, self.done)
            self.done += 1

    def fail(self, problem: BaseException) -> None:
        """The first error of a thread is raised where train was called."""
        with self._critical:
            self.is_over = True
            self.problem = self.problem or problem


class _Worker:
    """What belongs to one thread."""

    def __init__(self, model: Model) -> None:
        self.model = model.twin()
        self.weights, self.gradient = model.layout.zeros(), model.layout.zeros()

    def train(self, batches: list[Ints], epoch: int, shared: _Shared) -> None:
        np.copyto(self.weights, shared.weights)
        for batch in batches:
            if shared.is_over:
                return
            objective = self.model.gradient(batch, epoch, self.weights, self.gradient)
            loss = (objective - self._penalty()) * len(batch)
            shared.update(self.gradient, loss, self.model.loss_weight(batch))
            np.copyto(self.weights, shared.weights)

    def _penalty(self) -> float:
        """What is part of the objective, but not of the training loss that is logged."""
        return self.model.training_metrics(self.weights, 0.0).get("penalty", 0.0)


def _at_once(jobs: list[Callable[[], None]], shared: _Shared) -> None:
    """Run every job in a thread of its own, the first in this one. Raises the first error of any."""

    def guarded(job: Callable[[], None]) -> None:
        try:
            job()
        except BaseException as problem:  # noqa: BLE001  (raised again below)
            shared.fail(problem)

    threads = [threading.Thread(target=guarded, args=(job,), name="trainer-server") for job in jobs[1:]]
    for thread in threads:
        thread.start()
    for job in jobs[:1]:
        guarded(job)
    for thread in threads:
        thread.join()
    if shared.problem is not None:
        raise shared.problem
