"""Memory of the sequence classifier, allocated once: kernels allocate nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trainer.arrays import Floats, Ints
from trainer.data.sequences import Sequences
from trainer.kernels.barrier import SIZE as BARRIER_SIZE
from trainer.kernels.classifier import Data, Own, Shared
from trainer.kernels.packing import Packing
from trainer.kernels.recurrence import Rows, Sizes
from trainer.kernels.tiles.products import SHAPE
from trainer.layout import Layout, Part

# More shards let more threads work; each costs the time to add up its gradient, so it must have enough to sum.
_MOST_SHARDS, _SEQUENCES_A_SHARD = 8, 12
# What the rows of one pass may fill of a core's second-level cache.
_PASS_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """How much one thread must be able to hold."""

    batch: int
    rows: int
    longest: int
    n_heads: int
    reads_every_step: bool


def whole_vectors(n: int, dtype: str) -> int:
    """n numbers, rounded up to whole vectors of this machine."""
    step = SHAPE.vector_bytes // np.dtype(dtype).itemsize
    return -(-n // step) * step


def layout(n_in: int, n_hidden: int, n_out: int, dtype: str) -> Layout:
    """[W_in; b; W] is one matrix to the kernels, and [b_out; W_out] another."""
    hidden, out = whole_vectors(n_hidden, dtype), whole_vectors(n_out, dtype)
    parts = (
        Part(name="W_in", rows=n_in, columns=n_hidden, width=hidden),
        Part(name="b", rows=1, columns=n_hidden, width=hidden, joined=True),
        Part(name="W", rows=n_hidden, columns=n_hidden, width=hidden, joined=True),
        Part(name="b_out", rows=1, columns=n_out, width=out),
        Part(name="W_out", rows=n_hidden, columns=n_out, width=out, joined=True),
    )
    return Layout(parts, dtype)


def sizes(layout: Layout) -> Sizes:
    """The sizes of a network, from the layout of its weights."""
    parts, dtype, at = {part.name: part for part in layout.parts}, str(layout.dtype), layout.offsets
    n_in = parts["W_in"].rows
    return Sizes(
        n_in=n_in, n_hidden=parts["W"].rows, n_out=parts["W_out"].columns, front=whole_vectors(n_in + 1, dtype),
        hidden=parts["W"].width, out=parts["W_out"].width, input_at=at["W_in"], recurrent_at=at["W"],
        output_at=at["b_out"], size=layout.size, front_read=whole_vectors(1, dtype),
    )  # fmt: skip


def n_shards(batch_size: int) -> int:
    """Into how many parts a batch is cut, a power of two: of the batch size alone, so that the result is, too."""
    most = min(_MOST_SHARDS, max(1, batch_size // _SEQUENCES_A_SHARD))
    return 1 << (most.bit_length() - 1)


def shards_a_pass(sizes: Sizes, offsets: Ints, batch_size: int, dtype: str) -> int:
    """As many as keep the rows of a pass in the cache, by the mean length of the sequences. No result depends on it."""
    shards = n_shards(batch_size)
    n_rows = batch_size / shards * float(np.diff(offsets).mean()) if len(offsets) > 1 else 1.0
    row_bytes = (sizes.front + 2 * sizes.hidden) * np.dtype(dtype).itemsize
    return max(1, min(shards, int(_PASS_BYTES / (n_rows * row_bytes))))


def longest(offsets: Ints) -> int:
    """Steps of the longest sequence; 1 if there is none."""
    return int(np.diff(offsets).max()) if len(offsets) > 1 else 1


def most_rows(train: Ints, batch_size: int, valid: Ints) -> int:
    """Rows of the longest batch there can be, and at least of the longest sequence of validation."""
    lengths = np.sort(np.diff(train))[::-1]
    return max(int(lengths[:batch_size].sum()), longest(valid))


def data(sequences: Sequences, targets: Floats, sizes: Sizes, dtype: str) -> Data:
    """Sequences with their targets, as kernels want them."""
    return padded(sequences.values, sequences.offsets, targets.astype(dtype), sizes, dtype)


def padded(values: Floats, offsets: Ints, targets: Floats, sizes: Sizes, dtype: str) -> Data:
    """Every row becomes [0 … 0 | x | 1]."""
    rows = zeros((len(values), sizes.front), dtype)
    rows[:, -1] = 1
    rows[:, -1 - sizes.n_in : -1] = values
    labels_steps = len(targets) != len(offsets) - 1
    return Data(rows, np.array(offsets, np.int64), np.array(targets), labels_steps)


def zeros(shape: tuple[int, ...], dtype: str) -> Floats:
    """An array that begins at a cache line."""
    n = int(np.prod(shape))
    row = Layout((Part(name="row", rows=1, columns=n, width=max(1, n)),), dtype)
    return row.zeros()[:n].reshape(shape)


def shared(layout: Layout, sizes: Sizes, n_shards: int, room: Room) -> Shared:
    """What all threads of one model use."""
    dtype = str(layout.dtype)
    return Shared(
        gradients=layout.zeros(n_shards),
        gradient=layout.zeros(),
        losses=np.zeros(room.batch),
        recurrent_back=zeros((sizes.n_hidden, sizes.hidden), dtype),
        output_back=zeros((sizes.n_out, sizes.hidden), dtype),
        barrier=np.zeros(BARRIER_SIZE, np.int64),
        n_shards=n_shards,
    )


def own(sizes: Sizes, room: Room, dtype: str) -> Own:
    """What one thread uses."""
    read = max(room.rows, room.batch) if room.reads_every_step else room.batch
    rows = Rows(
        inputs=zeros((room.rows, sizes.front + sizes.hidden), dtype),
        slopes=zeros((room.rows, sizes.hidden), dtype),
        carried=zeros((room.batch, sizes.hidden), dtype),
        noise=zeros((sizes.hidden,), dtype),
        read=zeros((read, sizes.front_read + sizes.hidden), dtype),
        outputs=zeros((read, sizes.out), dtype),
        errors=zeros((read, sizes.out), dtype),
        back=zeros((read, sizes.hidden), dtype),
        powers=zeros((sizes.out,), dtype),
    )
    rows.read[:, sizes.front_read - 1] = 1
    packing = Packing(
        ranked=np.zeros(room.batch, np.int64),
        count=np.zeros(room.longest + 1, np.int64),
        chosen=np.zeros(room.batch, np.int64),
        active=np.zeros(room.longest + 1, np.int64),
        first=np.zeros(room.longest + 1, np.int64),
        listed=np.zeros(room.rows, np.int64),
        longest=room.longest,
    )
    return Own(packing, rows, np.zeros((room.batch, 1 + room.n_heads)), room.batch, room.rows, False)
