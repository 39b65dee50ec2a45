"""From the outputs of the last step to probabilities, loss and its gradient, head by head."""

from __future__ import annotations

import math
from typing import Any

from trainer.jit import kernel
from trainer.kernels.activations import sigmoid

SOFTMAX, SIGMOID, LINEAR = 0, 1, 2
MSE, CROSS_ENTROPY = 0, 1


@kernel
def read_out(z: Any, target: Any, error: Any, heads: Any, loss_kind: int) -> float:
    """Loss of one sequence; z becomes the answer (probabilities, or z itself) and error dLoss/dz.   # all (n_out)

    heads: (n_heads, 3), int64: kind, first output, number of outputs. MSE is the mean over all outputs of
    (answer - target)^2. Cross-entropy is the sum over the heads of -sum y log p, of the binary cross-entropies, or
    of (z - y)^2 / 2 for a linear head.
    """
    loss = 0.0
    for h in range(heads.shape[0]):
        kind, first, size = heads[h]
        a, y, e = z[first : first + size], target[first : first + size], error[first : first + size]
        if loss_kind == CROSS_ENTROPY:
            loss += _cross_entropy(a, y, e, kind)
        else:
            loss += _squares(a, y, e, kind, z.shape[0])
    return loss


@kernel
def softmax(a: Any) -> float:
    """a = softmax(a) in place; returns log sum exp of a before.   # (n)"""
    top = a[0]
    for j in range(a.shape[0]):
        if a[j] > top:
            top = a[j]
    total = 0.0
    for j in range(a.shape[0]):
        a[j] = math.exp(a[j] - top)
        total += float(a[j])
    scale = a.dtype.type(1.0 / total)
    for j in range(a.shape[0]):
        a[j] *= scale
    return float(top) + math.log(total)


@kernel
def _softplus(x: float) -> float:
    """log(1 + exp(x)) without overflow."""
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


@kernel
def _cross_entropy(a: Any, y: Any, e: Any, kind: int) -> float:
    if kind == SOFTMAX:
        return _softmax_entropy(a, y, e)
    loss = 0.0
    for j in range(a.shape[0]):
        x = float(a[j])
        if kind == SIGMOID:
            loss += _softplus(x) - float(y[j]) * x
            a[j] = sigmoid(a[j])
        else:
            loss += 0.5 * (x - float(y[j])) ** 2
        e[j] = a[j] - y[j]
    return loss


@kernel
def _softmax_entropy(a: Any, y: Any, e: Any) -> float:
    loss, share = 0.0, 0.0
    for j in range(a.shape[0]):
        loss -= float(y[j]) * float(a[j])
        share += float(y[j])
    loss += share * softmax(a)
    for j in range(a.shape[0]):
        e[j] = a.dtype.type(share) * a[j] - y[j]
    return loss


@kernel
def _squares(a: Any, y: Any, e: Any, kind: int, n_out: int) -> float:
    """Squared error of the answers over n_out, and its gradient through the head."""
    _answer(a, kind)
    scale = a.dtype.type(2.0 / n_out)
    loss, along = 0.0, a.dtype.type(0)
    for j in range(a.shape[0]):
        difference = a[j] - y[j]
        loss += float(difference) * float(difference)
        e[j] = scale * difference
        along += e[j] * a[j]
    one = a.dtype.type(1)
    for j in range(a.shape[0]):
        if kind == SOFTMAX:
            e[j] = a[j] * (e[j] - along)
        elif kind == SIGMOID:
            e[j] *= a[j] * (one - a[j])
    return loss / n_out


@kernel
def _answer(a: Any, kind: int) -> None:
    if kind == SOFTMAX:
        softmax(a)
    elif kind == SIGMOID:
        for j in range(a.shape[0]):
            a[j] = sigmoid(a[j])


@kernel
def count_mistakes(answer: Any, target: Any, heads: Any, mistakes: Any) -> None:
    """Add the wrong decisions of one sequence to mistakes (n_heads), float64.   # (n_out), (n_out)

    A softmax head decides once, for its greatest probability; a sigmoid head decides for every output, at 1/2; a
    linear head does not decide.
    """
    for h in range(heads.shape[0]):
        kind, first, size = heads[h]
        if kind == SOFTMAX:
            mistakes[h] += _argmax(answer[first : first + size]) != _argmax(target[first : first + size])
        elif kind == SIGMOID:
            for j in range(first, first + size):
                mistakes[h] += (answer[j] > 0.5) != (target[j] > 0.5)


@kernel
def _argmax(a: Any) -> int:
    best = 0
    for j in range(1, a.shape[0]):
        if a[j] > a[best]:
            best = j
    return best
