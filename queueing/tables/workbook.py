"""Rows of a sheet of an XLSX workbook, one at a time. openpyxl is imported when a workbook is read, not before."""

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from queueing.tables.cells import Trouble, from_sheet
from queueing.tables.unreadable import UnreadableTable

_MOST_BYTES = 2 << 30
"""Unpacked: a million rows of a dozen columns take half of it. A zip file of a few kilobytes can claim petabytes."""


def sheet_name(path: Path, wanted: str | None) -> str:
    """The sheet that is meant: the only one, or `wanted`. Raises UnreadableTable."""
    names = _opened(path, values=True).sheetnames
    if wanted is None and len(names) == 1:
        return str(names[0])
    if wanted is not None and wanted in names:
        return wanted
    there = ", ".join(repr(name) for name in names[:10])
    if wanted is None:
        raise UnreadableTable(f"has {len(names)} sheets; say which one: sheet = {names[0]!r}; there are: {there}")
    raise UnreadableTable(f"has no sheet {wanted!r}; there are: {there}")


def sheet_rows(path: Path, sheet: str) -> Iterator[list[Any]]:
    """Values, None where a cell is empty, Trouble where it has none of ours. Raises UnreadableTable."""
    try:
        values = _opened(path, values=True)[sheet]
        if not hasattr(values, "iter_rows"):
            raise UnreadableTable(f"the sheet {sheet!r} holds a chart, no cells")
        values.reset_dimensions()
        if not _has_formulas(path):
            for row in values.iter_rows():
                yield [from_sheet(cell.value, cell.data_type) for cell in row]
            return
        formulas = _opened(path, values=False)[sheet]
        formulas.reset_dimensions()
        for row, written in zip(values.iter_rows(), formulas.iter_rows(), strict=False):
            yield [_computed(cell, formula) for cell, formula in zip(row, written, strict=False)]
    except UnreadableTable:
        raise
    except Exception as error:
        raise UnreadableTable(f"the sheet {sheet!r} cannot be read: {error}") from error


def _computed(cell: Any, formula: Any) -> Any:
    """A formula counts with the value that was stored with it when it was last computed."""
    if formula.data_type == "f" and cell.value is None:
        return Trouble("holds a formula without a stored value; open the file in a spreadsheet programme and save it")
    return from_sheet(cell.value, cell.data_type)


def _opened(path: Path, *, values: bool) -> Any:
    from openpyxl.reader.excel import load_workbook

    _check(path)
    try:
        return load_workbook(path, read_only=True, data_only=values, keep_links=False)  # type: ignore[no-untyped-call]
    except Exception as error:
        raise UnreadableTable(f"cannot be read as a workbook: {error}") from error


def _check(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as parts:
            size_bytes = sum(part.file_size for part in parts.infolist())
    except zipfile.BadZipFile as error:
        raise UnreadableTable("is no XLSX workbook, or one with a password; save it as .xlsx without one") from error
    except OSError as error:
        raise UnreadableTable(f"cannot be read: {error.strerror or error}") from error
    if size_bytes > _MOST_BYTES:
        raise UnreadableTable(f"unpacks to {size_bytes} bytes; allowed: {_MOST_BYTES}")


def _has_formulas(path: Path) -> bool:
    """Looking twice at every cell takes twice the time; most workbooks need one look."""
    with zipfile.ZipFile(path) as parts:
        return any(_holds_formula(parts, name) for name in parts.namelist() if name.startswith("xl/worksheets/"))


def _holds_formula(parts: zipfile.ZipFile, name: str) -> bool:
    with parts.open(name) as part:
        rest = b""
        while chunk := part.read(1 << 20):
            if b"<f>" in rest + chunk or b"<f " in rest + chunk or b"<f/" in rest + chunk:
                return True
            rest = chunk[-3:]
    return False
