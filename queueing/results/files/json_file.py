"""JSON: a list with an object for each row. What is missing is null; NaN and infinity, which JSON lacks, are texts."""

import json
import math
from collections.abc import Sequence
from datetime import datetime
from typing import IO, Any

from queueing.results.table import Row, Table, flattened, unique_names


def write_json(tables: Sequence[Table], file: IO[str]) -> None:
    """One table: its rows. Several: a list of objects with `name`, `caption` and `rows`."""
    if len(tables) == 1:
        _write_rows(tables[0], file, "")
    else:
        _write_tables(tables, file)
    file.write("\n")


def plain_row(names: Sequence[str], row: Row) -> dict[str, Any]:
    """A row as JSON has it."""
    return {name: _plain(value) for name, value in zip(names, row, strict=True)}


def _write_tables(tables: Sequence[Table], file: IO[str]) -> None:
    for number, table in enumerate(tables):
        head = json.dumps({"name": table.name, "caption": table.caption}, ensure_ascii=False)
        file.write(f'{"," if number else "["}\n{head[:-1]}, "rows": ')
        _write_rows(table, file, " ")
        file.write("}")
    file.write("\n]" if tables else "[]")


def _write_rows(table: Table, file: IO[str], indent: str) -> None:
    flat = flattened(table)
    names = unique_names([column.name for column in flat.columns])
    first = True
    for row in flat.rows():
        text = json.dumps(plain_row(names, row), ensure_ascii=False, allow_nan=False)
        file.write(f"{'[' if first else ','}\n{indent} {text}")
        first = False
    file.write("[]" if first else f"\n{indent}]")


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return repr(value) if isinstance(value, float) and not math.isfinite(value) else value
