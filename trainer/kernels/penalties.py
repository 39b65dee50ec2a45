"""L1 and L2 of a weight matrix: their part of the gradient, and their value (Knight 2015, eq. 4.2)."""

from __future__ import annotations

from typing import Any

from trainer.jit import entry, kernel
from trainer.kernels.tiles.memory import ahead
from trainer.kernels.tiles.products import lanes
from trainer.kernels.tiles.vectors import choose, fma, load, store


@kernel
def penalise(gradient: Any, weights: Any, first: int, last: int, l1: float, l2: float) -> None:
    """g += l1 sign(w) + 2 l2 w for the numbers first … last-1 of flat buffers (pointers).

    The gradient of l1 |w| at 0 is 0.
    """
    for j in range(first, last, lanes(weights)):
        place, w = ahead(gradient, j), load(ahead(weights, j))
        sign = choose(w > 0.0, l1, choose(w < 0.0, w * 0.0 - l1, 0.0))
        store(place, fma(w, l2 + l2, load(place) + sign))


@entry
def penalty(weight: Any, l1: float, l2: float) -> float:
    """l1 * sum |w| + l2 * sum w^2 of one matrix, in float64   # (m, n)"""
    total = 0.0
    for i in range(weight.shape[0]):
        for j in range(weight.shape[1]):
            w = float(weight[i, j])
            total += l1 * abs(w) + l2 * w * w
    return total
