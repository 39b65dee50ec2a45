"""One row per run."""

from collections.abc import Iterator, Sequence

from queueing.results.asking import Ask
from queueing.results.fields import (
    Field,
    Known,
    field_of,
    metric_field,
    param_field,
    quantity_field,
    quantity_of,
    run_field,
    shown_metrics,
)
from queueing.results.lines import Line, Lines, columns_once
from queueing.results.order import best_first
from queueing.results.pivot import counts_words
from queueing.results.record import Quantity
from queueing.results.repeats import REPEAT
from queueing.results.spool import Spool
from store.errors import UserError
from store.states import State

_COMPACT_METRICS = 3


def runs_table(ask: Ask, spool: Spool, known: Known) -> Lines:
    """The runs in the order that was asked for. Raises UserError for unknown names."""
    fields = [field_of(name, known) for name in ask.columns] or _default_fields(ask, known)
    order = _order(ask, spool, known)

    def lines(places: Sequence[int] | None = None) -> Iterator[Line]:
        wanted = order if places is None else [order[i] if order is not None else i for i in places]
        for record in spool.read(wanted):
            yield record, tuple(field.get(record) for field in fields)

    return Lines(
        columns=columns_once(field.column for field in fields),
        read=lines,
        size=len(spool) if order is None else len(order),
        caption=counts_words(known.census.states),
        is_sorted=order is not None,
    )


def default_metric(ask: Ask, known: Known) -> str:
    """The one that is meant when none is named. Raises UserError when that is not plain."""
    if ask.at_best:
        return ask.at_best
    metrics = shown_metrics(sorted(known.census.metrics))
    if "val_loss" in metrics or len(metrics) == 1:
        return "val_loss" if "val_loss" in metrics else metrics[0]
    told = f"there are: {', '.join(metrics[:12])}" if metrics else "no run has reported any yet"
    raise UserError(f"say which metric is meant: --sort METRIC or --metric METRIC; {told}")


def chosen_metrics(ask: Ask, known: Known) -> list[str]:
    """Those that were asked for; else all but those of the clock, on a terminal the first few."""
    if ask.metrics:
        return list(ask.metrics)
    names = shown_metrics(sorted(known.census.metrics))
    if not ask.compact:
        return names
    first = [name for name in (ask.at_best, ask.sort) if name is not None and name in known.census.metrics]
    return list(dict.fromkeys([*first, *names]))[:_COMPACT_METRICS]


def _order(ask: Ask, spool: Spool, known: Known) -> list[int] | None:
    """Which records, in which order; None for all as they come."""
    if ask.sort is None and ask.best is None:
        return None
    field = field_of(ask.sort, known) if ask.sort else metric_field(default_metric(ask, known), known)
    descending = bool(field.greatest) != ask.reverse
    return best_first((field.get(record) for record in spool.read()), descending=descending)[: ask.best]


def _default_fields(ask: Ask, known: Known) -> list[Field]:
    census = known.census
    fields = [run_field("run", known)]
    if len(census.experiments) > 1:
        fields.append(run_field("experiment", known))
    fields += [param_field(name, known) for name in census.varying]
    if census.repeats:
        fields.append(run_field(REPEAT, known))
    fields.append(run_field("state", known))
    if set(census.states) & {State.FAILED, State.CANCELLED}:
        fields.append(run_field("reason", known))
    fields += [run_field("attempts", known), run_field("duration_s", known)]
    return fields + _metric_fields(ask, known)


def _metric_fields(ask: Ask, known: Known) -> list[Field]:
    names = chosen_metrics(ask, known)
    if ask.at_best is None:
        return [field_of(name, known) if ask.metrics else _metric_field(name, known) for name in names]
    best = [metric_field(ask.at_best, known)]
    others = [quantity_of(name, known) for name in names if name != ask.at_best]
    return best + [quantity_field(one, known) for one in others]


def _metric_field(name: str, known: Known) -> Field:
    """One that is called like a parameter is told from it by its name."""
    if name in known.census.params:
        return quantity_field(Quantity(metric=name), known)
    return metric_field(name, known)
