"""One step of gradient descent with classical momentum."""

from __future__ import annotations

from typing import Any

from trainer.jit import entry, kernel


@kernel
def descend(weight: Any, velocity: Any, gradient: Any, rate: Any, momentum: Any) -> None:
    """v = momentum v - rate g;  w += v                        # all (m, n)

    Without momentum the velocity is not touched and may be empty.
    """
    for i in range(weight.shape[0]):
        if momentum == 0:
            for j in range(weight.shape[1]):
                weight[i, j] -= rate * gradient[i, j]
        else:
            for j in range(weight.shape[1]):
                velocity[i, j] = momentum * velocity[i, j] - rate * gradient[i, j]
                weight[i, j] += velocity[i, j]


@kernel
def average_and_penalise(gradient: Any, weight: Any, share: Any, l1: Any, l2: Any) -> None:
    """g = share g + l1 sign(w) + 2 l2 w                       # (m, n); the gradient of l1 |w| at 0 is 0"""
    for i in range(weight.shape[0]):
        for j in range(weight.shape[1]):
            w = weight[i, j]
            sign = gradient.dtype.type((w > 0) - (w < 0))
            gradient[i, j] = share * gradient[i, j] + l1 * sign + (l2 + l2) * w


@entry
def penalty(weight: Any, l1: float, l2: float) -> float:
    """l1 * sum |w| + l2 * sum w^2 of one matrix, in float64   # (m, n)"""
    total = 0.0
    for i in range(weight.shape[0]):
        for j in range(weight.shape[1]):
            w = float(weight[i, j])
            total += l1 * abs(w) + l2 * w * w
    return total
