"""The table that an experiment was enqueued from: its columns as they stand, and which run belongs to which row."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from queueing.reading import SUFFIXES, parse_text
from queueing.results.census import param_of
from queueing.results.record import Record
from queueing.results.spreadsheets import openpyxl
from queueing.space.names import flat
from queueing.tables.cells import Trouble, from_sheet, from_text
from queueing.tables.csv_file import delimiter_of
from store.errors import BadExperiment, UserError
from store.experiments import Experiment

REMARK = "#"
_SPECIAL = frozenset({"enabled", "priority", "tags"})
Key = tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class InputRow:
    """`number` counts from 1, the header included; the cells are texts in CSV, values in a workbook."""

    number: int
    cells: tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """The whole table. `fixed` are the parameters that an empty cell leaves as they are."""

    path: Path
    sheet: str
    header: tuple[str, ...]
    rows: tuple[InputRow, ...]
    fixed: dict[str, Any]
    delimiter: str = ","

    @property
    def is_csv(self) -> bool:
        """Whether cells are texts."""
        return self.path.suffix.lower() != ".xlsx"

    @property
    def params(self) -> dict[str, int]:
        """The columns that are parameters, and where they stand."""
        named = ((name, i) for i, name in enumerate(self.header) if name and not name.startswith(REMARK))
        return {name: i for name, i in named if name not in _SPECIAL}

    def key_of_row(self, row: InputRow) -> Key:
        """What a run of this row has for parameters."""
        cells = ((name, typed(row.cells[i])) for name, i in self.params.items())
        return tuple(_comparable(self.fixed.get(name) if cell is None else cell) for name, cell in cells)

    def key_of_run(self, record: Record) -> Key:
        """The same of a run."""
        return tuple(_comparable(param_of(record, name)) for name in self.params)


def inputs_of(experiment: Experiment) -> Inputs | None:
    """None where the experiment came from no table, or from several. Raises UserError when it cannot be read."""
    definition = _definition(experiment)
    sweep = definition.get("sweep")
    blocks = [block for block in (sweep if isinstance(sweep, list) else [sweep]) if isinstance(block, dict)]
    tables = [block for block in blocks if isinstance(block.get("table"), str)]
    if len(tables) != 1:
        return None
    path = (Path(experiment.source).parent / Path(tables[0]["table"]).expanduser()).resolve()
    fixed = definition.get("params")
    return read_inputs(path, tables[0].get("sheet"), flat(fixed) if isinstance(fixed, dict) else {})


def read_inputs(path: Path, sheet: str | None, fixed: dict[str, Any]) -> Inputs:
    """Raises UserError."""
    try:
        if path.suffix.lower() == ".xlsx":
            name, rows = _workbook_rows(path, sheet)
            return _inputs(path, name, rows, fixed, ",")
        with open(path, encoding="utf-8-sig", newline="") as file:
            delimiter = delimiter_of(path, file.readline(1 << 20))
            file.seek(0)
            return _inputs(path, "", [tuple(row) for row in csv.reader(file, delimiter=delimiter)], fixed, delimiter)
    except UserError:
        raise
    except Exception as error:  # openpyxl raises whatever a broken file leads to
        said = getattr(error, "strerror", None) or error
        raise UserError(f"{path}: the table that was enqueued cannot be read: {said}") from error


def typed(cell: Any) -> Any:
    """A cell as a sweep takes it: empty, a number, true or false, a text."""
    value = from_text(cell) if isinstance(cell, str) else from_sheet(cell, "")
    return str(cell) if isinstance(value, Trouble) else value


def _comparable(value: Any) -> Any:
    """One for all spellings: 1 and 1.0 and "1"; true is no number."""
    plain = typed(value)
    if isinstance(plain, bool) or plain is None:
        return ("flag", plain)
    return float(plain) if isinstance(plain, int | float) else str(plain)


def _inputs(path: Path, sheet: str, rows: list[tuple[Any, ...]], fixed: dict[str, Any], delimiter: str) -> Inputs:
    header = tuple("" if cell is None else str(cell).strip() for cell in rows[0]) if rows else ()
    numbered = enumerate(rows[1:], 2)
    kept = [InputRow(number=n, cells=_padded(row, len(header))) for n, row in numbered if any(map(_full, row))]
    return Inputs(path=path, sheet=sheet, header=header, rows=tuple(kept), fixed=fixed, delimiter=delimiter)


def _padded(row: tuple[Any, ...], width: int) -> tuple[Any, ...]:
    return (*row[:width], *[None] * (width - len(row)))


def _full(cell: Any) -> bool:
    return cell is not None and cell != ""


def _workbook_rows(path: Path, sheet: str | None) -> tuple[str, list[tuple[Any, ...]]]:
    book = openpyxl().load_workbook(path, read_only=True, data_only=True, keep_links=False)
    try:
        if sheet is not None and sheet not in book.sheetnames:
            raise UserError(f"{path}: there is no sheet {sheet!r} any more; there are: {', '.join(book.sheetnames)}")
        page = book[sheet or book.sheetnames[0]]
        page.reset_dimensions()
        return page.title, list(page.iter_rows(values_only=True))
    finally:
        book.close()


def _definition(experiment: Experiment) -> Mapping[str, Any]:
    """What the experiment file said; nothing where it cannot be understood any more. From Python it came as JSON."""
    suffix = Path(experiment.source).suffix.lower()
    try:
        found = parse_text(suffix if suffix in SUFFIXES else ".json", experiment.text, experiment.source)
    except BadExperiment:
        return {}
    return found if isinstance(found, dict) else {}
