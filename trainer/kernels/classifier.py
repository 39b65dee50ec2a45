"""The sequence classifier: batches of packed sequences through recurrence and read-out, and back; updates.

A batch is computed in passes of a few shards, as many as fit into the cache; see trainer.kernels.packing. Neither
passes nor threads change a bit: a row of a product does not depend on the other rows, and the gradient of each shard
is a sum of its own, in the order of its rows. The shards are added up in the order of their numbers.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from trainer.jit import entry, kernel
from trainer.kernels.activations import Noise
from trainer.kernels.barrier import meet
from trainer.kernels.optimizers import step
from trainer.kernels.packing import Packing, choose_shards, lay_out, length_of, rank
from trainer.kernels.penalties import penalise
from trainer.kernels.readout import count_mistakes, read_out
from trainer.kernels.recurrence import EVERY_STEP, MEAN, Rows, Sizes, backward, forward, gradient_of_shard
from trainer.kernels.tiles.memory import ahead, begin
from trainer.kernels.tiles.products import lanes, product
from trainer.kernels.tiles.vectors import load, store


class Data(NamedTuple):
    """Packed sequences as the kernels want them."""

    values: Any  # (all rows, front), [0 … 0 | x | 1]
    offsets: Any  # (sequences+1), int64
    targets: Any  # (sequences, O), or (all rows, O) when every step has labels of its own
    labels_steps: bool  # whether it has


class Network(NamedTuple):
    """What is computed, in numbers."""

    activation: int
    readout: int
    loss: int
    heads: Any  # (n_heads, 3), int64: kind, first output, number of outputs
    n_heads: int
    l1: float
    l2: float


class Shared(NamedTuple):
    """Memory that all threads of a model use. Kernels below the entries get pointers for the arrays of all these."""

    gradients: Any  # (shards, size), one of each shard
    gradient: Any  # (size)
    losses: Any  # (batch), float64, by rank
    recurrent_back: Any  # (H, hidden), W^T
    output_back: Any  # (O, hidden), W_out^T
    barrier: Any
    n_shards: int


class Own(NamedTuple):
    """Memory of one thread."""

    packing: Packing
    rows: Rows
    scores: Any  # (batch, 1+n_heads), float64: loss and wrong decisions of every sequence of a pass
    batch: int
    n_rows: int
    counts: bool  # whether wrong decisions are wanted


class Part(NamedTuple):
    """Which of n threads this is, and how many shards it takes in one pass."""

    me: int
    n: int
    shards_a_pass: int


@kernel
def read_rows(data: Data, weights: Any, sizes: Sizes, network: Network, n_chosen: int, n_steps: int,
              own: Own) -> None:  # fmt: skip
    """Outputs, losses and errors of what is read out; if own.counts, wrong decisions too. Leaves them in own."""
    packing, rows, every = own.packing, own.rows, network.readout == EVERY_STEP
    pitch, n, n_scores = sizes.front_read + sizes.hidden, n_chosen, 1 + network.n_heads
    if every:
        n = packing.first[n_steps - 1] + packing.active[n_steps - 1]
    stacked = ahead(weights, sizes.output_at)  # [b_out; W_out]
    read = ahead(rows.read, pitch - sizes.hidden - 1)  # [1 | h]
    product(rows.outputs, sizes.out, read, pitch, 1, stacked, sizes.out, n, sizes.out, 1 + sizes.n_hidden, False)
    for i in range(n_chosen * n_scores):
        own.scores[i] = 0
    for t in range(n_steps if every else 1):
        for i in range(packing.active[t]):
            scores = ahead(own.scores, i * n_scores)
            _read_row(data, sizes, network, packing.chosen[i], t, packing.first[t] + i, scores, rows, own.counts)


@kernel
def _read_row(data: Data, sizes: Sizes, network: Network, sequence: int, t: int, row: int, scores: Any, rows: Rows,
              counts: bool) -> None:  # fmt: skip
    """One read-out. Of every step it counts for as much as a step is of its sequence."""
    share, o = 1.0 / length_of(sequence, data.offsets) if network.readout == EVERY_STEP else 1.0, sizes.n_out
    target = ahead(data.targets, (data.offsets[sequence] + t if data.labels_steps else sequence) * o)
    z, error = ahead(rows.outputs, row * sizes.out), ahead(rows.errors, row * sizes.out)
    loss = read_out(z, target, error, rows.powers, sizes.out, network.heads, network.n_heads, network.loss, o)
    scores[0] = scores[0] + share * loss
    if share != 1.0:
        for j in range(o):
            error[j] = share * error[j]
    if counts:
        count_mistakes(z, target, network.heads, network.n_heads, ahead(scores, 1), share)


@kernel
def carry_to_states(data: Data, sizes: Sizes, network: Network, n_chosen: int, n_steps: int, shared: Shared,
                    own: Own) -> None:  # fmt: skip
    """dLoss/dh of the read rows: their errors times W_out^T."""
    packing, rows, h, o = own.packing, own.rows, sizes.hidden, sizes.out
    n = n_chosen
    if network.readout == EVERY_STEP:
        n = packing.first[n_steps - 1] + packing.active[n_steps - 1]
    product(rows.back, h, rows.errors, o, 1, shared.output_back, h, n, h, sizes.n_out, False)
    if network.readout == MEAN:
        for i in range(n_chosen):
            share, back = 1.0 / length_of(packing.chosen[i], data.offsets), ahead(rows.back, i * h)
            for j in range(0, h, lanes(back)):
                store(ahead(back, j), load(ahead(back, j)) * share)


@kernel
def run_shards(data: Data, n: int, weights: Any, sizes: Sizes, network: Network, noise: Noise, shared: Shared, own: Own,
               first: int, last: int) -> None:  # fmt: skip
    """Losses and gradients of the shards first … last-1 of the n sequences that are ranked."""
    packing, rows, n_shards = own.packing, own.rows, shared.n_shards
    n_chosen = choose_shards(n, n_shards, first, last, packing)
    n_steps = lay_out(n_chosen, data.offsets, packing)
    if n_chosen > 0:
        forward(data.values, data.offsets, weights, sizes, packing, rows, n_steps, network.activation, noise,
                network.readout)  # fmt: skip
        read_rows(data, weights, sizes, network, n_chosen, n_steps, own)
        carry_to_states(data, sizes, network, n_chosen, n_steps, shared, own)
        backward(shared.recurrent_back, sizes, packing, rows, n_steps, network.readout)
    wide = last - first
    for i in range(n_chosen):
        shared.losses[(i // wide) * n_shards + first + i % wide] = own.scores[i * (1 + network.n_heads)]
    for shard in range(first, last):
        gradient = ahead(shared.gradients, shard * sizes.size)
        gradient_of_shard(gradient, sizes, packing, rows, n_steps, shard - first, wide, network.readout)


@kernel
def add_up(shared: Shared, size: int, first: int, last: int, adds: bool) -> None:
    """gradient (+)= the sum of those of the shards, in their order, from number `first` to `last`."""
    gradients, out = shared.gradients, shared.gradient
    for j in range(first, last, lanes(out)):
        total = load(ahead(gradients, j))
        for shard in range(1, shared.n_shards):
            total = total + load(ahead(gradients, shard * size + j))
        if adds:
            total = total + load(ahead(out, j))
        store(ahead(out, j), total)


@kernel
def average(weights: Any, sizes: Sizes, network: Network, shared: Shared, share: float, first: int, last: int) -> None:
    """gradient = share * gradient + that of the penalties on W_in, W and W_out, from number `first` to `last`."""
    out = shared.gradient
    for j in range(first, last, lanes(out)):
        store(ahead(out, j), load(ahead(out, j)) * share)
    if network.l1 == 0.0 and network.l2 == 0.0:
        return
    h, o, n_hidden = sizes.hidden, sizes.out, sizes.n_hidden
    for matrix, count in (
        (sizes.input_at, sizes.n_in * h),
        (sizes.recurrent_at, n_hidden * h),
        (sizes.output_at + o, n_hidden * o),
    ):
        begins, ends = max(first, matrix), min(last, matrix + count)
        penalise(shared.gradient, weights, begins, ends, network.l1, network.l2)


@kernel
def transpose(weights: Any, sizes: Sizes, shared: Shared, part: Part) -> None:
    """Fill this thread's part of W^T and W_out^T."""
    for i in range(part.me * sizes.n_hidden // part.n, (part.me + 1) * sizes.n_hidden // part.n):
        row, out_row = sizes.recurrent_at + i * sizes.hidden, sizes.output_at + (1 + i) * sizes.out
        for j in range(sizes.n_hidden):
            shared.recurrent_back[j * sizes.hidden + i] = weights[row + j]
        for j in range(sizes.n_out):
            shared.output_back[j * sizes.hidden + i] = weights[out_row + j]


@entry
def train(data: Data, order: Any, batch_size: int, weights: Any, memory: Any, sizes: Sizes, network: Network,
          noise: Noise, shared: Shared, own: Own, part: Part, rule: Any, sums: Any) -> int:  # fmt: skip
    """Make one update for every batch_size sequences of `order`, one after another; returns how many were made.

    Called by part.n threads at once. order: int64, indices of sequences. weights: (size); memory: (n_slots, size).
    sums: (4), float64: loss without penalties, and number of sequences, are added to sums[0], sums[1] and to sums[2],
    sums[3]. Ends at a loss that is not finite, before the update it would make; that loss is in the sums.
    With rule.kind < 0 there are no updates: the gradient of the mean over `order` is left in shared.gradient.
    """
    updates, there, w = rule.kind >= 0, begin(shared), begin(weights)
    n_batches = int(-(-order.shape[0] // batch_size))
    first, last = slice_of(sizes.size, part, w)
    transpose(w, sizes, there, part)
    meet(there.barrier, part.n)
    for done in range(n_batches):
        start = done * batch_size
        n = min(batch_size, order.shape[0] - start)
        run_batch(begin(data), ahead(begin(order), start), n, w, sizes, begin(network), noise, there, begin(own), part)
        meet(there.barrier, part.n)
        loss = sum_of_losses(there.losses, n)
        if part.me == 0:
            count_loss(sums, loss, float(n))
        if updates and not math.isfinite(loss):
            return done
        add_up(there, sizes.size, first, last, start > 0 and not updates)
        if updates:
            average(w, sizes, begin(network), there, 1.0 / n, first, last)
        meet(there.barrier, part.n)
        if updates:
            if part.me == 0:
                step(weights, shared.gradient, memory, rule, done)
            meet(there.barrier, part.n)
            transpose(w, sizes, there, part)
            meet(there.barrier, part.n)
    if not updates:
        average(w, sizes, begin(network), there, 1.0 / order.shape[0], first, last)
        meet(there.barrier, part.n)
    return n_batches


@kernel
def run_batch(data: Data, batch: Any, n: int, weights: Any, sizes: Sizes, network: Network, noise: Noise,
              shared: Shared, own: Own, part: Part) -> None:  # fmt: skip
    """This thread's shards of a batch of n sequences, a few at a time."""
    rank(batch, n, data.offsets, own.packing)
    shard, behind = part.me * shared.n_shards // part.n, (part.me + 1) * shared.n_shards // part.n
    while shard < behind:
        following = min(behind, shard + part.shards_a_pass)
        run_shards(data, n, weights, sizes, network, noise, shared, own, shard, following)
        shard = following


@kernel
def slice_of(size: int, part: Part, like: Any) -> Any:
    """The numbers of a flat buffer that are this thread's to add up, whole vectors."""
    vectors = size // lanes(like)
    return part.me * vectors // part.n * lanes(like), (part.me + 1) * vectors // part.n * lanes(like)


@kernel
def sum_of_losses(losses: Any, n: int) -> float:
    """The sum in the order of ranks."""
    total = 0.0
    for i in range(n):
        total += losses[i]
    return total


@kernel
def count_loss(sums: Any, loss: float, weight: float) -> None:
    """Add the loss of one update to the sums of the logging window and of the epoch: (loss, weight) twice.   # (4)"""
    sums[0] += loss
    sums[1] += weight
    sums[2] += loss
    sums[3] += weight


@entry
def evaluate(data: Data, first: int, last: int, weights: Any, sizes: Sizes, network: Network, own: Own, scores: Any,
             answers: Any) -> None:  # fmt: skip
    """Scores and answers of the sequences first … last-1, without noise.

    scores: (last-first, 1+n_heads), float64: loss, then wrong decisions of each head. answers: (last-first, O), or
    (0, O) when they are not wanted; of a read-out of every step they are the mean.
    """
    here, there, net, w, start = begin(own), begin(data), begin(network), begin(weights), first
    chosen, n_scores = here.packing.chosen, 1 + network.n_heads
    while start < last:
        n = fill(there.offsets, start, last, here)
        rank(chosen, n, there.offsets, here.packing)
        choose_shards(n, 1, 0, 1, here.packing)
        n_steps = lay_out(n, there.offsets, here.packing)
        forward(there.values, there.offsets, w, sizes, here.packing, here.rows, n_steps, net.activation,
                Noise(0.0, 0, 0), net.readout)  # fmt: skip
        read_rows(there, w, sizes, net, n, n_steps, here)
        for i in range(n):
            for j in range(n_scores):
                scores[chosen[i] - first, j] = here.scores[i * n_scores + j]
        if answers.shape[0] > 0:
            collect_answers(there.offsets, first, n_steps, sizes, net.readout, here, begin(answers))
        start += n


@kernel
def fill(offsets: Any, start: int, last: int, own: Own) -> int:
    """Choose the sequences from `start` on, as many as there is room for; returns how many."""
    n, n_rows = 0, 0
    while start + n < last and n < own.batch:
        n_rows += length_of(start + n, offsets)
        if n > 0 and n_rows > own.n_rows:
            break
        own.packing.chosen[n] = start + n
        n += 1
    return n


@kernel
def collect_answers(offsets: Any, first: int, n_steps: int, sizes: Sizes, readout: int, own: Own, answers: Any) -> None:
    """Add up what was read out for every sequence."""
    packing = own.packing
    for t in range(n_steps if readout == EVERY_STEP else 1):
        for i in range(packing.active[t]):
            share = 1.0 / length_of(packing.chosen[i], offsets) if readout == EVERY_STEP else 1.0
            out = ahead(answers, (packing.chosen[i] - first) * sizes.n_out)
            z = ahead(own.rows.outputs, (packing.first[t] + i) * sizes.out)
            for j in range(sizes.n_out):
                out[j] = out[j] + share * z[j]
