"""Tables (.csv, .tsv), read row by row. Row 1 is the header; rows are counted as a spreadsheet counts them."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from trainer.config import DataTable
from trainer.data.files import reading, shortened
from trainer.data.formats import Format, format_of
from trainer.errors import UserMistake

Row = tuple[int, list[str]]


@dataclass(frozen=True, slots=True)
class Table:
    """The header, and the rows below it that are not blank, each as wide as the header."""

    path: str
    header: list[str]
    rows: Iterator[Row]

    def column(self, name: str, asked_by: str) -> int:
        """Where a column stands. Raises UserMistake when it is missing or there are two of the name."""
        n = self.header.count(name)
        if n == 1:
            return self.header.index(name)
        if n > 1:
            raise UserMistake(f"{self.path}: row 1: found {n} columns {name} ({asked_by}); allowed: one")
        near = get_close_matches(name, self.header, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        found = f"{hint}Row 1 names the columns; found {shortened(self.header)}"
        raise UserMistake(f"{self.path}: row 1: there is no column {name} ({asked_by}); {found}")

    def columns(self, names: tuple[str, ...], asked_by: str) -> list[int]:
        """Where columns stand; a name `first:last` is all from first to last."""
        return [at for name in names for at in self._range(name, asked_by)]

    def _range(self, name: str, asked_by: str) -> list[int]:
        if ":" not in name or name in self.header:
            return [self.column(name, asked_by)]
        first, last = (self.column(end.strip(), asked_by) for end in name.split(":", 1))
        if first > last:
            raise UserMistake(f"{self.path}: row 1: {name} ({asked_by}) goes backwards; allowed: from left to right")
        return list(range(first, last + 1))


def open_table(path: str, data: DataTable) -> Table:
    """The table, of which only the header is read yet. Raises UserMistake, also while its rows are read."""
    rows = _rows(path, data)
    first = next(rows, None)
    if first is None or first[0] != 1:
        raise UserMistake(f"{path}: row 1 is empty; allowed: the names of the columns")
    header = [name.strip() for name in first[1]]
    return Table(path, header, _as_wide(path, rows, len(header)))


def _rows(path: str, data: DataTable) -> Iterator[Row]:
    is_csv = format_of(path) is Format.CSV
    quoted = is_csv if data.quoted is None else data.quoted
    number = 0
    with reading(path), open(path, encoding="utf-8-sig", newline="") as file:
        separator = data.separator or ("," if is_csv else "\t")
        quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
        try:
            for number, cells in enumerate(csv.reader(file, delimiter=separator, quoting=quoting, strict=True), 1):
                if any(cell and not cell.isspace() for cell in cells):
                    yield number, cells
        except csv.Error as problem:
            raise UserMistake(_not_parsed(path, number + 1, str(problem), quoted)) from None


def _not_parsed(path: str, row: int, problem: str, quoted: bool) -> str:
    hint = " (a quotation mark inside a cell is doubled; data.quoted = false: it is like any other)" if quoted else ""
    return f"{path}: row {row}: {problem}; allowed: cells as RFC 4180 has them{hint}"


def _as_wide(path: str, rows: Iterator[Row], width: int) -> Iterator[Row]:
    for number, cells in rows:
        if len(cells) != width:
            found = f"found {len(cells)} {'cell' if len(cells) == 1 else 'cells'}"
            raise UserMistake(f"{path}: row {number}: {found}; allowed: {width}, as in the header")
        yield number, cells
