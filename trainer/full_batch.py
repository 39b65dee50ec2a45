"""Conjugate gradients, BFGS and L-BFGS over all training sequences at once, from scipy.optimize.

An epoch is config.iterations iterations, begun afresh from the weights at its start: what scipy remembers (directions,
the approximate Hessian) is forgotten between epochs. So a run is cut only between epochs, and one that goes on is the
one that was never cut, to the last bit; what was computed of an epoch that was cut is computed again. The noise of an
epoch is the same in all its evaluations, which makes the objective a function. The truncated gradient of a
language model is not quite that of its loss: where a line search then finds no lower point, the epoch ends early.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from trainer.arrays import Doubles, Floats, Ints
from trainer.config import Common, OptimizerKind
from trainer.errors import UserMistake
from trainer.kernels.optimizers import SGD, Rule
from trainer.models import Model

MOST_WEIGHTS_OF_BFGS = 6000
_METHODS = {OptimizerKind.CG: "CG", OptimizerKind.BFGS: "BFGS", OptimizerKind.L_BFGS: "L-BFGS-B"}
# Between chunks comes the question whether to stop. Its size decides about the order of sums, so it is fixed.
_CHUNK = 1000
_STAY = Rule(kind=SGD, rate=0.0, momentum=0.0, decay=0.0, epsilon=0.0, longest=0.0, first=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Descent:
    """What an epoch has come to."""

    weights: Floats  # (layout.size)
    objectives: list[float]  # after each iteration; fewer than asked when scipy sees nothing left to gain
    sums: Doubles  # (2): loss and its weight over the training data, with noise and without penalties

    @property
    def is_finite(self) -> bool:
        return bool(np.isfinite(self.sums).all() and np.isfinite(self.weights).all())


class _ToldToStop(Exception):
    """Ends scipy's iterations from within the objective."""


def check_size(config: Common, model: Model) -> None:
    """Raises UserMistake when BFGS would need more memory than is reasonable: n^2 numbers for n weights, some times."""
    n = sum(part.rows * part.columns for part in model.layout.parts)
    if config.optimizer is OptimizerKind.BFGS and n > MOST_WEIGHTS_OF_BFGS:
        size_gib = n * n * 8 / 2**30
        raise UserMistake(
            f"optimizer is bfgs with {n} weights, whose approximate Hessian takes {size_gib:.1f} GiB several times "
            f"over; allowed: at most {MOST_WEIGHTS_OF_BFGS} weights, or optimizer = l-bfgs or cg"
        )


def descend(
    config: Common, model: Model, weights: Floats, epoch: int, told_to_stop: Callable[[], bool]
) -> Descent | None:
    """One epoch from these weights, which stay as they are. None: told to stop."""
    # Imported only here: it would be a fifth of the time from the start of a process to the first batch.
    import scipy.optimize

    minimize: Any = scipy.optimize.minimize
    objective = _Objective(model, epoch, told_to_stop)
    found: list[float] = []

    def after_iteration(intermediate_result: Any) -> None:
        found.append(float(intermediate_result.fun))

    try:
        result = minimize(
            objective,
            objective.vector(weights),
            jac=True,
            method=_METHODS[config.optimizer],
            callback=after_iteration,
            options={"maxiter": config.iterations},
        )
        arrived = objective.flat(result.x)
        return Descent(weights=arrived, objectives=found, sums=objective.loss(arrived))
    except _ToldToStop:
        return None


class _Objective:
    """The mean objective over all training sequences and its gradient, of a float64 vector without padding."""

    def __init__(self, model: Model, epoch: int, told_to_stop: Callable[[], bool]) -> None:
        self._model, self._epoch, self._told_to_stop = model, epoch, told_to_stop
        self._places = np.flatnonzero(_is_weight(model))
        self._gradient = model.layout.zeros()
        everything = np.arange(model.n_train)
        self._chunks = [everything[first : first + _CHUNK] for first in range(0, model.n_train, _CHUNK)]

    def __call__(self, x: Doubles) -> tuple[float, Doubles]:
        weights, value, slope = self.flat(x), 0.0, np.zeros(len(x))
        for chunk in self._asking():
            share = len(chunk) / self._model.n_train
            value += share * self._model.gradient(chunk, self._epoch, weights, self._gradient)
            slope += share * self.vector(self._gradient)
        return value, slope

    def vector(self, flat: Floats) -> Doubles:
        return flat[self._places].astype(np.float64)

    def flat(self, x: Doubles) -> Floats:
        flat = self._model.layout.zeros()
        flat[self._places] = x
        return flat

    def loss(self, weights: Floats) -> Doubles:
        """Loss and weight: by updates that go nowhere, because it is updates that tell them apart from penalties."""
        sums, copy, memory = np.zeros(4), weights.copy(), self._model.layout.zeros(0)
        for chunk in self._asking():
            self._model.train(chunk, self._epoch, copy, memory, _STAY, sums)
        return sums[2:]

    def _asking(self) -> Iterator[Ints]:
        """The chunks. Raises _ToldToStop between them."""
        for chunk in self._chunks:
            if self._told_to_stop():
                raise _ToldToStop
            yield chunk


def _is_weight(model: Model) -> Floats:
    """1 where the flat buffer holds a weight, 0 where it is padding."""
    layout = model.layout
    return layout.pack({part.name: np.ones((part.rows, part.columns), layout.dtype) for part in layout.parts})
