"""Tables into a file, or onto a stream."""

from collections.abc import Sequence
from pathlib import Path
from typing import IO

from queueing.results.files.csv_file import write_csv
from queueing.results.files.formats import BINARY, ONE_TABLE, Format
from queueing.results.files.json_file import write_json
from queueing.results.files.latex import write_latex
from queueing.results.files.markdown import write_markdown
from queueing.results.files.replacing import replacing
from queueing.results.table import Table
from store.errors import UserError


def write_file(tables: Sequence[Table], path: Path, form: Format, digits: int, delimiter: str = ",") -> None:
    """The whole file at once, in the place of an old one. Raises UserError."""
    check_count(tables, form)
    with replacing(path) as partial:
        if form is Format.XLSX:
            from queueing.results.files.xlsx import write_xlsx

            write_xlsx(tables, partial)
        elif form is Format.PARQUET:
            from queueing.results.files.parquet import write_parquet

            write_parquet(tables[0], partial)
        else:
            with open(partial, "w", encoding="utf-8", errors="replace", newline="") as file:
                write_text(tables, file, form, digits, delimiter)


def write_text(tables: Sequence[Table], file: IO[str], form: Format, digits: int, delimiter: str = ",") -> None:
    """Raises UserError for a format that is no text."""
    check_count(tables, form)
    match form:
        case Format.CSV | Format.TSV:
            write_csv(tables[0], file, delimiter if form is Format.CSV else "\t")
        case Format.JSON:
            write_json(tables, file)
        case Format.MARKDOWN:
            write_markdown(tables, file, digits)
        case Format.TEX:
            write_latex(tables, file, digits)
        case _:
            raise UserError(f"{form} is no text: say where it goes: -o results.{form}")


def check_count(tables: Sequence[Table], form: Format) -> None:
    """Raises UserError for several tables where the format has room for one."""
    if form in ONE_TABLE and len(tables) > 1:
        names = ", ".join(repr(table.name) for table in tables[:5])
        raise UserError(
            f".{form} holds one table, and here are {len(tables)} ({names}): write .xlsx, .md, .tex or .json"
        )


def is_binary(form: Format) -> bool:
    """Whether it cannot go to a terminal."""
    return form in BINARY
