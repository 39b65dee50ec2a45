"""Columns as a data frame of pandas or polars, or as plain lists. Both libraries are imported when asked for."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from queueing.frames.columns import Filled
from queueing.results.table import Kind
from store.errors import UserError

if TYPE_CHECKING:
    import pandas
    import polars


def to_pandas(columns: Sequence[Filled]) -> "pandas.DataFrame":
    """Whole numbers and flags with gaps get pandas' own gaps (Int64, boolean); of other numbers NaN is both."""
    try:
        import pandas
    except ImportError as error:
        raise UserError("to_pandas needs pandas: pip install pandas") from error
    return pandas.DataFrame({column.name: _series(column) for column in columns}, copy=False)


def to_polars(columns: Sequence[Filled]) -> "polars.DataFrame":
    """What is missing is null, and NaN is NaN. Lists and tables among parameters are JSON texts."""
    try:
        import polars
    except ImportError as error:
        raise UserError("to_polars needs polars: pip install 'labq[polars]'") from error
    return polars.DataFrame([_polars_series(column) for column in columns])


def to_lists(columns: Sequence[Filled]) -> dict[str, list[Any]]:
    """None is missing."""
    return {column.name: column.as_list() for column in columns}


def _series(column: Filled) -> Any:
    import pandas

    values, missing = column.values, column.missing
    match column.kind:
        case Kind.NUMBER:
            values = values.copy() if missing.any() else values
            values[missing] = float("nan")
            return values
        case Kind.WHOLE if missing.any():
            return pandas.arrays.IntegerArray(values, missing)
        case Kind.FLAG if missing.any():
            return pandas.arrays.BooleanArray(values, missing)
        case Kind.TIME:
            return pandas.Series(values).dt.tz_localize("UTC")
        case Kind.ANY:
            return pandas.Series(values, dtype=object)
    return pandas.Series(values)


def _polars_series(column: Filled) -> Any:
    import polars

    if column.kind in (Kind.NUMBER, Kind.WHOLE, Kind.FLAG, Kind.TIME):
        found = polars.Series(column.name, column.values)
        if column.kind is Kind.TIME:
            return found.dt.replace_time_zone("UTC")
        if not column.missing.any():
            return found
        there = polars.Series(~column.missing)
        return polars.select(polars.when(there).then(found).alias(column.name)).to_series()
    values = column.as_list()
    if all(value is None or _is_texts(value) for value in values) and any(isinstance(value, list) for value in values):
        return polars.Series(column.name, values, polars.List(polars.String))
    texts = [value if value is None or isinstance(value, str) else json.dumps(value, default=str) for value in values]
    return polars.Series(column.name, texts, polars.String)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)
