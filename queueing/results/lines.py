"""Rows together with the run that each stands for, so that they can find their place beside something else."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from queueing.results.record import Record
from queueing.results.table import Column, Row, Table
from store.errors import UserError

RUNS = "runs"
Line = tuple[Record, Row]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """`read` gives all, or those at some places. `is_sorted`: the order was asked for."""

    columns: tuple[Column, ...]
    read: Callable[[Sequence[int] | None], Iterator[Line]]
    size: int
    caption: str
    is_sorted: bool

    def table(self) -> Table:
        """Without the records."""
        return Table(
            name=RUNS,
            columns=self.columns,
            rows=lambda: (row for _, row in self.read(None)),
            size=self.size,
            caption=self.caption,
        )


def columns_once(columns: Iterable[Column]) -> tuple[Column, ...]:
    """Raises UserError for a column that was asked for twice."""
    found = tuple(columns)
    names = [column.name for column in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"the column {twice!r} is given twice")
    return found
