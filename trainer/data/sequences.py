"""Packed sequences of feature vectors with their labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.arrays import Doubles, Floats, Ints
from trainer.config import Head, HeadKind
from trainer.data.labels import check_outputs
from trainer.data.lexicon import gathered
from trainer.errors import UserMistake


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequences:
    """Sequence s is the rows offsets[s] … offsets[s+1]-1 of values, and labels[s] belongs to it.

    With a label for every step, labels has as many rows as values.
    """

    values: Floats  # (n_rows, n_in)
    offsets: Ints  # (n_sequences + 1)
    labels: Floats  # (n_sequences or n_rows, n_out), or class numbers (n_sequences or n_rows)
    name: str  # the file, for messages
    digest: bytes | None = None  # of these arrays, when it is known already

    @property
    def n_sequences(self) -> int:
        return len(self.offsets) - 1

    @property
    def longest(self) -> int:
        return int(np.diff(self.offsets).max()) if self.n_sequences else 0

    @property
    def has_step_labels(self) -> bool:
        return len(self.labels) == len(self.values) != self.n_sequences

    def take(self, chosen: Ints) -> Sequences:
        """The chosen sequences, in the order given."""
        rows, offsets = gathered(self.offsets, np.asarray(chosen, dtype=np.int64))
        labels = self.labels[rows] if self.has_step_labels else self.labels[chosen]
        return Sequences(values=self.values[rows], offsets=offsets, labels=labels, name=self.name)

    def identity(self) -> list[NDArray[Any]]:
        """What to hash to tell this data from other: the digest where it is known, else the arrays."""
        if self.digest is not None:
            return [np.frombuffer(self.digest, dtype=np.uint8)]
        return [self.values, self.offsets, self.labels]


def targets_for(sequences: Sequences, heads: tuple[Head, ...]) -> Floats:
    """Labels as a matrix that the heads can learn: (n_sequences, n_out), or (n_rows, n_out) when steps have labels.

    Raises UserMistake naming row and column.
    """
    name, labels = sequences.name, sequences.labels
    if labels.ndim == 1:
        labels = _classes_as_rows(name, labels, heads)
    n_out = sum(head.size for head in heads)
    if labels.shape[1] != n_out:
        found = f"labels has {labels.shape[1]} columns"
        raise UserMistake(f"{name}: {found}; allowed: {n_out}, the sizes of the heads together")
    first = 0
    for head in heads:
        _check_head(name, head, first, labels[:, first : first + head.size])
        first += head.size
    return labels


def default_heads(sequences: Sequences) -> tuple[Head, ...]:
    """One softmax head when the labels are class numbers. Raises UserMistake when they are a matrix."""
    if sequences.labels.ndim == 2:
        found = f"labels of {sequences.labels.shape[1]} columns"
        raise UserMistake(f"head is missing; {sequences.name} has {found}: say what they are in [[head]]")
    return (Head(name="class", kind=HeadKind.SOFTMAX, size=max(2, int(sequences.labels.max()) + 1)),)


def _classes_as_rows(name: str, labels: Floats, heads: tuple[Head, ...]) -> Doubles | Floats:
    if len(heads) != 1:
        raise UserMistake(f"{name}: labels has one dimension; allowed with {len(heads)} heads: a matrix")
    if heads[0].kind is not HeadKind.SOFTMAX:
        return labels[:, None]
    size = heads[0].size
    bad = (labels < 0) | (labels >= size) | (labels != np.floor(labels))
    if bad.any():
        row = int(np.argmax(bad))
        raise UserMistake(f"{name}: labels: row {row}: found {labels[row]:g}; allowed: a class from 0 to {size - 1}")
    return np.eye(size)[labels.astype(np.int64)]


def _check_head(name: str, head: Head, first: int, labels: Floats) -> None:
    def place(row: int, output: int | None) -> str:
        columns = f"columns {first} to {first + head.size - 1}" if output is None else f"column {first + output}"
        return f"{name}: labels: row {row}, {columns}"

    check_outputs(head, labels, place)
