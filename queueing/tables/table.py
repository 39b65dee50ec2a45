"""A table as the points of a sweep: read and checked once, then kept in a temporary file, a row at a time."""

import json
import tempfile
import weakref
from array import array
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from queueing.sweep.block import MOST_RUNS, Point, Points
from queueing.sweep.numbers import Seen
from queueing.tables.cells import Kind, Trouble, cell_name, from_text
from queueing.tables.columns import SPECIAL, WORDS, Census, Column, enabled, priority, read_header, tags
from queueing.tables.csv_file import csv_rows
from queueing.tables.unreadable import UnreadableTable
from queueing.tables.workbook import sheet_name, sheet_rows

SUFFIXES = (".csv", ".tsv", ".xlsx")
_IN_MEMORY = 4 << 20
_MOST_TOLD = 100
_ELSEWHERE = {
    ".xls": "save it as .xlsx or .csv", ".ods": "save it as .xlsx or .csv", ".xlsm": "save it as .xlsx",
    ".parquet": "save it as .csv",
}  # fmt: skip


class Table:
    """The rows that are enabled. Raises UnreadableTable with all that is wrong, a line each."""

    def __init__(self, path: Path, sheet: str | None, types: Mapping[str, Kind], reserved: Sequence[str] = ()) -> None:
        self._path, self._types = path, types
        self._is_csv = _check_file(path, sheet)
        self.sheet = "" if self._is_csv else sheet_name(path, sheet)
        self._file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY, mode="w+b")  # noqa: SIM115 - as long as we live
        weakref.finalize(self, self._file.close)
        self._offsets, self._rows = array("Q"), array("L")
        self._wrong: list[tuple[int, int, str]] = []  # row, column, what
        self._columns: list[Column] = []
        self._kinds: dict[str, Kind] = {}
        self._read(reserved)
        self._tell()

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters."""
        return tuple(column.name for column in self._columns if column.name not in SPECIAL)

    def points(self) -> Points:
        """A point for each enabled row; an empty cell leaves its parameter to [params]."""
        return Points(numbers=range(len(self._offsets)), point=self._point)

    # ── reading ──
    def _read(self, reserved: Sequence[str]) -> None:
        rows = self._raw_rows()
        header = next(rows, [])
        self._columns, wrong = read_header(header, reserved)
        for position, said in wrong:
            self._complain(position, 1, said)
        self._unknown_types()
        self._tell()
        censuses = {column.name: Census() for column in self._columns}
        for number, row in enumerate(rows, 2):
            self._take(number, row, len(header), censuses)
        for column in self._columns:
            if column.name not in SPECIAL:
                self._decide(column, censuses[column.name])
        if not self._wrong:
            self._find_twins()

    def _raw_rows(self) -> Iterator[list[Any]]:
        return csv_rows(self._path) if self._is_csv else sheet_rows(self._path, self.sheet)

    def _take(self, number: int, row: list[Any], width: int, censuses: Mapping[str, Census]) -> None:
        if len(self._wrong) >= _MOST_TOLD:
            return
        typed = [self._typed(cell) for cell in row]
        if all(value is None for value in typed):
            return
        for position in range(width, len(typed)):
            if typed[position] is not None:
                self._complain(position, number, f"{_shown(typed[position])} has no name above it in the first row")
        values = {one.name: typed[one.position] if one.position < len(typed) else None for one in self._columns}
        if not self._is_enabled(values):
            return
        for column in self._columns:
            self._examine(column, values[column.name], number, censuses[column.name])
        self._keep(number, [row[one.position] if one.position < len(row) else None for one in self._columns])

    def _typed(self, cell: Any) -> Any:
        return from_text(cell) if isinstance(cell, str) and self._is_csv else cell

    def _is_enabled(self, values: Mapping[str, Any]) -> bool:
        try:
            return enabled(values.get("enabled"))
        except ValueError:
            return True  # complained about with the other cells of the row

    def _examine(self, column: Column, value: Any, number: int, census: Census) -> None:
        if isinstance(value, Trouble):
            self._complain(column.position, number, value.said)
        elif column.name in SPECIAL:
            try:
                _SPECIAL_VALUES[column.name](value)
            except ValueError as error:
                self._complain(column.position, number, str(error))
        elif value is not None:
            if isinstance(value, str) and "\0" in value:
                self._complain(column.position, number, "holds a NUL character")
            census.add(value, number)

    def _keep(self, number: int, cells: list[Any]) -> None:
        if self._wrong:
            return
        if len(self._offsets) == MOST_RUNS:
            raise UnreadableTable(f"has more than {MOST_RUNS} rows; split it")
        self._offsets.append(self._file.tell())
        self._rows.append(number)
        self._file.write(json.dumps(cells, separators=(",", ":")).encode() + b"\n")

    def _decide(self, column: Column, census: Census) -> None:
        name, kind = column.name, self._types.get(column.name) or census.kind()
        self._kinds[name] = kind
        with_comma = [] if name in self._types else census.with_comma()
        for row, value in with_comma:
            said = f"{_shown(value)} has a decimal comma; write a point, or types = {{ {name} = 'text' }}"
            self._complain(column.position, row, said)
        hint = f', as the rest of column {name}; if both are meant: types = {{ {name} = "any" }}'
        for row, value in census.strangers(kind):
            if (row, value) not in with_comma:
                said = f"{_shown(value)} is not {WORDS[kind]}"
                self._complain(column.position, row, said + ("" if name in self._types else hint))

    def _unknown_types(self) -> None:
        for name in self._types:
            if name not in self.names:
                there = ", ".join(self.names)
                self._wrong.append((0, 0, f"types.{name}: no column is named {name!r}; there are: {there}"))

    def _find_twins(self) -> None:
        seen = Seen()
        for number, row in enumerate(self._rows):
            if not seen.add(self._point(number).values):
                self._complain(None, row, "has the same parameters as a row above")
        if not self._offsets:
            self._wrong.append((0, 0, "has no row with values that is enabled"))

    # ── complaints ──
    def _complain(self, position: int | None, row: int, said: str) -> None:
        place = f"row {row}" if position is None else cell_name(self.sheet, position + 1, row)
        self._wrong.append((row, position or 0, f"{place}: {said}"))

    def _tell(self) -> None:
        if self._wrong:
            raise UnreadableTable("\n".join(said for _, _, said in sorted(self._wrong)))

    # ── points ──
    def _point(self, number: int) -> Point:
        self._file.seek(self._offsets[number])
        cells = json.loads(self._file.readline())
        values: dict[str, Any] = {}
        said: dict[str, Any] = {}
        for column, cell in zip(self._columns, cells, strict=True):
            if column.name in SPECIAL:
                said[column.name] = self._typed(cell)
            elif (value := self._value(cell, self._kinds[column.name])) is not None:
                values[column.name] = value
        return Point(values=values, priority=priority(said.get("priority")), tags=tags(said.get("tags")))

    def _value(self, cell: Any, kind: Kind) -> Any:
        value = self._typed(cell)
        if kind is not Kind.TEXT or value is None or isinstance(value, str):
            return value
        if self._is_csv:
            return str(cell).strip()
        return str(cell).lower() if isinstance(cell, bool) else str(cell)


_SPECIAL_VALUES = {"enabled": enabled, "priority": priority, "tags": tags}


def _check_file(path: Path, sheet: str | None) -> bool:
    """Whether it is CSV. Raises UnreadableTable."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        hint = _ELSEWHERE.get(suffix, f"allowed: {', '.join(SUFFIXES)}")
        raise UnreadableTable(f"the name ends in {suffix!r}; {hint}")
    if not path.is_file():
        raise UnreadableTable("is no regular file" if path.exists() else "there is no such file")
    if suffix != ".xlsx" and sheet is not None:
        raise UnreadableTable("is a CSV file, which has no sheets; leave sheet out")
    return suffix != ".xlsx"


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value)[:60]
