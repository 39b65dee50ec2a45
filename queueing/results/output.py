"""What a file holds, and how it is written: beside the inputs where the experiment came from a table."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from queueing.results.beside import Beside, beside, one_each
from queueing.results.files.formats import Format
from queueing.results.files.writing import check_count, write_file
from queueing.results.inputs import inputs_of
from queueing.results.report import Report
from queueing.results.table import Table
from store.errors import UserError

_BESIDE = frozenset({Format.CSV, Format.TSV, Format.XLSX, Format.PARQUET})


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """`in_place`: the file is the very table that was enqueued."""

    tables: tuple[Table, ...]
    beside: Beside | None = None
    in_place: bool = False
    warnings: tuple[str, ...] = ()


def output_of(made: Report, form: Format, path: Path | None, *, force: bool) -> Output:
    """Raises UserError, also for the table that was enqueued unless `force`."""
    found, warnings = _beside(made, form)
    in_place = path is not None and found is not None and _is_same(path, found.inputs.path)
    if in_place and not force:
        raise UserError(f"{path}: is the table that was enqueued; --force writes results into it, in columns #…")
    if force and not in_place:
        raise UserError(f"{path}: --force is for the table that was enqueued, and this is another file")
    if in_place and made.pivots:
        raise UserError(f"{path}: a pivot goes into another file than the table that was enqueued")
    runs = found.table() if found is not None else made.lines.table()
    tables = (runs, *made.pivots) if form is Format.XLSX or not made.pivots else made.pivots
    check_count(tables, form)
    return Output(tables=tables, beside=found, in_place=in_place, warnings=warnings)


def write_output(output: Output, path: Path, form: Format, digits: int) -> str:
    """What was written, in words. Raises UserError."""
    if not output.in_place or output.beside is None:
        write_file(output.tables, path, form, digits)
        return _words(output.tables)
    if form is Format.XLSX:
        from queueing.results.files.in_place import write_in_place

        return f"results in {write_in_place(output.beside)} rows"
    one_each(output.beside)
    write_file(output.tables, path, form, digits, output.beside.inputs.delimiter)
    return _words(output.tables)


def _beside(made: Report, form: Format) -> tuple[Beside | None, tuple[str, ...]]:
    if form not in _BESIDE or made.experiment is None or (made.pivots and form is not Format.XLSX):
        return None, ()
    try:
        inputs = inputs_of(made.experiment)
    except UserError as error:
        return None, (f"{error}; the results are written without its columns",)
    return (None, ()) if inputs is None else (beside(made.lines, inputs), ())


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.expanduser().samefile(other)
    except OSError:
        return False


def _words(tables: Sequence[Table]) -> str:
    return ", ".join(f"{table.size} rows" + f" ({table.name})" * (len(tables) > 1) for table in tables)
