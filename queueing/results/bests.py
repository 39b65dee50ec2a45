"""The best of each metric in each group, with the parameters that reached it: how papers sum a study up (the shape of
Table 1 of Knight 2015). Pure.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from queueing.results.fields import Field, Known, param_field, quantity_of
from queueing.results.order import best_first, rising
from queueing.results.pivot import counts_words
from queueing.results.record import Quantity, Record, measured
from queueing.results.repeats import left_out
from queueing.results.table import Column, Kind, Table, unique_names
from queueing.results.words import plain_words
from store.runs import short
from store.states import State

_USUAL = ("train_loss", "val_loss")


@dataclass(slots=True)
class _Group:
    """`best`: of each metric the best run so far; `values`: those of `by`."""

    values: tuple[Any, ...]
    best: dict[Quantity, Record] = field(default_factory=dict)


def usual_metrics(known: Known, otherwise: str) -> list[str]:
    """Training and validation loss where there are both."""
    found = [name for name in _USUAL if name in known.census.metrics]
    return found if len(found) > 1 else [otherwise]


def bests_table(
    records: Iterable[Record], metrics: Sequence[str], by: Sequence[Field], known: Known, *, unfinished: bool
) -> Table:
    """A column for each group and metric; rows are the best value, the parameters, the step, the run."""
    quantities = [quantity_of(name, known) for name in metrics]
    groups: dict[str, _Group] = {}
    for record in records:
        if unfinished or record.outcome.state is State.FINISHED:
            values = tuple(one.get(record) for one in by)
            _take(groups.setdefault(repr(values), _Group(values)), record, quantities, known)
    ordered = sorted(groups.values(), key=lambda group: [rising(value) for value in group.values])
    columns = [(group, quantity) for group in ordered for quantity in quantities]
    rows = _rows(columns, by, known)
    heads = [" ".join(filter(None, [_words(group, by), quantity.metric])) for group, quantity in columns]
    names = unique_names(["result", *heads])
    return Table(
        name="best results",
        columns=tuple(Column(name=name, kind=Kind.TEXT if not place else Kind.ANY) for place, name in enumerate(names)),
        rows=lambda: rows,
        size=len(rows),
        caption=_caption(quantities, by, known, unfinished=unfinished),
        marked=_marked(columns, quantities, known),
        pivot=True,
    )


def _take(group: _Group, record: Record, quantities: Sequence[Quantity], known: Known) -> None:
    for quantity in quantities:
        value = quantity.of(record, known.directions)
        if value is None or value != value:
            continue
        held = group.best.get(quantity)
        other = quantity.of(held, known.directions) if held is not None else None
        greatest = known.directions.greatest(quantity.metric)
        if other is None or (value > other if greatest else value < other):
            group.best[quantity] = record


def _rows(columns: Sequence[tuple[_Group, Quantity]], by: Sequence[Field], known: Known) -> list[tuple[Any, ...]]:
    used = {one.column.name.removeprefix("params.") for one in by}
    names = [name for name in known.census.varying if name not in used | left_out(("repeat",))]
    found = [group.best.get(quantity) for group, quantity in columns]

    def row(head: str, get: Any) -> tuple[Any, ...]:
        pairs = zip(found, columns, strict=True)
        return (head, *(None if one is None else get(one, quantity) for one, (_, quantity) in pairs))

    rows = [row("best", lambda one, quantity: quantity.of(one, known.directions))]
    if known.census.runs > 1:
        fields = [(name, param_field(name, known)) for name in names]
        rows += [row(name, lambda one, _, get=param.get: get(one)) for name, param in fields]
    rows.append(row("at step", lambda one, quantity: _step(one, quantity, known)))
    rows.append(row("run", lambda one, _: short(one.outcome.id)))
    return rows


def _step(one: Record, quantity: Quantity, known: Known) -> int | None:
    found = measured(one, quantity.metric, known.directions)
    return None if found is None else found.best_step


def _words(group: _Group, by: Sequence[Field]) -> str:
    told = zip(by, group.values, strict=True)
    return ", ".join(
        value if isinstance(value, str) else f"{one.column.name}={plain_words(value)}" for one, value in told
    )


def _caption(quantities: Sequence[Quantity], by: Sequence[Field], known: Known, *, unfinished: bool) -> str:
    how = {known.directions.greatest(one.metric) for one in quantities}
    words = "greatest" if how == {True} else "smallest" if how == {False} else "best"
    groups = f"by {', '.join(one.column.name for one in by)}; " if by else ""
    return f"{groups}{words} value of all steps; {counts_words(known.census.states, unfinished=unfinished)}"


def _marked(
    columns: Sequence[tuple[_Group, Quantity]], quantities: Sequence[Quantity], known: Known
) -> frozenset[tuple[int, int]]:
    """The best group of each metric, where there are several."""
    places = set()
    for quantity in quantities:
        mine = [place for place, (group, one) in enumerate(columns) if one == quantity and quantity in group.best]
        if len(mine) > 1:
            values = [quantity.of(columns[place][0].best[quantity], known.directions) for place in mine]
            first = best_first(values, descending=known.directions.greatest(quantity.metric))[0]
            places.add((0, mine[first] + 1))
    return frozenset(places)
