"""Packed sequences of feature vectors with their labels, and what a file of them must look like."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.arrays import Doubles, Ints
from trainer.config import Head, HeadKind
from trainer.data.files import unreadable
from trainer.errors import UserMistake

_SUM_TOLERANCE = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequences:
    """Sequence s is the rows offsets[s] … offsets[s+1]-1 of values, and labels[s] belongs to it."""

    values: Doubles  # (n_rows, n_in)
    offsets: Ints  # (n_sequences + 1)
    labels: Doubles  # (n_sequences, n_out), or (n_sequences) class numbers
    name: str  # the file, for messages

    @property
    def n_sequences(self) -> int:
        return len(self.offsets) - 1

    @property
    def longest(self) -> int:
        return int(np.diff(self.offsets).max()) if self.n_sequences else 0

    def take(self, chosen: Ints) -> Sequences:
        """The chosen sequences, in the order given."""
        parts = [np.arange(self.offsets[s], self.offsets[s + 1]) for s in chosen]
        rows = np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)
        ends = np.cumsum([len(part) for part in parts], dtype=np.int64)
        offsets = np.concatenate([np.zeros(1, dtype=np.int64), ends])
        return Sequences(values=self.values[rows], offsets=offsets, labels=self.labels[chosen], name=self.name)


def load_npz(path: str) -> Sequences:
    """A .npz file with values (rows, n_in), offsets (sequences+1) and labels. Raises UserMistake."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: _numeric(path, name, archive) for name in ("values", "offsets", "labels")}
    except OSError as problem:
        raise unreadable(path, problem) from None
    except (ValueError, zipfile.BadZipFile, EOFError):
        raise UserMistake(f"{path}: this is not a .npz file of plain arrays") from None
    return checked(path, arrays["values"], arrays["offsets"], arrays["labels"])


def _numeric(path: str, name: str, archive: Any) -> NDArray[Any]:
    if name not in archive.files:
        raise UserMistake(f"{path}: the array {name} is missing; found {', '.join(archive.files) or 'nothing'}")
    array: NDArray[Any] = archive[name]
    if array.dtype.kind not in "biuf":
        raise UserMistake(f"{path}: {name} is of type {array.dtype}; allowed: numbers")
    return array


def checked(path: str, values: NDArray[Any], offsets: NDArray[Any], labels: NDArray[Any]) -> Sequences:
    """Sequences of which every row has been looked at. Raises UserMistake naming the first bad row and column."""
    if values.ndim != 2 or values.shape[1] == 0:
        raise UserMistake(f"{path}: values has shape {values.shape}; allowed: (rows, features)")
    _check_offsets(path, offsets, len(values))
    if labels.ndim not in (1, 2) or len(labels) != len(offsets) - 1:
        n = len(offsets) - 1
        raise UserMistake(f"{path}: labels has shape {labels.shape}; allowed: one row for each of {n} sequences")
    _check_finite(path, "values", values)
    _check_finite(path, "labels", labels)
    return Sequences(
        values=values.astype(np.float64), offsets=offsets.astype(np.int64), labels=labels.astype(np.float64), name=path
    )


def _check_offsets(path: str, offsets: NDArray[Any], n_rows: int) -> None:
    if offsets.ndim != 1 or len(offsets) < 2 or offsets.dtype.kind not in "iu":
        found = f"shape {offsets.shape} and type {offsets.dtype}"
        raise UserMistake(f"{path}: offsets has {found}; allowed: at least two integers in one dimension")
    if offsets[0] != 0 or offsets[-1] != n_rows:
        found = f"from {offsets[0]} to {offsets[-1]}"
        raise UserMistake(f"{path}: offsets go {found}; allowed: from 0 to {n_rows}, the rows of values")
    lengths = np.diff(offsets.astype(np.int64))
    if (lengths < 1).any():
        row = int(np.argmax(lengths < 1))
        found = "empty" if lengths[row] == 0 else "of negative length"
        raise UserMistake(f"{path}: offsets: sequence {row} is {found}; allowed: at least one row")


def _check_finite(path: str, name: str, array: NDArray[Any]) -> None:
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        raise UserMistake(f"{path}: {name}: {_place(bad[0])}: found {array[tuple(bad[0])]}; allowed: a finite number")


def _place(index: NDArray[Any]) -> str:
    return f"row {index[0]}" + (f", column {index[1]}" if len(index) > 1 else "")


def targets_for(sequences: Sequences, heads: tuple[Head, ...]) -> Doubles:
    """Labels as a matrix (n_sequences, n_out) that the heads can learn. Raises UserMistake naming row and column."""
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


def _classes_as_rows(name: str, labels: Doubles, heads: tuple[Head, ...]) -> Doubles:
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


def _check_head(name: str, head: Head, first: int, labels: Doubles) -> None:
    if head.kind is HeadKind.LINEAR:
        return
    bad = np.argwhere((labels < 0) | (labels > 1))
    if len(bad):
        row, column = bad[0]
        found = f"found {labels[row, column]:g}; allowed: from 0 to 1"
        raise UserMistake(f"{name}: labels: row {row}, column {first + column} (head {head.name}): {found}")
    off = np.abs(labels.sum(axis=1) - 1) > _SUM_TOLERANCE
    if head.kind is HeadKind.SOFTMAX and off.any():
        row = int(np.argmax(off))
        place = f"row {row}, columns {first} to {first + head.size - 1} (head {head.name})"
        raise UserMistake(f"{name}: labels: {place}: the sum is {labels[row].sum():g}; allowed: 1")
