"""From outputs to answers (probabilities), loss and its gradient, head by head."""

from __future__ import annotations

import math
from typing import Any

from trainer.jit import kernel
from trainer.kernels.tiles.functions import exp
from trainer.kernels.tiles.memory import ahead
from trainer.kernels.tiles.products import lanes
from trainer.kernels.tiles.vectors import load, store

SOFTMAX, SIGMOID, LINEAR = 0, 1, 2
MSE, CROSS_ENTROPY = 0, 1


@kernel
def answer(z: Any, powers: Any, pitch: int, heads: Any, n_heads: int) -> None:
    """z becomes the answer; powers: room for `pitch` numbers, a multiple of the lanes.

    heads: (n_heads, 3), int64: kind, first output, number of outputs. All are pointers.
    """
    _exponents(z, powers, pitch, heads, n_heads)
    for j in range(0, pitch, lanes(powers)):
        store(ahead(powers, j), exp(load(ahead(powers, j))))
    for h in range(n_heads):
        first, behind = heads[3 * h + 1], heads[3 * h + 1] + heads[3 * h + 2]
        if heads[3 * h] == SOFTMAX:
            scale = 1.0 / _total(powers, first, behind)
            for j in range(first, behind):
                z[j] = powers[j] * scale
        elif heads[3 * h] == SIGMOID:
            for j in range(first, behind):
                z[j] = (1.0 if z[j] >= 0 else powers[j]) / (1.0 + powers[j])


@kernel
def _exponents(z: Any, powers: Any, pitch: int, heads: Any, n_heads: int) -> None:
    """Numbers that are not above zero, so that exp of none overflows."""
    for j in range(pitch):
        powers[j] = 0
    for h in range(n_heads):
        first, behind = heads[3 * h + 1], heads[3 * h + 1] + heads[3 * h + 2]
        if heads[3 * h] == SOFTMAX:
            top = _greatest(z, first, behind)
            for j in range(first, behind):
                powers[j] = z[j] - top
        elif heads[3 * h] == SIGMOID:
            for j in range(first, behind):
                powers[j] = -abs(z[j])


@kernel
def _greatest(a: Any, first: int, behind: int) -> Any:
    top = a[first]
    for j in range(first + 1, behind):
        if a[j] > top:
            top = a[j]
    return top


@kernel
def _total(a: Any, first: int, behind: int) -> float:
    total = 0.0
    for j in range(first, behind):
        total += float(a[j])
    return total


@kernel
def read_out(z: Any, target: Any, error: Any, powers: Any, pitch: int, heads: Any, n_heads: int, loss_kind: int,
             n_out: int) -> float:  # fmt: skip
    """Loss of one read-out; z becomes the answer and error dLoss/dz. All are pointers to rows of n_out numbers.

    MSE is the mean over all outputs of (answer - target)^2. Cross-entropy is the sum over the heads of -sum y log p,
    of the binary cross-entropies, or of (z - y)^2 / 2 for a linear head.
    """
    if loss_kind == CROSS_ENTROPY:
        loss = _cross_entropy(z, target, heads, n_heads)
        answer(z, powers, pitch, heads, n_heads)
        for h in range(n_heads):
            _entropy_error(z, target, error, heads[3 * h], heads[3 * h + 1], heads[3 * h + 1] + heads[3 * h + 2])
        return loss
    answer(z, powers, pitch, heads, n_heads)
    loss = 0.0
    for h in range(n_heads):
        loss += _squares(
            z, target, error, heads[3 * h], heads[3 * h + 1], heads[3 * h + 1] + heads[3 * h + 2], 2.0 / n_out
        )
    return loss / n_out


@kernel
def _cross_entropy(z: Any, y: Any, heads: Any, n_heads: int) -> float:
    loss = 0.0
    for h in range(n_heads):
        kind, first, behind = heads[3 * h], heads[3 * h + 1], heads[3 * h + 1] + heads[3 * h + 2]
        if kind == SOFTMAX:
            loss += _softmax_entropy(z, y, first, behind)
            continue
        for j in range(first, behind):
            x, t = float(z[j]), float(y[j])
            loss += max(x, 0.0) + math.log1p(math.exp(-abs(x))) - t * x if kind == SIGMOID else 0.5 * (x - t) ** 2
    return loss


@kernel
def _softmax_entropy(z: Any, y: Any, first: int, behind: int) -> float:
    """sum y (log sum exp z - z)"""
    top, total, share, along = float(_greatest(z, first, behind)), 0.0, 0.0, 0.0
    for j in range(first, behind):
        total += math.exp(float(z[j]) - top)
        share += float(y[j])
        along += float(y[j]) * float(z[j])
    return share * (top + math.log(total)) - along


@kernel
def _entropy_error(a: Any, y: Any, e: Any, kind: int, first: int, behind: int) -> None:
    share = _total(y, first, behind) if kind == SOFTMAX else 1.0
    for j in range(first, behind):
        e[j] = share * a[j] - y[j]


@kernel
def _squares(a: Any, y: Any, e: Any, kind: int, first: int, behind: int, scale: float) -> float:
    """Squared error of the answers of a head, and its gradient through the head."""
    loss, along = 0.0, 0.0
    for j in range(first, behind):
        difference = float(a[j]) - float(y[j])
        loss += difference * difference
        along += scale * difference * a[j]
    for j in range(first, behind):
        through = scale * (float(a[j]) - float(y[j]))
        if kind == SOFTMAX:
            through = a[j] * (through - along)
        elif kind == SIGMOID:
            through *= a[j] * (1.0 - a[j])
        e[j] = through
    return loss


@kernel
def count_mistakes(a: Any, y: Any, heads: Any, n_heads: int, mistakes: Any, weight: float) -> None:
    """Add weight times the wrong decisions of one read-out to mistakes (n_heads), float64.

    A softmax head decides once, for its greatest probability; a sigmoid head decides for every output, at 1/2; a
    linear head does not decide.
    """
    for h in range(n_heads):
        kind, first, behind = heads[3 * h], heads[3 * h + 1], heads[3 * h + 1] + heads[3 * h + 2]
        if kind == SOFTMAX:
            mistakes[h] = mistakes[h] + weight * (
                _place_of_greatest(a, first, behind) != _place_of_greatest(y, first, behind)
            )
        elif kind == SIGMOID:
            for j in range(first, behind):
                mistakes[h] = mistakes[h] + weight * ((a[j] > 0.5) != (y[j] > 0.5))


@kernel
def _place_of_greatest(a: Any, first: int, behind: int) -> int:
    best = first
    for j in range(first + 1, behind):
        if a[j] > a[best]:
            best = j
    return best
