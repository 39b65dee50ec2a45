"""Rows of CSV and JSON lines, one at a time, each with its place in the file."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from queueing.space.names import flat
from queueing.tables.cells import Trouble, cell_name, from_text
from queueing.tables.csv_file import csv_rows
from queueing.tables.unreadable import UnreadableTable
from store.errors import UserError

_LONGEST_LINE = 16 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRow:
    """`number` counts from 1, the header of a CSV file included; `values` by column, None where nothing stands."""

    number: int
    values: dict[str, Any]


class CsvFile:
    """A table with a header. Cells are numbers, true or false, or texts; an empty one is missing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._header: list[str] = []

    def rows(self) -> Iterator[FileRow]:
        """Raises UserError with file, row and column."""
        try:
            rows = csv_rows(self.path)
            self._read_header(rows)
            for number, cells in enumerate(rows, 2):
                if any(cell.strip() for cell in cells):
                    yield FileRow(number=number, values=self._values(number, cells))
        except UnreadableTable as error:
            raise UserError(f"{self.path}: {error}") from error

    def columns(self) -> list[str]:
        """As the header names them."""
        try:
            self._read_header(csv_rows(self.path))
        except UnreadableTable as error:
            raise UserError(f"{self.path}: {error}") from error
        return [name for name in self._header if name]

    def place(self, number: int, column: str) -> str:
        """`old.csv: C7`"""
        return f"{self.path}: {cell_name('', self._header.index(column) + 1, number)}"

    def _values(self, number: int, cells: list[str]) -> dict[str, Any]:
        if len(cells) > len(self._header) and any(cell.strip() for cell in cells[len(self._header) :]):
            raise UserError(f"{self.path}: row {number}: has {len(cells)} cells, the header names {len(self._header)}")
        found = {name: from_text(cell) for name, cell in zip(self._header, cells, strict=False) if name}
        for name, value in found.items():
            if isinstance(value, Trouble):
                raise UserError(f"{self.place(number, name)}: {value.said}")
        return found

    def _read_header(self, rows: Iterator[list[str]]) -> None:
        self._header = [name.strip() for name in next(rows, [])]
        if not any(self._header):
            raise UserError(f"{self.path}: has no header: the first row must name the columns")
        for position, name in enumerate(self._header):
            if name and name in self._header[:position]:
                raise UserError(f"{self.path}: {cell_name('', position + 1, 1)}: a second column is called {name!r}")


class JsonLines:
    """An object a line; tables within it become columns with dotted names."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def rows(self) -> Iterator[FileRow]:
        """Raises UserError with file, line and column."""
        try:
            with open(self.path, "rb") as file:
                number = 0
                while line := file.readline(_LONGEST_LINE + 1):
                    number += 1
                    if len(line) > _LONGEST_LINE:
                        raise UserError(f"{self.path}: line {number}: is longer than {_LONGEST_LINE} bytes")
                    if line.strip():
                        yield FileRow(number=number, values=self._values(number, line))
        except OSError as error:
            raise UserError(f"{self.path}: cannot be read: {error.strerror or error}") from error

    def columns(self) -> list[str]:
        """Lines need not all have the same, so all of them are read."""
        names: dict[str, None] = {}
        for row in self.rows():
            names |= dict.fromkeys(row.values)
        return list(names)

    def place(self, number: int, column: str) -> str:
        """`old.jsonl: line 7, val_loss`"""
        return f"{self.path}: line {number}, {column}"

    def _values(self, number: int, line: bytes) -> dict[str, Any]:
        where = f"{self.path}: line {number}"
        try:
            found = json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8"))
        except UnicodeDecodeError as error:
            raise UserError(
                f"{where}: byte 0x{line[error.start]:02x} at {error.start + 1} is not UTF-8 text"
            ) from error
        except json.JSONDecodeError as error:
            raise UserError(f"{where}, column {error.colno}: is not JSON: {error.msg}") from error
        except (RecursionError, ValueError) as error:
            raise UserError(f"{where}: is not JSON: {error}") from error
        if not isinstance(found, dict):
            raise UserError(f'{where}: is {type(found).__name__}; expected an object such as {{"run": 1, "loss": 0.5}}')
        return flat(found)


TableFile = CsvFile | JsonLines
