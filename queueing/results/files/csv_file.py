"""CSV as pandas and LibreOffice read it: UTF-8 without a mark in front, a comma, a dot; what is missing is empty."""

import csv
import re
from datetime import datetime
from typing import IO, Any

from queueing.results.table import Table, flattened

_LINE_END = re.compile("\r\n?")  # a lone one is left unquoted by the csv module, and ends the row
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write_csv(table: Table, file: IO[str], delimiter: str = ",") -> None:
    """A row at a time; numbers as the shortest text that reads back the same, times as ISO 8601."""
    flat = flattened(table)
    writer = csv.writer(file, delimiter=delimiter, lineterminator="\n")
    writer.writerow([cell_text(column.name) for column in flat.columns])
    for row in flat.rows():
        writer.writerow([cell_text(value) for value in row])


def cell_text(value: Any) -> str:
    """What stands in the file."""
    if value is None:
        return ""
    if isinstance(value, str):
        return _LINE_END.sub("\n", defused(value).replace("\0", "�"))
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return value.isoformat()
    return repr(value)


def defused(text: str) -> str:
    """A text that a spreadsheet would compute gets an apostrophe in front: `'=1+1`."""
    return f"'{text}" if text.startswith(_FORMULA) else text
