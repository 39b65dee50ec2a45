"""Activations of hidden units with their slopes, and the noise that is added after them (eq. 4.3)."""

from __future__ import annotations

from typing import Any, NamedTuple

from trainer.counter_rng import noise_row
from trainer.jit import inlined, kernel
from trainer.kernels.tiles.functions import sigmoid, tanh
from trainer.kernels.tiles.memory import ahead
from trainer.kernels.tiles.products import lanes
from trainer.kernels.tiles.vectors import choose, fma, load, store

TANH, SIGMOID, RELU, CAPPED_RELU = 0, 1, 2, 3
CAP = 6.0


class Noise(NamedTuple):
    """Where the noise of an epoch comes from; sigma = 0: there is none."""

    sigma: float
    seed: int
    epoch: int


@inlined
def activated(x: Any, kind: int) -> Any:
    """(f(x), f'(x)). NaN passes through, so that divergence is seen in the loss."""
    if kind == TANH:
        y = tanh(x)
        return y, 1.0 - y * y
    if kind == SIGMOID:
        y = sigmoid(x)
        return y, y * (1.0 - y)
    y = choose(x <= 0.0, 0.0, x)
    slope = choose(x > 0.0, x * 0.0 + 1.0, x * 0.0)
    if kind == CAPPED_RELU:
        slope = choose(x >= CAP, 0.0, slope)
        y = choose(x > CAP, CAP, y)
    return y, slope


@kernel
def activate_row(z: Any, out: Any, scratch: Any, n: int, kind: int, noise: Noise, sequence: int, step: int) -> None:
    """out = f(z) + sigma * N(0, 1), then z = f'(z). All are pointers to n numbers, n a multiple of the lanes."""
    if noise.sigma > 0.0:
        noise_row(scratch, n, noise.seed, noise.epoch, sequence, step)
    for j in range(0, n, lanes(z)):
        y, slope = activated(load(ahead(z, j)), kind)
        if noise.sigma > 0.0:
            y = fma(load(ahead(scratch, j)), noise.sigma, y)
        store(ahead(out, j), y)
        store(ahead(z, j), slope)
