"""One row per configuration: what its repeats say together, and what became of them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from queueing.query.mistake import guess
from queueing.results.asking import Ask
from queueing.results.census import Census
from queueing.results.fields import Field, Known, param_field, quantity_of, run_field
from queueing.results.lines import RUNS, Line, Lines, columns_once
from queueing.results.order import best_first
from queueing.results.pivot import counts_words
from queueing.results.record import How, Quantity
from queueing.results.repeats import REPEAT, Group, grouped, left_out
from queueing.results.runs_table import chosen_metrics, default_metric
from queueing.results.spool import Spool
from queueing.results.statistics import mean_of, median_of
from queueing.results.table import Column, Kind
from store.errors import UserError
from store.states import State


@dataclass(frozen=True, slots=True, kw_only=True)
class _GroupField:
    """A column. `greatest` as in Field."""

    column: Column
    get: Callable[[Group], Any]
    greatest: bool | None = None


def groups_table(ask: Ask, spool: Spool, known: Known) -> Lines:
    """The groups in the order that was asked for. Raises UserError for unknown names."""
    _check(ask, known)
    quantities = [quantity_of(name, known) for name in chosen_metrics(ask, known)]
    groups = grouped(spool.read(), ask.over, quantities, known, unfinished=ask.unfinished)
    fields = _fields(ask, quantities, known)
    shown = [_chosen(name, fields) for name in ask.columns] or fields
    is_sorted = ask.sort is not None or ask.best is not None
    if is_sorted:
        groups = _sorted(groups, _chosen(ask.sort or default_metric(ask, known), fields), ask)

    def lines(places: Sequence[int] | None = None) -> Iterator[Line]:
        for group in groups if places is None else [groups[i] for i in places]:
            yield group.record, tuple(field.get(group) for field in shown)

    return Lines(
        columns=columns_once(field.column for field in shown),
        read=lines,
        size=len(groups),
        caption=_caption(ask, known),
        is_sorted=is_sorted,
    )


def _check(ask: Ask, known: Known) -> None:
    allowed = [REPEAT, *known.census.params]
    for name in ask.over:
        if name not in allowed:
            raise UserError(f"--over {name}: is no parameter of these runs{guess(name, allowed)}")


def _sorted(groups: list[Group], by: _GroupField, ask: Ask) -> list[Group]:
    descending = bool(by.greatest) != ask.reverse
    return [groups[i] for i in best_first((by.get(group) for group in groups), descending=descending)][: ask.best]


def _caption(ask: Ask, known: Known) -> str:
    spread = "median [quartiles]" if ask.median else f"mean ± {100 * ask.level:g} % confidence interval"
    counted = counts_words(known.census.states, unfinished=ask.unfinished)
    return f"{spread} over {', '.join(ask.over)}; {counted}"


def _fields(ask: Ask, quantities: Sequence[Quantity], known: Known) -> list[_GroupField]:
    census = known.census
    fields = [_of_first(run_field("experiment", known))] if len(census.experiments) > 1 else []
    shown = [name for name in census.varying if name not in left_out(ask.over)]
    fields += [_of_first(param_field(name, known)) for name in shown]
    if census.repeats and REPEAT not in ask.over:
        fields.append(_of_first(run_field(REPEAT, known)))
    fields.append(_GroupField(column=Column(name=RUNS, kind=Kind.WHOLE), get=lambda group: group.runs))
    for state in _states_shown(census):
        column = Column(name=state.value, kind=Kind.WHOLE)
        fields.append(_GroupField(column=column, get=partial(_count, state=state)))
    return fields + [_estimate(ask, quantity, known) for quantity in quantities]


def _states_shown(census: Census) -> list[State]:
    """What became of the runs: failures are never hidden."""
    always = [State.FINISHED, State.FAILED]
    return always + [state for state in State if census.states[state] and state not in always]


def _estimate(ask: Ask, quantity: Quantity, known: Known) -> _GroupField:
    def get(group: Group) -> Any:
        values = group.values[quantity]
        return median_of(values) if ask.median else mean_of(values, ask.level)

    kind = Kind.MEDIAN if ask.median else Kind.MEAN
    greatest = known.directions.greatest(quantity.metric)
    return _GroupField(column=Column(name=quantity.name, kind=kind), get=get, greatest=greatest)


def _of_first(field: Field) -> _GroupField:
    return _GroupField(column=field.column, get=lambda group: field.get(group.record))


def _count(group: Group, state: State) -> int:
    return group.states[state]


def _chosen(name: str, fields: Sequence[_GroupField]) -> _GroupField:
    """By the name of the column; a metric or a parameter also by its own."""
    by_name = {field.column.name: field for field in fields}
    for known_as in (name, *(f"{how}.{name}" for how in How), name.removeprefix("params.")):
        if known_as in by_name:
            return by_name[known_as]
    raise UserError(f"with --over there is no column {name!r}{guess(name, by_name)}")
