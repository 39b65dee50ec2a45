"""Rows of a CSV file, one at a time."""

import csv
import re
from collections.abc import Iterator
from pathlib import Path

from queueing.tables.unreadable import UnreadableTable

_DELIMITERS = ",;\t"
_LONGEST_CELL = 32_767
"""As long as a cell of a workbook may be."""


def csv_rows(path: Path) -> Iterator[list[str]]:
    """Texts as they stand in the file. Raises UnreadableTable."""
    number = 0
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            first = file.readline(1 << 20)
            file.seek(0)
            for number, row in enumerate(csv.reader(file, delimiter=delimiter_of(path, first), strict=True), 1):
                if any(len(cell) > _LONGEST_CELL for cell in row):
                    raise UnreadableTable(f"row {number}: a cell has more than {_LONGEST_CELL} characters")
                yield row
    except UnicodeDecodeError as error:
        said = f"after row {number}: byte 0x{error.object[error.start]:02x} is not UTF-8 text; save it as UTF-8"
        raise UnreadableTable(said) from error
    except csv.Error as error:
        raise UnreadableTable(f"row {number + 1}: is not CSV: {error}") from error
    except OSError as error:
        raise UnreadableTable(f"cannot be read: {error.strerror or error}") from error


def delimiter_of(path: Path, header: str) -> str:
    """The one that the header uses most, outside quotes; comma when there is one column only."""
    if path.suffix.lower() == ".tsv":
        return "\t"
    bare = re.sub(r'"[^"]*"', "", header)
    return max(_DELIMITERS, key=bare.count)
