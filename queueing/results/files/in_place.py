"""Results into the very workbook that was enqueued: its other cells, sheets and formulas stay as they are."""

import zipfile
from pathlib import Path
from typing import Any

from queueing.results.beside import Beside, one_each
from queueing.results.files.replacing import replacing
from queueing.results.files.xlsx import LONGEST_TEXT, TIME_FORMAT, cell_value
from queueing.results.spreadsheets import openpyxl
from store.errors import UserError

_LOST = ("xl/charts/", "xl/media/", "xl/drawings/", "xl/pivotTables/")


def write_in_place(made: Beside) -> int:
    """How many rows got results; others stay as they are. Raises UserError where part of the workbook would be lost."""
    path = made.inputs.path
    _check(path)
    rows = one_each(made)
    book, sheet = _opened(path, made.inputs.sheet)
    columns = _columns(sheet, [column.name for column in made.results])
    for number, values in rows.items():
        for column, value in zip(columns, values, strict=True):
            _put(sheet.cell(row=number, column=column), value)
    with replacing(path) as partial:
        book.save(partial)
    return len(rows)


def _opened(path: Path, name: str) -> tuple[Any, Any]:
    book = openpyxl().load_workbook(path)
    return book, book[name]


def _columns(sheet: Any, names: list[str]) -> list[int]:
    """Where each of our columns stands: where it stood, else behind all that is there, named or not."""
    heads = {str(cell.value).strip(): cell.column for cell in sheet[1] if cell.value is not None}
    free = max([sheet.max_column, *heads.values()])
    for name in names:
        if name not in heads:
            free += 1
            heads[name] = free
            _put(sheet.cell(row=1, column=free), name)
    return [heads[name] for name in names]


def _put(cell: Any, value: Any) -> None:
    held = cell_value(value)
    cell.value = held
    if isinstance(held, str):
        cell.value, cell.data_type = held[:LONGEST_TEXT], "s"
    if cell.is_date:
        cell.number_format = TIME_FORMAT


def _check(path: Path) -> None:
    with zipfile.ZipFile(path) as parts:
        lost = sorted({part.split("/")[1] for part in parts.namelist() if part.startswith(_LOST)})
    if lost:
        raise UserError(f"{path}: holds {', '.join(lost)}, which would be lost; write another file")
