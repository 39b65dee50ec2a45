"""The sequences of a batch, sorted by length and laid out step after step.

At every step the sequences that are still going are the first few, so a step is one product without padding:

    step 0: sequences 0 1 2 3 4 | step 1: 0 1 2 3 | step 2: 0 1 | …        (0 is the longest)

A batch is also cut into shards, whose gradients are summed apart. The sequence of rank r by length is in shard
r mod n_shards, so shards are alike in length, and which thread computes a shard changes nothing.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from trainer.jit import kernel


class Packing(NamedTuple):
    """Room for the places of the sequences of one pass; all int64. Kernels get it with pointers for the arrays."""

    ranked: Any  # (batch), sequences of the batch by falling length
    count: Any  # (longest+1), of sequences by length
    chosen: Any  # (batch), those of this pass by falling length
    active: Any  # (longest+1), how many are longer than t steps
    first: Any  # (longest+1), row of the first of them at step t
    listed: Any  # (rows), rows of one shard
    longest: int  # steps of the longest sequence


@kernel
def length_of(sequence: int, offsets: Any) -> int:
    """Steps of a sequence."""
    return int(offsets[sequence + 1] - offsets[sequence])


@kernel
def rank(batch: Any, n: int, offsets: Any, packing: Packing) -> None:
    """Sort a batch of n sequences by falling length; of equal lengths the first stays first."""
    count = packing.count
    for length in range(packing.longest + 1):
        count[length] = 0
    for i in range(n):
        length = length_of(batch[i], offsets)
        count[length] = count[length] + 1
    place = 0
    for length in range(packing.longest, -1, -1):
        shorter = place + count[length]
        count[length] = place
        place = shorter
    for i in range(n):
        length = length_of(batch[i], offsets)
        packing.ranked[count[length]] = batch[i]
        count[length] = count[length] + 1


@kernel
def choose_shards(n: int, n_shards: int, begin: int, end: int, packing: Packing) -> int:
    """Choose, of the n ranked, the sequences of the shards begin … end-1; returns how many."""
    n_chosen = 0
    for r in range(n):
        if begin <= r % n_shards < end:
            packing.chosen[n_chosen] = packing.ranked[r]
            n_chosen += 1
    return n_chosen


@kernel
def lay_out(n_chosen: int, offsets: Any, packing: Packing) -> int:
    """Fill active and first for the chosen sequences; returns the number of steps. active[steps] is 0."""
    going, row, t = n_chosen, 0, 0
    while True:
        while going > 0 and length_of(packing.chosen[going - 1], offsets) <= t:
            going -= 1
        packing.active[t], packing.first[t] = going, row
        if going == 0:
            return t
        row += going
        t += 1


@kernel
def list_rows(shard: int, n_shards: int, n_steps: int, packing: Packing) -> int:
    """List the rows of one of the n_shards shards of a pass, step after step; returns how many."""
    n = 0
    for t in range(n_steps):
        for i in range(shard, packing.active[t], n_shards):
            packing.listed[n] = packing.first[t] + i
            n += 1
    return n
