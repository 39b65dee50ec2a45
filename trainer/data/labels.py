"""From cells of a table to what the outputs of a head should say."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from trainer.arrays import Doubles, Ints
from trainer.config import Head, HeadKind, SequenceData
from trainer.data.files import shortened
from trainer.data.tables import Table
from trainer.errors import UserMistake

SUM_TOLERANCE = 0.01
_LARGEST = float(np.finfo(np.float32).max)

Place = Callable[[int, int | None], str]  # item and output (None: all of the head) to `FILE: row R, column C`


class Labels(Protocol):
    """The labels of one head in one file."""

    def append(self, row: int, cells: list[str]) -> None:
        """Read one row. Raises UserMistake."""

    def targets(self, head: Head, chosen: Ints) -> Doubles:
        """What the outputs should be: (n_chosen, head.size). Raises UserMistake naming row and column."""


def heads_of(data: SequenceData, heads: tuple[Head, ...]) -> tuple[Head, ...]:
    """The heads with their columns; none means: data.number_column, cut by data.thresholds."""
    if not heads:
        return _short_form(Head(name="class", kind=HeadKind.SOFTMAX, size=len(data.thresholds) + 1), data)
    return _short_form(heads[0], data) if len(heads) == 1 else heads


def _short_form(head: Head, data: SequenceData) -> tuple[Head, ...]:
    if head.columns is not None:
        return (head,)
    cut = head.kind is HeadKind.SOFTMAX and head.classes is None and head.thresholds is None
    return (replace(head, columns=(data.number_column,), thresholds=data.thresholds if cut else head.thresholds),)


def labels_of(table: Table, head: Head, rows: array[int]) -> Labels:
    """What reads the labels of a head. `rows` are the numbers of the rows read so far, for messages."""
    columns = table.columns(head.columns or (), f"head {head.name}")
    if head.kind is HeadKind.SOFTMAX and len(columns) == 1 and head.size > 1:
        return Cuts(table, columns[0], rows) if head.thresholds is not None else Names(table, columns[0], rows)
    if len(columns) != head.size or head.thresholds is not None:
        found = f"{', '.join(head.columns or ())}: found {len(columns)} columns"
        allowed = "1, that thresholds cut" if head.thresholds is not None else f"{head.size}, its size"
        raise UserMistake(f"{table.path}: row 1: {found} (head {head.name}); allowed: {allowed}")
    return Numbers(table, columns, rows)


class Names:
    """One column of class names."""

    def __init__(self, table: Table, column: int, rows: array[int]) -> None:
        self._path, self._at, self._column = table.path, column, table.header[column]
        self._rows, self._codes, self._numbers = rows, array("i"), dict[str, int]()

    def append(self, row: int, cells: list[str]) -> None:
        name = cells[self._at].strip()
        if not name:
            raise UserMistake(f"{self._path}: row {row}, column {self._column}: found nothing; allowed: a class name")
        self._codes.append(self._numbers.setdefault(name, len(self._numbers)))

    def classes(self, head: Head, chosen: Ints) -> tuple[str, ...]:
        """Those among the chosen, sorted, whole numbers by value. Raises UserMistake when they are not head.size."""
        names = list(self._numbers)
        found = [names[code] for code in np.unique(np.array(self._codes, dtype=np.int64)[chosen])]
        if len(found) != head.size:
            shown = shortened(_sorted(found))
            raise UserMistake(
                f"{self._path}: column {self._column}: found {len(found)} classes in the training part: {shown}; "
                f"allowed: {head.size}, the size of the head {head.name}"
            )
        return tuple(_sorted(found))

    def targets(self, head: Head, chosen: Ints) -> Doubles:
        declared = {name: index for index, name in enumerate(head.classes or ())}
        index = np.array([declared.get(name, -1) for name in self._numbers], dtype=np.int64)
        found = index[np.array(self._codes, dtype=np.int64)[chosen]]
        if (found < 0).any():
            item = int(chosen[np.argmax(found < 0)])
            place = f"{self._path}: row {self._rows[item]}, column {self._column}"
            name = list(self._numbers)[self._codes[item]]
            raise UserMistake(f"{place}: found {name!r}; allowed: one of {', '.join(head.classes or ())}")
        return np.eye(head.size)[found]


class Numbers:
    """One column for each output of the head."""

    def __init__(self, table: Table, columns: list[int], rows: array[int]) -> None:
        self._path, self._columns, self._rows = table.path, columns, rows
        self._names, self._numbers = [table.header[at] for at in columns], array("d")

    def append(self, row: int, cells: list[str]) -> None:
        numbers = [_number(cells[at]) for at in self._columns]
        if not all(map(math.isfinite, numbers)):
            k = next(k for k, number in enumerate(numbers) if not math.isfinite(number))
            found = f"row {row}, column {self._names[k]}: found {cells[self._columns[k]]!r}"
            raise UserMistake(f"{self._path}: {found}; allowed: a finite number")
        self._numbers.extend(numbers)

    def matrix(self, chosen: Ints) -> Doubles:
        """(n_chosen, n_columns)."""
        return np.array(self._numbers, dtype=np.float64).reshape(-1, len(self._columns))[chosen]

    def place(self, item: int, output: int | None) -> str:
        """Where the item with this index among all in the file stands."""
        columns = f"column {self._names[output]}" if output is not None else f"columns {shortened(self._names)}"
        return f"{self._path}: row {self._rows[item]}, {columns}"

    def targets(self, head: Head, chosen: Ints) -> Doubles:
        found = self.matrix(chosen)
        check_outputs(head, found, lambda item, output: self.place(int(chosen[item]), output))
        return found


class Cuts(Numbers):
    """One column of numbers, cut into classes."""

    def __init__(self, table: Table, column: int, rows: array[int]) -> None:
        super().__init__(table, [column], rows)

    def targets(self, head: Head, chosen: Ints) -> Doubles:
        """The class is how many thresholds the number reaches."""
        reached = np.searchsorted(np.array(head.thresholds), self.matrix(chosen)[:, 0], side="right")
        return np.eye(head.size)[reached]


def check_outputs(head: Head, targets: NDArray[np.floating], place: Place) -> None:
    """Raises UserMistake for the first target (n, head.size) that the head cannot learn."""
    if head.kind is HeadKind.LINEAR:
        return
    bad = (targets < 0) | (targets > 1)
    if bad.any():
        item, output = (int(index) for index in np.argwhere(bad)[0])
        found = f"found {targets[item, output]:g}; allowed: from 0 to 1"
        raise UserMistake(f"{place(item, output)} (head {head.name}): {found}")
    sums = targets.sum(axis=1)
    off = np.abs(sums - 1) > SUM_TOLERANCE
    if head.kind is HeadKind.SOFTMAX and off.any():
        item = int(np.argmax(off))
        raise UserMistake(f"{place(item, None)} (head {head.name}): the sum is {sums[item]:g}; allowed: 1")


def _number(cell: str) -> float:
    """nan for what is no number, or one that only float64 could hold."""
    try:
        number = float(cell)
    except ValueError:
        return math.nan
    return number if -_LARGEST <= number <= _LARGEST else math.nan


def _sorted(names: list[str]) -> list[str]:
    try:
        return sorted(names, key=lambda name: (int(name), name))
    except ValueError:
        return sorted(names)
