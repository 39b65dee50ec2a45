"""A batch of sequences as rows in order of time, without padding: of each step only the sequences still running."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from trainer_peers.workloads import Array


class Packed(NamedTuple):
    """Row starts[t] + b is step t of sequence order[b]; the sequences are sorted, the longest first."""

    order: Array  # (B), indices of sequences
    rows: Array  # (N), where each row lies in the data
    counts: list[int]  # sequences that have a step t
    starts: list[int]  # first row of step t
    lasts: Array  # (B), the row of each sequence's last step

    @property
    def halves(self) -> list[int]:
        """(2 T): of each step, the sequences that have another one after it, and those that have not."""
        following = [*self.counts[1:], 0]
        return [n for count, on in zip(self.counts, following, strict=True) for n in (on, count - on)]

    @property
    def previous(self) -> Array:
        """(N - B): the row before each row from the second step on."""
        pairs = zip(self.starts[:-1], self.counts[1:], strict=True)
        parts = [np.arange(start, start + n) for start, n in pairs]
        return np.concatenate(parts) if parts else np.zeros(0, np.int64)


def pack(offsets: Array, batch: Array, drop: int = 0) -> Packed:
    """Rows of a batch; `drop` steps at the end of each sequence are left out."""
    lengths = offsets[batch + 1] - offsets[batch] - drop
    by_length = np.argsort(-lengths, kind="stable")
    order, lengths = batch[by_length], lengths[by_length]
    steps = np.arange(lengths[0])
    runs = steps[:, None] < lengths[None, :]
    counts = runs.sum(axis=1)
    rows = (offsets[order][None, :] + steps[:, None])[runs]
    starts = np.cumsum(counts) - counts
    lasts = starts[lengths - 1] + np.arange(len(batch))
    return Packed(order, rows, counts.tolist(), starts.tolist(), lasts)
