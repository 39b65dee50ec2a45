"""One number for every pair of two columns' values: the grids of a report. Pure."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from queueing.results.fields import Field, Known
from queueing.results.order import best_first, rising
from queueing.results.record import Quantity, Record
from queueing.results.statistics import deviation, mean_of, median_of
from queueing.results.table import Column, Kind, Row, Table, unique_names
from queueing.results.words import plain_words
from store.states import State


class Aggregate(StrEnum):
    """What stands in a cell for all of its runs."""

    BEST = "best"
    WORST = "worst"
    MEAN = "mean"
    MEDIAN = "median"
    STD = "std"
    COUNT = "count"


_KINDS = {Aggregate.MEAN: Kind.MEAN, Aggregate.MEDIAN: Kind.MEDIAN, Aggregate.COUNT: Kind.WHOLE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What goes down, what goes across, what makes tables of their own, and what stands in the cells."""

    rows: Field
    columns: Field
    by: tuple[Field, ...] = ()
    quantity: Quantity
    aggregate: Aggregate
    level: float = 0.95
    unfinished: bool = False


class _Grid:
    """The values of one table while records pass by."""

    def __init__(self) -> None:
        self.down: dict[str, Any] = {}
        self.across: dict[str, Any] = {}
        self.values: dict[tuple[str, str], list[float]] = {}
        self.states: Counter[State] = Counter()


def pivots(records: Iterable[Record], shape: Shape, known: Known, over: Sequence[str]) -> list[Table]:
    """A table for each combination of the values of `by`; `over` names what the cells sum up."""
    grids: dict[str, tuple[tuple[Any, ...], _Grid]] = {}
    for record in records:
        values = tuple(field.get(record) for field in shape.by)
        _, grid = grids.setdefault(repr(values), (values, _Grid()))
        _add(grid, record, shape, known)
    ordered = sorted(grids.values(), key=lambda pair: [rising(value) for value in pair[0]])
    return [_table(values, grid, shape, known, over) for values, grid in ordered]


def _add(grid: _Grid, record: Record, shape: Shape, known: Known) -> None:
    row, column = shape.rows.get(record), shape.columns.get(record)
    grid.states[record.outcome.state] += 1
    grid.down.setdefault(repr(row), row)
    grid.across.setdefault(repr(column), column)
    if not shape.unfinished and record.outcome.state is not State.FINISHED:
        return
    value = shape.quantity.of(record, known.directions)
    if value is not None:
        grid.values.setdefault((repr(row), repr(column)), []).append(value)


def _table(values: Row, grid: _Grid, shape: Shape, known: Known, over: Sequence[str]) -> Table:
    greatest = known.directions.greatest(shape.quantity.metric)
    down = sorted(grid.down, key=lambda key: rising(grid.down[key]))
    across = sorted(grid.across, key=lambda key: rising(grid.across[key]))
    cells = [[_cell(grid.values.get((row, column), []), shape, greatest=greatest) for column in across] for row in down]
    heads = [f"{shape.rows.column.name} \\ {shape.columns.column.name}"]
    heads += [plain_words(grid.across[column]) for column in across]
    kind = _KINDS.get(shape.aggregate, Kind.NUMBER)
    kinds = [shape.rows.column.kind, *(kind for _ in across)]
    rows = [(grid.down[key], *row) for key, row in zip(down, cells, strict=True)]
    group = ", ".join(f"{f.column.name}={plain_words(v)}" for f, v in zip(shape.by, values, strict=True))
    return Table(
        name=" ".join(filter(None, [shape.quantity.metric, group])),
        columns=tuple(Column(name=n, kind=k) for n, k in zip(unique_names(heads), kinds, strict=True)),
        rows=lambda: rows,
        size=len(rows),
        caption=_caption(shape, grid.states, group, over, greatest=greatest),
        marked=_best_cell(cells, shape.aggregate, greatest=greatest),
        pivot=True,
    )


def _cell(values: Sequence[float], shape: Shape, *, greatest: bool) -> Any:
    if shape.aggregate is Aggregate.COUNT:
        return len(values)
    if not values:
        return None
    match shape.aggregate:
        case Aggregate.MEAN:
            return mean_of(values, shape.level)
        case Aggregate.MEDIAN:
            return median_of(values)
        case Aggregate.STD:
            return deviation(values)
        case Aggregate.BEST:
            return values[best_first(values, descending=greatest)[0]]
        case _:
            return values[best_first(values, descending=not greatest)[0]]


def _best_cell(cells: Sequence[Sequence[Any]], aggregate: Aggregate, *, greatest: bool) -> frozenset[tuple[int, int]]:
    """Its place in the rows of the table, whose first column holds the values that go down."""
    if aggregate in (Aggregate.STD, Aggregate.COUNT):
        return frozenset()
    places = [(r, c) for r, row in enumerate(cells) for c, cell in enumerate(row) if cell is not None]
    if not places:
        return frozenset()
    first = best_first((cells[r][c] for r, c in places), descending=greatest)[0]
    return frozenset({(places[first][0], places[first][1] + 1)})


def _caption(shape: Shape, states: Counter[State], group: str, over: Sequence[str], *, greatest: bool) -> str:
    said = f"{shape.aggregate} {quantity_words(shape.quantity, greatest=greatest)}"
    if shape.aggregate is Aggregate.MEAN:
        said += f" ± {100 * shape.level:g} % confidence interval"
    if shape.aggregate is Aggregate.MEDIAN:
        said += " [quartiles]"
    if over:
        said += f" over {', '.join(over)}"
    return ", ".join(filter(None, [said, group])) + f"; {counts_words(states, unfinished=shape.unfinished)}"


def quantity_words(quantity: Quantity, *, greatest: bool) -> str:
    """`val_loss (each run's smallest)`"""
    how = {"best": f"each run's {'greatest' if greatest else 'smallest'}", "last": "each run's last",
           "at_best": "where the other metric was best"}  # fmt: skip
    return f"{quantity.metric} ({how[quantity.how]})"


def counts_words(states: Counter[State], *, unfinished: bool | None = None) -> str:
    """`32 runs: 30 finished, 1 failed, 1 running; only finished ones count` (where only some may count)."""
    ordered = sorted(states, key=lambda state: state is not State.FINISHED)
    if ordered == [State.FINISHED]:
        return f"{states[State.FINISHED]} runs"
    told = f"{states.total()} runs: {', '.join(f'{states[state]} {state}' for state in ordered)}"
    return told if unfinished is None else f"{told}; {'all count' if unfinished else 'only finished ones count'}"
