"""What people want to see of which runs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeVar

from queueing.results.census import Census
from queueing.results.pivot import Aggregate
from queueing.results.record import Directions, Record, best_value
from queueing.results.spool import Spool
from store.errors import UserError
from store.outcomes import Outcome
from store.store import RunQuery, Store

T = TypeVar("T")
_AT_ONCE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """All options of `labq results`; `text` is an experiment or a query. Names are those of `fields.field_of`."""

    text: str
    metrics: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    sort: str | None = None
    reverse: bool = False
    best: int | None = None
    directions: Directions = field(default_factory=Directions)
    at_best: str | None = None
    over: tuple[str, ...] = ()
    level: float = 0.95
    median: bool = False
    pivot: tuple[str, str] | None = None
    by: tuple[str, ...] = ()
    bests: bool = False
    aggregate: Aggregate = Aggregate.BEST
    unfinished: bool = False
    compact: bool = False


def read(ask: Ask, query: RunQuery, store: Store) -> tuple[Spool, Census]:
    """All records, in a temporary file. Raises UserError where there are none."""
    spool, census = Spool(), Census()
    for some in _batches(store.outcomes(query), _AT_ONCE):
        for record in _records(some, ask, store):
            spool.add(record)
            census.add(record)
    if not census.runs:
        raise UserError(f"there is no run of {ask.text!r}, neither as an experiment nor as a query; see: labq ls")
    return spool, census


def _records(outcomes: Sequence[Outcome], ask: Ask, store: Store) -> list[Record]:
    """With what the other metrics were where one was best: of each series only that value is read."""
    metric = ask.at_best
    if metric is None:
        return [Record(outcome=outcome) for outcome in outcomes]
    greatest = ask.directions.greatest(metric)
    best = {one.id: best_value(one.summary[metric], greatest=greatest) for one in outcomes if metric in one.summary}
    steps = {run_id: step for run_id, (_, step) in best.items() if step is not None}
    names = sorted({name for one in outcomes for name in one.summary if not name.startswith("clock_")})
    found = store.values_at(steps, names)
    at_best = {run_id: {**values, metric: best[run_id][0]} for run_id, values in found.items()}
    return [Record(outcome=outcome, at_best=at_best.get(outcome.id, {})) for outcome in outcomes]


def _batches(items: Iterator[T], size: int) -> Iterator[list[T]]:
    while batch := list(islice(items, size)):
        yield batch
