"""A table before anybody writes it: named columns of one kind each, rows on demand. None is a missing cell."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """What a column holds. The last three have several figures in one cell: see PARTS."""

    TEXT = "text"
    WHOLE = "whole"
    NUMBER = "number"
    FLAG = "flag"
    TIME = "time"
    SECONDS = "seconds"
    ANY = "any"
    MEASURED = "measured"
    MEAN = "mean"
    MEDIAN = "median"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A metric of one run. `best` is NaN, without a step, when it never was a number."""

    best: float | None
    best_step: int | None
    last: float
    last_step: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean:
    """Of `n` runs; the confidence interval is `mean` ± `half_width`, which one run alone has not."""

    mean: float
    half_width: float | None
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Median:
    """Of `n` runs, with the quartiles around it."""

    median: float
    q1: float
    q3: float
    n: int


PARTS: dict[Kind, tuple[tuple[str, str, Kind], ...]] = {
    Kind.MEASURED: (
        ("best", "best", Kind.NUMBER), ("best_step", "best_step", Kind.WHOLE),
        ("last", "last", Kind.NUMBER), ("last_step", "last_step", Kind.WHOLE),
    ),
    Kind.MEAN: (("mean", "mean", Kind.NUMBER), ("ci", "half_width", Kind.NUMBER), ("n", "n", Kind.WHOLE)),
    Kind.MEDIAN: (
        ("median", "median", Kind.NUMBER), ("q1", "q1", Kind.NUMBER),
        ("q3", "q3", Kind.NUMBER), ("n", "n", Kind.WHOLE),
    ),
}  # fmt: skip
"""How a cell with several figures is written where each column has one: prefix of the name, attribute, kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """`name` is unique in its table."""

    name: str
    kind: Kind = Kind.ANY


Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """`rows` may be called again and again. `marked`: (row, column) of the cells to be set in bold.

    `pivot`: the names of the columns are values.
    """

    name: str
    columns: tuple[Column, ...]
    rows: Callable[[], Iterable[Row]]
    size: int
    caption: str = ""
    marked: frozenset[tuple[int, int]] = frozenset()
    pivot: bool = False


def flattened(table: Table, kinds: Iterable[Kind] = tuple(PARTS)) -> Table:
    """The same table with one column for each figure of these kinds."""
    wanted = frozenset(kinds)
    if not any(column.kind in wanted for column in table.columns):
        return table
    columns = tuple(one for column in table.columns for one in _columns(column, wanted))
    marked = frozenset((row, _position(table.columns, column, wanted)) for row, column in table.marked)
    return replace(table, columns=columns, rows=lambda: _rows(table, wanted), marked=marked)


def flat_row(columns: Sequence[Column], row: Row, kinds: Iterable[Kind] = tuple(PARTS)) -> Row:
    """One of its rows."""
    cells: list[Any] = []
    for column, value in zip(columns, row, strict=True):
        if column.kind in kinds:
            cells += [_missing(name) if value is None else getattr(value, name) for _, name, _ in PARTS[column.kind]]
        else:
            cells.append(value)
    return tuple(cells)


def _missing(part: str) -> int | None:
    """Of nothing there are none."""
    return 0 if part == "n" else None


def unique_names(names: Sequence[str]) -> list[str]:
    """The same names; one that comes again gets a number."""
    seen: dict[str, int] = {}
    found = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        found.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return found


def _columns(column: Column, wanted: frozenset[Kind]) -> list[Column]:
    if column.kind not in wanted:
        return [column]
    return [Column(name=f"{prefix}.{column.name}", kind=kind) for prefix, _, kind in PARTS[column.kind]]


def _position(columns: Sequence[Column], position: int, wanted: frozenset[Kind]) -> int:
    return sum(len(_columns(column, wanted)) for column in columns[:position])


def _rows(table: Table, wanted: frozenset[Kind]) -> Iterator[Row]:
    for row in table.rows():
        yield flat_row(table.columns, row, wanted)
