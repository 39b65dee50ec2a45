"""L1 and L2 of a weight matrix: their part of the gradient, and their value (Knight 2015, eq. 4.2)."""

from __future__ import annotations

from typing import Any

from trainer.jit import entry, kernel


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
