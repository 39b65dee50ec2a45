"""The next-word model: forward, truncated back-propagation through time, update.

    s_t = tanh(U[x_t] + s_{t-1} W)        p_t = softmax(s_t V)        loss_t = -log p_t[x_{t+1}]

The truncation is that of Britz's tutorial: the error of each step is carried back `bptt` more steps. It is computed
by levels, D_0 = dLoss/ds * (1 - s^2) for all steps at once, then D_k[t] = (D_{k-1}[t+1] W^T) * (1 - s_t^2), because
every level is one matrix product where the tutorial has a product per pair of steps.
Letters in shapes: T words of a sentence, H hidden units, K words of the vocabulary.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from trainer.jit import entry, kernel
from trainer.kernels.linear import (
    add_left_transposed,
    add_product,
    add_right_transposed,
    add_row_product,
    clear,
    copy,
    count_loss,
)
from trainer.kernels.optimizers import step
from trainer.kernels.readout import softmax


class Weights(NamedTuple):
    """The parameters; velocity and gradient have the same form."""

    U: Any  # (K, H)
    W: Any  # (H, H)
    V: Any  # (H, K)


class Work(NamedTuple):
    """Room for one sentence of at most T words ."""

    states: Any  # (T+1, H), row 0 is the state before the first word
    probs: Any  # (T, K), logits, then probabilities, then their error
    level: Any  # (T, H), error of one level
    carried: Any  # (T, H), scratch for the next level
    total: Any  # (T, H), sum of all levels


@kernel
def forward(words: Any, weights: Any, work: Any) -> float:
    """Loss of a sentence, summed over its words; leaves states and probabilities in work. words: (T+1), int32."""
    n = words.shape[0] - 1
    states, probs = work.states, work.probs
    clear(states[:1])
    for t in range(n):
        row = states[t + 1]
        copy(row, weights.U[words[t]])
        add_row_product(row, states[t], weights.W)  # (H) += (H) @ (H, H)
        for j in range(row.shape[0]):
            row[j] = math.tanh(row[j])
    clear(probs[:n])
    add_product(probs[:n], states[1 : n + 1], weights.V)  # (T, K) += (T, H) @ (H, K)
    loss = 0.0
    for t in range(n):
        loss += softmax_loss(probs[t], words[t + 1])
    return loss


@kernel
def softmax_loss(row: Any, target: int) -> float:
    """row = softmax(row) in place; returns -log of the target's probability.   # (K)"""
    logit = float(row[target])
    return softmax(row) - logit


@kernel
def backward(words: Any, weights: Any, gradient: Any, bptt: int, work: Any) -> None:
    """Add a sentence's gradient, summed over its words."""
    n = words.shape[0] - 1
    states, probs, level, total = work.states[: n + 1], work.probs[:n], work.level[:n], work.total[:n]
    for t in range(n):
        probs[t, words[t + 1]] -= probs.dtype.type(1)
    add_left_transposed(gradient.V, states[1:], probs)  # (H, K) += (T, H).T @ (T, K)
    clear(level)
    add_right_transposed(level, probs, weights.V)  # (T, H) += (T, K) @ (H, K).T
    through_tanh(level, states[1:])
    clear(total)
    add_matrix(total, level)
    for back in range(1, min(bptt, n - 1) + 1):
        carry_back(level[: n - back], work.carried[: n - back], level[1 : n - back + 1], states[1:], weights.W)
        add_matrix(total[: n - back], level[: n - back])
    add_left_transposed(gradient.W, states[:n], total)  # (H, H) += (T, H).T @ (T, H)
    add_to_inputs(words, gradient.U, total)


@kernel
def carry_back(level: Any, scratch: Any, later: Any, states: Any, recurrent: Any) -> None:
    """level[t] = (later[t] W^T) * (1 - s_t^2), where `later` overlaps level one row on.      # (T-k, H)"""
    clear(scratch)
    add_right_transposed(scratch, later, recurrent)  # (T-k, H) += (T-k, H) @ (H, H).T
    through_tanh(scratch, states)
    for t in range(level.shape[0]):
        copy(level[t], scratch[t])


@kernel
def through_tanh(error: Any, states: Any) -> None:
    """error *= 1 - s^2                                        # (T, H)"""
    one = error.dtype.type(1)
    for t in range(error.shape[0]):
        for j in range(error.shape[1]):
            error[t, j] *= one - states[t, j] * states[t, j]


@kernel
def add_matrix(out: Any, a: Any) -> None:
    """out += a                                                # (m, n)"""
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] += a[i, j]


@kernel
def add_to_inputs(words: Any, gradient: Any, total: Any) -> None:
    """gradient[x_t] += total[t]"""
    for t in range(total.shape[0]):
        for j in range(total.shape[1]):
            gradient[words[t], j] += total[t, j]


@kernel
def add_batch(tokens: Any, offsets: Any, batch: Any, weights: Any, gradient: Any, work: Any, bptt: int) -> Any:
    """Add the gradients of the sentences of a batch; returns the sum of their losses and their number of words."""
    loss, n_words = 0.0, 0.0
    for sentence in batch:
        words = tokens[offsets[sentence] : offsets[sentence + 1]]
        loss += forward(words, weights, work)
        backward(words, weights, gradient, bptt, work)
        n_words += words.shape[0] - 1
    return loss, n_words


@kernel
def scale(gradient: Any, share: float) -> None:
    """gradient *= share                                       # (size)"""
    factor = gradient.dtype.type(share)
    for i in range(gradient.shape[0]):
        gradient[i] *= factor


@entry
def train(tokens: Any, offsets: Any, order: Any, batch_size: int, flat: Any, memory: Any, weights: Any,
          flat_gradient: Any, gradient: Any, work: Any, bptt: int, rule: Any, sums: Any) -> int:  # fmt: skip
    """Make one update for every batch_size sentences of `order`, one after another; returns how many were made.

    tokens: (n), int32, packed sentences with start and end; offsets: (sentences+1), int64. order: int64, indices of
    sentences. weights and gradient are views of flat and flat_gradient; memory: (n_slots, size of flat). sums: (4),
    float64: loss and number of words are added to sums[0], sums[1] and to sums[2], sums[3]. Ends at a loss that is not
    finite, before the update it would make; that loss is in the sums.
    """
    done = 0
    for start in range(0, order.shape[0], batch_size):
        batch = order[start : start + batch_size]
        clear(flat_gradient.reshape(1, -1))
        loss, n_words = add_batch(tokens, offsets, batch, weights, gradient, work, bptt)
        count_loss(sums, loss, n_words)
        if not math.isfinite(loss):
            break
        scale(flat_gradient, 1.0 / batch.shape[0])
        step(flat, flat_gradient, memory, rule, done)
        done += 1
    return done


@entry
def mean_gradient(tokens: Any, offsets: Any, batch: Any, weights: Any, flat_gradient: Any, gradient: Any, work: Any,
                  bptt: int) -> float:  # fmt: skip
    """Add to `gradient`, which is zero, that of the mean over the batch's sentences of their loss, and return it."""
    loss, _ = add_batch(tokens, offsets, batch, weights, gradient, work, bptt)
    scale(flat_gradient, 1.0 / batch.shape[0])
    return float(loss / batch.shape[0])


@entry
def evaluate(tokens: Any, offsets: Any, first: int, last: int, weights: Any, work: Any, sums: Any) -> None:
    """Add loss and number of words of sentences first … last-1 to sums (2), float64."""
    for sentence in range(first, last):
        words = tokens[offsets[sentence] : offsets[sentence + 1]]
        sums[0] += forward(words, weights, work)
        sums[1] += words.shape[0] - 1
