"""The sequence classifier: forward with noise, full back-propagation through time, update.

    h_t = f(x_t W_in + h_{t-1} W + b) + noise        z = h_T W_out + b_out        (eq. 4.3, read out at the last step)

Letters in shapes: T steps of a sequence, I features, H hidden units, O outputs.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from trainer.counter_rng import add_noise
from trainer.jit import entry, kernel
from trainer.kernels.activations import activate
from trainer.kernels.linear import (
    add_left_transposed,
    add_product,
    add_row_product,
    add_row_right_transposed,
    add_rows,
    clear,
    copy,
    count_loss,
)
from trainer.kernels.optimizers import step
from trainer.kernels.penalties import average_and_penalise
from trainer.kernels.readout import count_mistakes, read_out


class Weights(NamedTuple):
    """The parameters; velocity and gradient have the same form."""

    W_in: Any  # (I, H)
    W: Any  # (H, H)
    W_out: Any  # (H, O)
    b: Any  # (1, H)
    b_out: Any  # (1, O)


class Work(NamedTuple):
    """Room for one sequence of at most T steps."""

    states: Any  # (T+1, H), row 0 is the state before the first step
    slopes: Any  # (T, H), f' at each step
    errors: Any  # (T, H), dLoss/d(argument of f)
    output: Any  # (O), z, then the answer
    error: Any  # (O), dLoss/dz


class Noise(NamedTuple):
    """Where the noise of an epoch comes from; sigma = 0: there is none."""

    sigma: float
    seed: int
    epoch: int


@kernel
def forward(x: Any, weights: Any, activation: int, noise: Any, sequence: int, work: Any) -> None:
    """Leaves states, slopes and z in work. x: (T, I)."""
    n = x.shape[0]
    states = work.states
    clear(states[:1])
    for t in range(n):
        copy(states[t + 1], weights.b[0])
    add_product(states[1 : n + 1], x, weights.W_in)  # (T, H) += (T, I) @ (I, H)
    for t in range(n):
        row = states[t + 1]
        add_row_product(row, states[t], weights.W)  # (H) += (H) @ (H, H)
        activate(row, work.slopes[t], activation)
        if noise.sigma > 0.0:
            add_noise(row, noise.sigma, noise.seed, noise.epoch, sequence, t)
    copy(work.output, weights.b_out[0])
    add_row_product(work.output, states[n], weights.W_out)  # (O) += (H) @ (H, O)


@kernel
def backward(x: Any, weights: Any, gradient: Any, work: Any) -> None:
    """Add the gradient of one sequence, given dLoss/dz in work.error. x: (T, I)."""
    n = x.shape[0]
    states, errors = work.states[: n + 1], work.errors[:n]
    clear(errors)
    add_row_right_transposed(errors[n - 1], work.error, weights.W_out)  # (H) += (O) @ (H, O).T
    for t in range(n - 1, -1, -1):
        for j in range(errors.shape[1]):
            errors[t, j] *= work.slopes[t, j]
        if t > 0:
            add_row_right_transposed(errors[t - 1], errors[t], weights.W)  # (H) += (H) @ (H, H).T
    add_left_transposed(gradient.W_in, x, errors)  # (I, H) += (T, I).T @ (T, H)
    add_left_transposed(gradient.W, states[:n], errors)  # (H, H) += (T, H).T @ (T, H)
    add_rows(gradient.b[0], errors)
    add_left_transposed(gradient.W_out, states[n:], work.error.reshape(1, -1))  # (H, O) += (1, H).T @ (1, O)
    add_rows(gradient.b_out[0], work.error.reshape(1, -1))


@kernel
def average(weights: Any, gradient: Any, share: float, l1: float, l2: float) -> None:
    """gradient = share * gradient + that of the penalties."""
    real = gradient.W.dtype.type
    average_and_penalise(gradient.W_in, weights.W_in, real(share), real(l1), real(l2))
    average_and_penalise(gradient.W, weights.W, real(share), real(l1), real(l2))
    average_and_penalise(gradient.W_out, weights.W_out, real(share), real(l1), real(l2))
    average_and_penalise(gradient.b, weights.b, real(share), real(0), real(0))
    average_and_penalise(gradient.b_out, weights.b_out, real(share), real(0), real(0))


@kernel
def add_batch(values: Any, offsets: Any, targets: Any, batch: Any, weights: Any, gradient: Any, work: Any, heads: Any,
              activation: int, loss_kind: int, noise: Any) -> float:  # fmt: skip
    """Add the gradients of the sequences of a batch, and return the sum of their losses."""
    loss = 0.0
    for sequence in batch:
        x = values[offsets[sequence] : offsets[sequence + 1]]
        forward(x, weights, activation, noise, sequence, work)
        loss += read_out(work.output, targets[sequence], work.error, heads, loss_kind)
        backward(x, weights, gradient, work)
    return loss


@entry
def train(values: Any, offsets: Any, targets: Any, order: Any, batch_size: int, flat: Any, memory: Any, weights: Any,
          flat_gradient: Any, gradient: Any, work: Any, heads: Any, activation: int, loss_kind: int, noise: Any,
          l1: float, l2: float, rule: Any, sums: Any) -> int:  # fmt: skip
    """Make one update for every batch_size sequences of `order`, one after another; returns how many were made.

    values: (rows, I), packed sequences; offsets: (sequences+1), int64; targets: (sequences, O). order: int64, indices
    of sequences. weights and gradient are views of flat and flat_gradient; memory: (n_slots, size of flat).
    sums: (4), float64: loss without penalties, and number of sequences, are added to sums[0], sums[1] and to sums[2],
    sums[3]. Ends at a loss that is not finite, before the update it would make; that loss is in the sums.
    """
    done = 0
    for start in range(0, order.shape[0], batch_size):
        batch = order[start : start + batch_size]
        clear(flat_gradient.reshape(1, -1))
        loss = add_batch(values, offsets, targets, batch, weights, gradient, work, heads, activation, loss_kind, noise)
        count_loss(sums, loss, float(batch.shape[0]))
        if not math.isfinite(loss):
            break
        average(weights, gradient, 1.0 / batch.shape[0], l1, l2)
        step(flat, flat_gradient, memory, rule, done)
        done += 1
    return done


@entry
def mean_gradient(values: Any, offsets: Any, targets: Any, batch: Any, weights: Any, gradient: Any, work: Any,
                  heads: Any, activation: int, loss_kind: int, noise: Any, l1: float, l2: float) -> float:  # fmt: skip
    """Add to `gradient`, which is zero, that of the mean objective of a batch; returns the mean loss, no penalties."""
    loss = add_batch(values, offsets, targets, batch, weights, gradient, work, heads, activation, loss_kind, noise)
    average(weights, gradient, 1.0 / batch.shape[0], l1, l2)
    return float(loss / batch.shape[0])


@entry
def evaluate(values: Any, offsets: Any, targets: Any, first: int, last: int, weights: Any, work: Any, heads: Any,
             activation: int, loss_kind: int, sums: Any) -> None:  # fmt: skip
    """Add loss, number and wrong decisions per head, of sequences first … last-1 without noise, to sums (2+n_heads)."""
    for sequence in range(first, last):
        x = values[offsets[sequence] : offsets[sequence + 1]]
        forward(x, weights, activation, Noise(0.0, 0, 0), sequence, work)
        sums[0] += read_out(work.output, targets[sequence], work.error, heads, loss_kind)
        sums[1] += 1.0
        count_mistakes(work.output, targets[sequence], heads, sums[2:])
