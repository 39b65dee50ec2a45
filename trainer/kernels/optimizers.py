"""One update of the weights by their gradient, all of them flat arrays of one layout.

SGD with classical momentum (Polyak 1964) and Nesterov's, AdaGrad (Duchi et al., JMLR 2011), RMSprop (Tieleman and
Hinton 2012), Adam (Kingma and Ba, ICLR 2015, algorithm 1).

Where definitions differ:
- Nesterov's momentum is that of Sutskever et al. (ICML 2013), written for the weights at which the gradient is taken
  (their theta + mu v), as Bengio et al. (ICASSP 2013) do; so does torch.optim.SGD(nesterov=True).
- The learning rate is part of the velocity, v = mu v - rate g. In torch.optim.SGD it is not: w -= rate (mu b + g). The
  two are equal as long as the rate stays the same; after a change of the rate this one follows it more slowly.
- epsilon is added to the root, as torch.optim does in all three, and not under it. Duchi's delta stands there too;
  Tieleman and Hinton have none. In Adam it is added to the root of the corrected mean of squares.
- All memories begin at zero. torch.optim has other defaults: rho (its alpha) 0.99, AdaGrad's epsilon 1e-10 and rate
  0.01, RMSprop's rate 0.01, Adam's 0.001.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from trainer.jit import entry, kernel
from trainer.kernels.lanes import dot
from trainer.kernels.linear import clip_factor

SGD, NESTEROV, ADAGRAD, RMSPROP, ADAM = 0, 1, 2, 3, 4

_BLOCK = 1024


class Rule(NamedTuple):
    """The numbers of an update."""

    kind: int
    rate: float
    momentum: float  # of SGD and Nesterov; beta1 of Adam
    decay: float  # rho of RMSprop, beta2 of Adam
    epsilon: float
    longest: float  # a longer gradient is scaled down to this length; 0: never
    first: int  # updates made before the first of this call: Adam corrects by how many there were


@kernel
def step(weights: Any, gradient: Any, memory: Any, rule: Any, number: int) -> None:
    """Update number `number` of this call, counted from 0; the gradient is scaled if it is clipped.

    weights, gradient: (size); memory: (n_slots, size), n_slots as the kind needs.
    """
    if rule.longest > 0.0:
        clip(gradient, rule.longest)
    if rule.kind == SGD:
        descend(weights, gradient, memory, rule.rate, rule.momentum)
    elif rule.kind == NESTEROV:
        descend_nesterov(weights, gradient, memory[0], rule.rate, rule.momentum)
    elif rule.kind == ADAGRAD:
        descend_adagrad(weights, gradient, memory[0], rule.rate, rule.epsilon)
    elif rule.kind == RMSPROP:
        descend_rmsprop(weights, gradient, memory[0], rule)
    else:
        descend_adam(weights, gradient, memory[0], memory[1], rule, float(rule.first + number + 1))


@entry
def apply(weights: Any, gradient: Any, memory: Any, rule: Any, number: int) -> None:
    """`step` for Python to call."""
    step(weights, gradient, memory, rule, number)


@kernel
def clip(gradient: Any, longest: float) -> None:
    """Scale the gradient so that it is no longer than `longest`."""
    factor = gradient.dtype.type(clip_factor(squared_length(gradient), longest))
    if factor != 1:
        for i in range(gradient.shape[0]):
            gradient[i] *= factor


@kernel
def squared_length(gradient: Any) -> Any:
    """The sum of squares                                      # (size)

    Blocks of _BLOCK numbers are each summed over lanes in their own precision, and the blocks in float64 from first
    to last: a fixed order, and a block is too short for float32 to lose more than the last few bits. Squares beyond
    the range of float32 are summed again, one by one in float64, so that a gradient that explodes is still clipped.
    """
    total = 0.0
    for first in range(0, gradient.shape[0], _BLOCK):
        block = gradient[first : first + _BLOCK]
        total += np.float64(dot(block, block))
    if math.isfinite(total):
        return total
    total = 0.0
    for i in range(gradient.shape[0]):
        x = np.float64(gradient[i])  # float() would leave it in the precision it has
        total += x * x
    return total


@kernel
def descend(weights: Any, gradient: Any, memory: Any, rate: float, momentum: float) -> None:
    """v = momentum v - rate g;  w += v. Without a slot of memory there is no momentum."""
    pace, inertia = weights.dtype.type(rate), weights.dtype.type(momentum)
    if memory.shape[0] == 0:
        for i in range(weights.shape[0]):
            weights[i] -= pace * gradient[i]
        return
    velocity = memory[0]
    for i in range(weights.shape[0]):
        velocity[i] = inertia * velocity[i] - pace * gradient[i]
        weights[i] += velocity[i]


@kernel
def descend_nesterov(weights: Any, gradient: Any, velocity: Any, rate: float, momentum: float) -> None:
    """v = momentum v - rate g;  w += momentum v - rate g"""
    pace, inertia = weights.dtype.type(rate), weights.dtype.type(momentum)
    for i in range(weights.shape[0]):
        velocity[i] = inertia * velocity[i] - pace * gradient[i]
        weights[i] += inertia * velocity[i] - pace * gradient[i]


@kernel
def descend_adagrad(weights: Any, gradient: Any, squares: Any, rate: float, epsilon: float) -> None:
    """s += g^2;  w -= rate g / (sqrt(s) + epsilon)"""
    pace, least = weights.dtype.type(rate), weights.dtype.type(epsilon)
    for i in range(weights.shape[0]):
        squares[i] += gradient[i] * gradient[i]
        weights[i] -= pace * gradient[i] / (math.sqrt(squares[i]) + least)


@kernel
def descend_rmsprop(weights: Any, gradient: Any, squares: Any, rule: Any) -> None:
    """s = rho s + (1 - rho) g^2;  w -= rate g / (sqrt(s) + epsilon)"""
    real = weights.dtype.type
    pace, rho, rest, least = real(rule.rate), real(rule.decay), real(1.0 - rule.decay), real(rule.epsilon)
    for i in range(weights.shape[0]):
        squares[i] = rho * squares[i] + rest * (gradient[i] * gradient[i])
        weights[i] -= pace * gradient[i] / (math.sqrt(squares[i]) + least)


@kernel
def descend_adam(weights: Any, gradient: Any, mean: Any, squares: Any, rule: Any, number: float) -> None:
    """m = b1 m + (1 - b1) g;  s = b2 s + (1 - b2) g^2;
    w -= rate (m / (1 - b1^t)) / (sqrt(s / (1 - b2^t)) + epsilon)
    """
    real = weights.dtype.type
    b1, b2, least = real(rule.momentum), real(rule.decay), real(rule.epsilon)
    rest1, rest2 = real(1.0 - rule.momentum), real(1.0 - rule.decay)
    pace = real(rule.rate / (1.0 - rule.momentum**number))
    scale = real(1.0 / math.sqrt(1.0 - rule.decay**number))
    for i in range(weights.shape[0]):
        mean[i] = b1 * mean[i] + rest1 * gradient[i]
        squares[i] = b2 * squares[i] + rest2 * (gradient[i] * gradient[i])
        weights[i] -= pace * mean[i] / (math.sqrt(squares[i]) * scale + least)
