"""Results beside the inputs: the columns of the table that was enqueued, then ours, each with # in front.

A sweep reads columns whose name begins with # as remarks, so the file can be enqueued again: it adds nothing.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from queueing.results.census import common_kind, kind_of, param_of
from queueing.results.inputs import REMARK, InputRow, Inputs, Key, typed
from queueing.results.lines import Lines
from queueing.results.record import Record
from queueing.results.table import Column, Kind, Row, Table, flat_row, flattened
from store.errors import UserError


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """A table of inputs and results. `places`: for each row of the inputs the results that belong to it."""

    inputs: Inputs
    lines: Lines
    results: tuple[Column, ...]
    shown: tuple[int, ...]
    places: dict[Key, list[int]]

    def table(self) -> Table:
        """The rows of the input table in its order, then runs of none of them; or as it was asked for."""
        kept = self.kept_columns
        columns = [Column(name=self.inputs.header[i] or f"{REMARK} {i + 1}", kind=_kind(self.inputs, i)) for i in kept]
        return Table(
            name=self.inputs.sheet or "runs",
            columns=(*columns, *self.results),
            rows=partial(_sorted_rows if self.lines.is_sorted else _rows, self),
            size=self.lines.size if self.lines.is_sorted else sum(1 for _ in _order(self)),
            caption=self.lines.caption,
        )

    @property
    def kept_columns(self) -> list[int]:
        """The columns of the inputs, without the results of an earlier time."""
        ours = {column.name for column in self.results}
        return [i for i, name in enumerate(self.inputs.header) if name not in ours]

    def results_of(self, rows: Sequence[int]) -> Iterator[Row]:
        """Our columns at these places."""
        for _, row in self.lines.read(rows):
            flat = flat_row(self.lines.columns, row)
            yield tuple(flat[i] for i in self.shown)


def beside(lines: Lines, inputs: Inputs) -> Beside:
    """Each run finds its row by its parameters."""
    flat = flattened(lines.table()).columns
    shown = [i for i, column in enumerate(flat) if column.name.removeprefix("params.") not in inputs.params]
    places: dict[Key, list[int]] = defaultdict(list)
    for place, (record, _) in enumerate(lines.read(None)):
        places[inputs.key_of_run(record)].append(place)
    return Beside(
        inputs=inputs,
        lines=lines,
        results=tuple(replace(flat[i], name=f"{REMARK}{flat[i].name}") for i in shown),
        shown=tuple(shown),
        places=dict(places),
    )


def one_each(made: Beside) -> dict[int, Row]:
    """Our columns by the number of the row of the inputs. Raises UserError where a row has several runs."""
    wanted: dict[int, int] = {}
    for row in made.inputs.rows:
        places = made.places.get(made.inputs.key_of_row(row), [])
        if len(places) > 1:
            said = "one row per configuration: --over repeat; or write another file"
            raise UserError(f"{made.inputs.path}: row {row.number} has {len(places)} runs, but only one place; {said}")
        if places:
            wanted[row.number] = places[0]
    return dict(zip(wanted, made.results_of(list(wanted.values())), strict=True))


def _order(made: Beside) -> Iterator[tuple[InputRow | None, int | None]]:
    """(row of the inputs, place of a result): every row at least once, every result exactly once."""
    used: set[int] = set()
    for row in made.inputs.rows:
        places = [place for place in made.places.get(made.inputs.key_of_row(row), []) if place not in used]
        used.update(places)
        if not places:
            yield row, None
        yield from ((row, place) for place in places)
    yield from ((None, place) for place in range(made.lines.size) if place not in used)


def _rows(made: Beside) -> Iterator[Row]:
    kept = made.kept_columns
    order = list(_order(made))
    results = made.results_of([place for _, place in order if place is not None])
    runs = made.lines.read([place for row, place in order if row is None and place is not None])
    for row, place in order:
        cells = _input_cells(row.cells, kept) if row is not None else _from_run(made, next(runs)[0], kept)
        yield (*cells, *(next(results) if place is not None else [None] * len(made.results)))


def _sorted_rows(made: Beside) -> Iterator[Row]:
    kept = made.kept_columns
    rows = {made.inputs.key_of_row(row): row for row in made.inputs.rows}
    everything = range(made.lines.size)
    for (record, _), result in zip(made.lines.read(everything), made.results_of(everything), strict=True):
        row = rows.get(made.inputs.key_of_run(record))
        cells = _input_cells(row.cells, kept) if row is not None else _from_run(made, record, kept)
        yield (*cells, *result)


def _kind(inputs: Inputs, column: int) -> Kind:
    cells = (typed(row.cells[column]) for row in inputs.rows)
    return common_kind({kind_of(cell) for cell in cells if cell is not None})


def _input_cells(cells: Sequence[Any], kept: Sequence[int]) -> list[Any]:
    return [typed(cells[i]) for i in kept]


def _from_run(made: Beside, record: Record, kept: Sequence[int]) -> list[Any]:
    """For a run of an earlier form of the table: its parameters."""
    key = dict(zip(made.inputs.params.values(), made.inputs.params, strict=True))
    return [param_of(record, key[i]) if i in key else None for i in kept]
