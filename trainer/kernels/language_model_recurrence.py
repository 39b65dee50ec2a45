"""The recurrent layer of the next-word model: states forward, errors backward, gradients of U and W.

    s_t = tanh(U[x_t] + s_{t-1} W)        D_t = (dLoss/ds_t + what comes back from t+1) * (1 - s_t^2)

The sentences of a batch lie one after another in rows. Everything is a pointer. Letters in shapes: R rows that there is
room for, of which n are used, H hidden units, P their pitch.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from trainer.jit import kernel
from trainer.kernels.tiles.functions import tanh
from trainer.kernels.tiles.memory import ahead
from trainer.kernels.tiles.products import lanes, product
from trainer.kernels.tiles.vectors import fma, load, store


class Sizes(NamedTuple):
    """Of the matrices and of the scratch memory."""

    rows: int  # R
    hidden: int  # H
    pitch: int  # P
    panels: int  # B, of V
    width: int  # w, of a panel
    words: int  # K


class Text(NamedTuple):
    """Packed sentences, each from its start mark to its end mark."""

    tokens: Any  # (n), int32
    offsets: Any  # (sentences+1), int64


class Rows(NamedTuple):
    """What is known of each predicted word of a batch."""

    inputs: Any  # (R), int32, the word before
    targets: Any  # (R), int32, the word
    begins: Any  # (R), int8, whether a sentence begins
    cuts: Any  # (R), int8, whether no error goes from here to the row before
    losses: Any  # (R), float64
    states: Any  # (R, P)
    errors: Any  # (R, P), dLoss/ds, then D summed over all ways back
    level: Any  # (R, P), scratch
    carried: Any  # (R, P), scratch
    transposed: Any  # (H, P), W.T


@kernel
def read_sentences(text: Any, order: Any, first: int, last: int, chunk: int, rows: Any) -> Any:
    """Put sentences order[first:last] into rows; returns how many rows, and how many in the longest sentence."""
    n, longest = 0, 0
    for at in range(first, last):
        begin, end = text.offsets[order[at]], text.offsets[order[at] + 1] - 1
        for t in range(begin, end):
            rows.inputs[n] = text.tokens[t]
            rows.targets[n] = text.tokens[t + 1]
            rows.begins[n] = t == begin
            rows.cuts[n] = (t - begin) % chunk == 0
            n += 1
        longest = max(longest, end - begin)
    return n, longest


@kernel
def run_forward(n: int, weights: Any, sizes: Any, rows: Any) -> None:
    """s_t = tanh(U[x_t] + s_{t-1} W)"""
    hidden, pitch = sizes.hidden, sizes.pitch
    for t in range(n):
        s = ahead(rows.states, t * pitch)
        copy(s, ahead(weights.U, rows.inputs[t] * pitch), pitch)
        if not rows.begins[t]:
            product(s, pitch, ahead(s, -pitch), pitch, 1, weights.W, pitch, 1, pitch, hidden, True)
        for j in range(0, pitch, lanes(s)):
            store(ahead(s, j), tanh(load(ahead(s, j))))


@kernel
def run_back(n: int, longest: int, depth: int, weights: Any, sizes: Any, rows: Any) -> None:
    """rows.errors = D, from dLoss/ds in rows.errors."""
    for i in range(sizes.hidden):
        for j in range(sizes.hidden):
            rows.transposed[j * sizes.pitch + i] = weights.W[i * sizes.pitch + j]
    if depth + 1 >= longest:
        back_by_steps(n, sizes, rows)
    else:
        back_by_levels(n, depth, sizes, rows)


@kernel
def back_by_steps(n: int, sizes: Any, rows: Any) -> None:
    """D_t = (dLoss/ds_t + D_{t+1} W^T) * (1 - s_t^2): all errors at once, as far back as they go."""
    hidden, pitch = sizes.hidden, sizes.pitch
    for t in range(n - 1, -1, -1):
        d = ahead(rows.errors, t * pitch)
        if t + 1 < n and not rows.cuts[t + 1]:
            product(d, pitch, ahead(d, pitch), pitch, 1, rows.transposed, pitch, 1, pitch, hidden, True)
        through_tanh(d, d, ahead(rows.states, t * pitch), pitch)


@kernel
def back_by_levels(n: int, depth: int, sizes: Any, rows: Any) -> None:
    """D = D_0 + … + D_depth: D_0[t] = dLoss/ds_t * (1 - s_t^2), D_k[t] = D_{k-1}[t+1] W^T * (1 - s_t^2).

    Britz's tutorial has a product for every pair of steps; a level is one product of matrices.
    """
    hidden, pitch, level, carried = sizes.hidden, sizes.pitch, rows.level, rows.carried
    for t in range(n):
        row = t * pitch
        through_tanh(ahead(level, row), ahead(rows.errors, row), ahead(rows.states, row), pitch)
        copy(ahead(rows.errors, row), ahead(level, row), pitch)
    for _ in range(depth):
        product(carried, pitch, level, pitch, 1, rows.transposed, pitch, n, pitch, hidden, False)
        for t in range(n):
            row = t * pitch
            if t + 1 < n and not rows.cuts[t + 1]:
                through_tanh(ahead(level, row), ahead(carried, row + pitch), ahead(rows.states, row), pitch)
                add_scaled(ahead(rows.errors, row), 1.0, ahead(level, row), pitch)
            else:
                set_scaled(ahead(level, row), 0.0, ahead(level, row), pitch)


@kernel
def add_recurrent_gradient(n: int, factor: float, sizes: Any, rows: Any, out: Any) -> None:
    """out.W += factor * sum of s_{t-1}^T D_t,  out.U[x_t] += factor * D_t; out has the form of the weights."""
    hidden, pitch, before = sizes.hidden, sizes.pitch, rows.carried
    for t in range(n):
        row = t * pitch
        add_scaled(ahead(out.U, rows.inputs[t] * pitch), factor, ahead(rows.errors, row), pitch)
        if rows.begins[t]:
            set_scaled(ahead(before, row), 0.0, ahead(rows.states, row), pitch)
        else:
            set_scaled(ahead(before, row), factor, ahead(rows.states, row - pitch), pitch)
    product(out.W, pitch, before, 1, pitch, rows.errors, pitch, hidden, pitch, n, True)


@kernel
def through_tanh(out: Any, error: Any, state: Any, n: int) -> None:
    """out = error * (1 - s^2)                                 # (n), n a multiple of the lanes, as in all below"""
    for j in range(0, n, lanes(out)):
        s = load(ahead(state, j))
        store(ahead(out, j), load(ahead(error, j)) * (1.0 - s * s))


@kernel
def copy(out: Any, a: Any, n: int) -> None:
    """out = a                                                 # (n)"""
    for j in range(0, n, lanes(out)):
        store(ahead(out, j), load(ahead(a, j)))


@kernel
def set_scaled(out: Any, factor: float, a: Any, n: int) -> None:
    """out = factor * a                                        # (n)"""
    for j in range(0, n, lanes(out)):
        store(ahead(out, j), load(ahead(a, j)) * factor)


@kernel
def add_scaled(out: Any, factor: float, a: Any, n: int) -> None:
    """out += factor * a                                       # (n)"""
    for j in range(0, n, lanes(out)):
        store(ahead(out, j), fma(load(ahead(a, j)), factor, load(ahead(out, j))))
