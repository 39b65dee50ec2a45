"""From what was asked to tables: thin over `runs_table`, `groups_table` and `pivot`."""

from dataclasses import dataclass

from queueing.query.asking import understood
from queueing.results.asking import Ask, read
from queueing.results.bests import bests_table, usual_metrics
from queueing.results.fields import Field, Known, check_metric, field_of, quantity_of
from queueing.results.groups_table import groups_table
from queueing.results.lines import Lines
from queueing.results.pivot import Shape, pivots
from queueing.results.repeats import REPEAT
from queueing.results.runs_table import default_metric, runs_table
from queueing.results.spool import Spool
from queueing.results.table import Kind, Table
from store.errors import UserError
from store.experiments import Experiment
from store.store import RunQuery, Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The runs (or the groups of runs), and the pivots that were asked for.

    `experiment`: of all of them, where it is one.
    """

    experiment: Experiment | None
    lines: Lines
    pivots: tuple[Table, ...]
    known: Known


def report(ask: Ask, store: Store) -> Report:
    """The runs of an experiment of this name, else of a query. Raises UserError, BadQuery, StoreUnavailable."""
    is_name = store.experiment(ask.text) is not None
    query = RunQuery(experiment=ask.text) if is_name else RunQuery(where=understood(ask.text, store))
    spool, census = read(ask, query, store)
    experiment = store.experiment(next(iter(census.experiments))) if len(census.experiments) == 1 else None
    known = Known(census=census, directions=ask.directions, now=store.now(), at_best=ask.at_best)
    for metric in (*ask.directions.greater, *ask.directions.smaller, *filter(None, [ask.at_best])):
        check_metric(metric, known)
    lines = groups_table(ask, spool, known) if ask.over else runs_table(ask, spool, known)
    return Report(experiment=experiment, lines=lines, pivots=_pivots(ask, spool, known), known=known)


def _pivots(ask: Ask, spool: Spool, known: Known) -> tuple[Table, ...]:
    if ask.bests:
        return (_bests(ask, spool, known),)
    if ask.pivot is None:
        return ()
    rows, columns, *by = fields = [field_of(name, known) for name in (*ask.pivot, *ask.by)]
    _check(fields)
    over = _summed_up([field.column.name for field in fields], known)
    tables: list[Table] = []
    for name in ask.metrics or (ask.sort or default_metric(ask, known),):
        quantity = quantity_of(name, known)
        shape = Shape(
            rows=rows, columns=columns, by=tuple(by), quantity=quantity, aggregate=ask.aggregate, level=ask.level,
            unfinished=ask.unfinished,
        )  # fmt: skip
        tables += pivots(spool.read(), shape, known, over)
    return tuple(tables)


def _bests(ask: Ask, spool: Spool, known: Known) -> Table:
    by = [field_of(name, known) for name in ask.by]
    _check(by)
    metrics = ask.metrics or usual_metrics(known, default_metric(ask, known))
    return bests_table(spool.read(), metrics, by, known, unfinished=ask.unfinished)


def _check(fields: list[Field]) -> None:
    names = [field.column.name for field in fields]
    if len(set(names)) < len(names):
        raise UserError(f"--pivot, --by: {' '.join(names)}: each column can be used once")
    for field in fields:
        if field.column.kind is Kind.MEASURED:
            said = f"--pivot ROWS COLUMNS --metric {field.column.name}"
            raise UserError(f"--pivot {field.column.name}: is a metric, which goes into the cells: {said}")


def _summed_up(used: list[str], known: Known) -> list[str]:
    """What differs within a cell."""
    census = known.census
    over = [name for name in census.varying if name not in used and f"params.{name}" not in used]
    return over + ([REPEAT] if census.repeats and REPEAT not in used else [])
