"""The recurrent layer over packed sequences, forward and back through time.

    h_t = f(x_t W_in + b + h_{t-1} W) + noise           (eq. 4.3)

A row holds [0 … 0 | x_t | 1 | h_{t-1}] and the weights lie as [W_in; b; W], so a step is one product, and the whole
gradient is one more. Each h is written straight into the row of its successor.
Letters in shapes: I features, H hidden units, O outputs; a pitch is rounded up to whole vectors.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from trainer.jit import kernel
from trainer.kernels.activations import activate_row
from trainer.kernels.packing import length_of, list_rows
from trainer.kernels.tiles.memory import ahead
from trainer.kernels.tiles.products import lanes, listed_product, product
from trainer.kernels.tiles.vectors import load, store

LAST, MEAN, EVERY_STEP = 0, 1, 2


class Sizes(NamedTuple):
    """Of the network, and where the stacked weights begin in the flat buffer."""

    n_in: int
    n_hidden: int
    n_out: int
    front: int  # width of [0 … 0 | x | 1], whole vectors
    hidden: int  # pitch of hidden units
    out: int  # pitch of outputs
    input_at: int  # where [W_in; b; W] begins (I+1+H, hidden)
    recurrent_at: int  # where W begins
    output_at: int  # where [b_out; W_out] begins (1+H, out)
    size: int  # of the flat buffer
    front_read: int  # width of [0 … 0 | 1]


class Rows(NamedTuple):
    """Room for one pass: as many rows as its sequences have steps. Read rows: what is read out.

    Kernels get it with pointers for the arrays.
    """

    inputs: Any  # (rows, front + hidden), [0 … 0 | x | 1 | h before]
    slopes: Any  # (rows, hidden), argument of f, then its slope f', then dLoss/d(argument)
    carried: Any  # (batch, hidden), errors of a step that come from the next
    noise: Any  # (at least hidden)
    read: Any  # (read rows, lanes + hidden), [0 … 0 | 1 | h]
    outputs: Any  # (read rows, out), z, then answers
    errors: Any  # (read rows, out), dLoss/dz; padding is zero
    back: Any  # (read rows, hidden), dLoss/dh
    powers: Any  # (out)


@kernel
def forward(values: Any, offsets: Any, weights: Any, sizes: Sizes, packing: Any, rows: Rows, n_steps: int, kind: int,
            noise: Any, readout: int) -> None:  # fmt: skip
    """Leaves inputs and slopes of all steps and what is to be read out. values: (all rows, front), [0 … 0 | x | 1]."""
    h, pitch = sizes.hidden, sizes.front + sizes.hidden
    x_at = sizes.front - sizes.n_in - 1
    inputs, slopes = rows.inputs, rows.slopes
    stacked = ahead(weights, sizes.input_at)  # [W_in; b; W]
    for t in range(n_steps):
        n, first = packing.active[t], packing.first[t]
        _gather(values, offsets, sizes.front, packing.chosen, t, n, ahead(inputs, first * pitch), pitch)
        # Before the first step h is zero: the product stops short of it.
        k = sizes.n_in + 1 + (sizes.n_hidden if t > 0 else 0)
        product(ahead(slopes, first * h), h, ahead(inputs, first * pitch + x_at), pitch, 1, stacked, h, n, h, k, False)
        _activate_step(sizes, packing, rows, t, kind, noise, readout)
        if readout == MEAN:
            _add_to_means(sizes, packing, offsets, rows, t)


@kernel
def _gather(values: Any, offsets: Any, front: int, chosen: Any, t: int, n: int, inputs: Any, pitch: int) -> None:
    """Copy the features of step t of the first n sequences into their rows."""
    for i in range(n):
        x, row = ahead(values, (offsets[chosen[i]] + t) * front), ahead(inputs, i * pitch)
        for j in range(0, front, lanes(x)):
            store(ahead(row, j), load(ahead(x, j)))


@kernel
def _activate_step(sizes: Sizes, packing: Any, rows: Rows, t: int, kind: int, noise: Any, readout: int) -> None:
    """h of step t: into the rows of step t+1, and where a sequence ends or all are read, into read rows."""
    h, pitch, read_pitch = sizes.hidden, sizes.front + sizes.hidden, sizes.front_read + sizes.hidden
    n, going, first = packing.active[t], packing.active[t + 1], packing.first[t]
    scratch = rows.noise
    for i in range(n):
        z = ahead(rows.slopes, (first + i) * h)
        read = ahead(rows.read, (first + i if readout == EVERY_STEP else i) * read_pitch + read_pitch - h)
        out = read
        if i < going:
            out = ahead(rows.inputs, (packing.first[t + 1] + i) * pitch + sizes.front)
        activate_row(z, out, scratch, h, kind, noise, packing.chosen[i], t)
        if i < going and readout == EVERY_STEP:
            for j in range(0, h, lanes(out)):
                store(ahead(read, j), load(ahead(out, j)))


@kernel
def _add_to_means(sizes: Sizes, packing: Any, offsets: Any, rows: Rows, t: int) -> None:
    """Of a sequence that ends, the last h in its read row becomes the mean over all its steps."""
    h, pitch, read_pitch = sizes.hidden, sizes.front + sizes.hidden, sizes.front_read + sizes.hidden
    for i in range(packing.active[t + 1], packing.active[t]):
        sequence = packing.chosen[i]
        share = 1.0 / length_of(sequence, offsets)
        for j in range(0, h, lanes(rows.read)):
            place = ahead(rows.read, i * read_pitch + read_pitch - h + j)
            total = load(place)
            for u in range(1, t + 1):
                at = (packing.first[u] + i) * pitch + sizes.front + j
                total = total + load(ahead(rows.inputs, at))
            store(place, total * share)


@kernel
def backward(weights_back: Any, sizes: Sizes, packing: Any, rows: Rows, n_steps: int, readout: int) -> None:
    """From dLoss/dh of the read rows to dLoss/d(argument of f) of all rows, in `slopes`. weights_back: W^T (H, hidden).

    dLoss/dh_{t-1} = dLoss/da_t W^T + what the read-out of step t-1 adds;  dLoss/da = dLoss/dh * f'
    """
    h = sizes.hidden
    for t in range(n_steps - 1, -1, -1):
        later, first = packing.active[t + 1], packing.first[t]
        if later > 0:
            after = ahead(rows.slopes, packing.first[t + 1] * h)
            product(rows.carried, h, after, h, 1, weights_back, h, later, h, sizes.n_hidden, False)
        for i in range(packing.active[t]):
            slope, carried = ahead(rows.slopes, (first + i) * h), ahead(rows.carried, i * h)
            back = ahead(rows.back, (first + i if readout == EVERY_STEP else i) * h)
            if i >= later:
                _multiply(slope, back, h)
            elif readout == LAST:
                _multiply(slope, carried, h)
            else:
                _multiply_sum(slope, carried, back, h)


@kernel
def _multiply(a: Any, b: Any, n: int) -> None:
    """a *= b"""
    for j in range(0, n, lanes(a)):
        store(ahead(a, j), load(ahead(a, j)) * load(ahead(b, j)))


@kernel
def _multiply_sum(a: Any, b: Any, c: Any, n: int) -> None:
    """a *= b + c"""
    for j in range(0, n, lanes(a)):
        store(ahead(a, j), load(ahead(a, j)) * (load(ahead(b, j)) + load(ahead(c, j))))


@kernel
def gradient_of_shard(gradient: Any, sizes: Sizes, packing: Any, rows: Rows, n_steps: int, shard: int, n_shards: int,
                      readout: int) -> None:  # fmt: skip
    """Overwrite gradient (size) with that of one shard of the pass, summed over its rows step after step."""
    h, o, pitch, read_pitch = sizes.hidden, sizes.out, sizes.front + sizes.hidden, sizes.front_read + sizes.hidden
    list_, n = packing.listed, list_rows(shard, n_shards, n_steps, packing)
    n_first = 0 if n == 0 else -(-(packing.active[0] - shard) // n_shards)
    inputs, errors = rows.inputs, rows.slopes
    x_at = sizes.front - sizes.n_in - 1
    for i in range(sizes.size if n == n_first else 0):
        gradient[i] = 0
    if n == 0:
        return
    # [x | 1]^T D of all steps, then h^T D of all but the first, before which h is zero.
    listed_product(ahead(gradient, sizes.input_at), h, ahead(inputs, x_at), 1, pitch, errors, h, sizes.n_in + 1, h,
                   list_, n, False)  # fmt: skip
    if n > n_first:
        listed_product(ahead(gradient, sizes.recurrent_at), h, ahead(inputs, sizes.front), 1, pitch, errors, h,
                       sizes.n_hidden, h, ahead(list_, n_first), n - n_first, False)  # fmt: skip
    n_read = n if readout == EVERY_STEP else n_first
    listed_product(ahead(gradient, sizes.output_at), o, ahead(rows.read, read_pitch - h - 1), 1, read_pitch,
                   rows.errors, o, 1 + sizes.n_hidden, o, list_, n_read, False)  # fmt: skip
