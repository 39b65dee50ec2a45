"""Parquet through pyarrow, some thousand rows at a time."""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from queueing.results.table import Kind, Row, Table, flattened, unique_names
from queueing.results.words import plain_words
from store.errors import UserError

_ROWS_AT_ONCE = 10_000


def write_parquet(table: Table, path: Path) -> None:
    """Columns keep their types; one of several kinds of values is text. Raises UserError without pyarrow."""
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise UserError(f"{path.name}: .parquet needs pyarrow: pip install 'labq[parquet]'; or write .csv") from error
    flat = flattened(table)
    types = {
        Kind.WHOLE: pa.int64(), Kind.NUMBER: pa.float64(), Kind.SECONDS: pa.float64(), Kind.FLAG: pa.bool_(),
        Kind.TIME: pa.timestamp("ms", tz="UTC"),
    }  # fmt: skip
    names = unique_names([column.name for column in flat.columns])
    kinds = [column.kind for column in flat.columns]
    schema = pa.schema([(name, types.get(kind, pa.string())) for name, kind in zip(names, kinds, strict=True)])
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        for rows in _batches(flat.rows()):
            columns = [[_value(row[i], kind) for row in rows] for i, kind in enumerate(kinds)]
            writer.write_table(pa.table(dict(zip(names, columns, strict=True)), schema=schema))


def _value(value: Any, kind: Kind) -> Any:
    if value is None:
        return None
    if kind in (Kind.NUMBER, Kind.SECONDS):
        return float(value)
    if kind in (Kind.TEXT, Kind.ANY):
        return plain_words(value).encode(errors="replace").decode()
    return value


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    iterator = iter(rows)
    while batch := list(islice(iterator, _ROWS_AT_ONCE)):
        yield batch
