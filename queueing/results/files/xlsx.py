"""XLSX: a sheet for each table, typed cells, the header frozen. openpyxl writes a row at a time."""

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from queueing.results.spreadsheets import openpyxl
from queueing.results.table import Kind, Table, flattened
from store.errors import UserError

MOST_ROWS, MOST_COLUMNS, LONGEST_TEXT = 1_048_576, 16_384, 32_767
_EXACT = 2**53
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
TIME_FORMAT = "yyyy-mm-dd hh:mm:ss"


def write_xlsx(tables: Sequence[Table], path: Path) -> None:
    """Times are UTC. What a spreadsheet cannot hold as a number (NaN, infinity, more than 53 bits) is a text."""
    flat = [flattened(table) for table in tables]
    for table in flat:
        _check(table)
    book = openpyxl().Workbook(write_only=True)
    for table, name in zip(flat, sheet_names([table.name for table in tables]), strict=True):
        _write(book.create_sheet(name), table)
    book.save(path)


def sheet_names(names: Sequence[str]) -> list[str]:
    """As spreadsheets allow them: 31 characters, some forbidden, none twice whatever the case."""
    found: list[str] = []
    for name in names:
        plain = re.sub(r"[\[\]:*?/\\\x00-\x1f]", "_", name).strip("'")[:31] or "table"
        number = 2
        chosen = plain
        while chosen.lower() in (other.lower() for other in found):
            chosen = f"{plain[:26]} ({number})"
            number += 1
        found.append(chosen)
    return found


def cell_value(value: Any) -> Any:
    """What the cell holds."""
    if isinstance(value, str):
        return _ILLEGAL.sub("�", value)[:LONGEST_TEXT]
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None)
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    return str(value) if isinstance(value, int) and abs(value) > _EXACT else value


def _write(sheet: Any, table: Table) -> None:
    letter = openpyxl().utils.get_column_letter
    sheet.freeze_panes = "A2"
    for position, column in enumerate(table.columns, 1):
        wide = 20 if column.kind is Kind.TIME else min(max(len(column.name) + 3, 11), 40)
        sheet.column_dimensions[letter(position)].width = wide
    bold = openpyxl().styles.Font(bold=True)
    sheet.auto_filter.ref = f"A1:{letter(len(table.columns))}{table.size + 1}"
    sheet.append([_cell(sheet, column.name, bold) for column in table.columns])
    for place, row in enumerate(table.rows()):
        sheet.append([_cell(sheet, v, bold if (place, i) in table.marked else None) for i, v in enumerate(row)])


def _cell(sheet: Any, value: Any, font: Any) -> Any:
    """Only what needs it becomes a cell of its own: they take most of the time."""
    held = cell_value(value)
    is_text = isinstance(held, str) and held[:1] in ("=", "#")
    if not is_text and font is None and not isinstance(held, datetime):
        return held
    cell = openpyxl().cell.WriteOnlyCell(sheet, value=held)
    if is_text:
        cell.data_type = "s"  # and no formula, no error
    if font is not None:
        cell.font = font
    if isinstance(held, datetime):
        cell.number_format = TIME_FORMAT
    return cell


def _check(table: Table) -> None:
    if table.size >= MOST_ROWS or len(table.columns) > MOST_COLUMNS:
        raise UserError(
            f"a sheet holds {MOST_ROWS - 1} rows and {MOST_COLUMNS} columns; these are {table.size} rows and "
            f"{len(table.columns)} columns: write .csv or .parquet, or fewer --columns"
        )
