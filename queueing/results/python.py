"""`labq.results`: the rows of a table as dicts."""

from collections.abc import Iterable
from typing import Any

from queueing.results.table import Kind, Table, flattened, unique_names
from store.errors import UserError

_PANDAS = {Kind.WHOLE: "Int64", Kind.NUMBER: "float64", Kind.SECONDS: "float64", Kind.FLAG: "boolean"}


class Results(list[dict[str, Any]]):
    """A list of rows; None is missing. `columns` are their names, also where there is no row."""

    def __init__(self, rows: Iterable[dict[str, Any]], columns: dict[str, Kind]) -> None:
        super().__init__(rows)
        self._kinds = columns

    @property
    def columns(self) -> list[str]:
        """In order."""
        return list(self._kinds)

    def to_pandas(self) -> Any:
        """A DataFrame; whole numbers with gaps stay whole numbers. Raises UserError without pandas."""
        try:
            import pandas
        except ImportError as error:
            raise UserError("to_pandas needs pandas: pip install pandas") from error
        frame = pandas.DataFrame(list(self), columns=self.columns)
        return frame.astype({name: _PANDAS[kind] for name, kind in self._kinds.items() if kind in _PANDAS})

    def to_polars(self) -> Any:
        """A DataFrame; null is missing, NaN is NaN. Raises UserError without polars."""
        try:
            import polars
        except ImportError as error:
            raise UserError("to_polars needs polars: pip install 'labq[polars]'") from error
        columns = {name: [row[name] for row in self] for name in self.columns}
        return polars.DataFrame({name: polars.Series(name, some, strict=False) for name, some in columns.items()})


def results_of(table: Table) -> Results:
    """All rows, one figure in each column."""
    flat = flattened(table)
    names = unique_names([column.name for column in flat.columns])
    kinds = {name: column.kind for name, column in zip(names, flat.columns, strict=True)}
    return Results((dict(zip(names, row, strict=True)) for row in flat.rows()), kinds)
