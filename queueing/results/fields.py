"""Which column a name means, and where its values are. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from queueing.query.mistake import guess
from queueing.results.census import Census, param_of
from queueing.results.record import Directions, How, Quantity, Record, measured
from queueing.results.table import Column, Kind
from store.errors import UserError
from store.query import Stat
from store.states import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A column of a table of runs. `greatest`: the best value is the greatest; None where none is better."""

    column: Column
    get: Callable[[Record], Any]
    greatest: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What names can mean in these runs. `at_best` is the metric of `--at-best`; `now` ends what still runs."""

    census: Census
    directions: Directions
    now: datetime
    at_best: str | None = None


_ALIASES = {
    "id": "run", "exp": "experiment", "attempt": "attempts", "tag": "tags", "git": "commit", "created": "queued_at",
    "queued": "queued_at", "started": "started_at", "ended": "ended_at", "duration": "duration_s",
}  # fmt: skip
_GETTERS: dict[str, tuple[Kind, Callable[[Record], Any]]] = {
    "run": (Kind.TEXT, lambda record: record.outcome.id),
    "experiment": (Kind.TEXT, lambda record: record.outcome.experiment),
    "repeat": (Kind.WHOLE, lambda record: record.outcome.repeat),
    "index": (Kind.WHOLE, lambda record: record.outcome.index),
    "state": (Kind.TEXT, lambda record: record.outcome.state.value),
    "reason": (Kind.TEXT, lambda record: record.outcome.reason and record.outcome.reason.value),
    "attempts": (Kind.WHOLE, lambda record: record.outcome.attempt),
    "priority": (Kind.WHOLE, lambda record: record.outcome.priority),
    "tags": (Kind.TEXT, lambda record: ", ".join(record.outcome.tags) or None),
    "owner": (Kind.TEXT, lambda record: record.outcome.owner or None),
    "host": (Kind.TEXT, lambda record: record.outcome.host or None),
    "commit": (Kind.TEXT, lambda record: record.outcome.commit or None),
    "message": (Kind.TEXT, lambda record: record.outcome.message or None),
    "queued_at": (Kind.TIME, lambda record: record.outcome.queued_at),
    "started_at": (Kind.TIME, lambda record: record.outcome.started_at),
    "ended_at": (Kind.TIME, lambda record: record.outcome.ended_at),
    "progress": (Kind.NUMBER, lambda record: record.outcome.progress and record.outcome.progress.fraction),
    "step": (Kind.WHOLE, lambda r: max((one.last_step for one in r.outcome.summary.values()), default=None)),
}
_OF_SUMMARY = {stat.value: Kind.NUMBER if stat in (Stat.LAST, Stat.MIN, Stat.MAX) else Kind.WHOLE for stat in Stat}


def run_field(name: str, known: Known) -> Field:
    """A field that every run has, by its own name."""
    if name == "duration_s":
        return Field(column=Column(name=name, kind=Kind.SECONDS), get=partial(_duration_s, now=known.now))
    kind, get = _GETTERS[name]
    return Field(column=Column(name=name, kind=kind), get=get)


def param_field(name: str, known: Known) -> Field:
    """A parameter. One that is called like another column keeps its first name: `params.state`."""
    called = f"params.{name}" if name in _GETTERS or name == "duration_s" else name
    return Field(column=Column(name=called, kind=known.census.kind(name)), get=lambda record: param_of(record, name))


def metric_field(name: str, known: Known) -> Field:
    """Best and last value of a metric, in one column until a file wants one figure in each."""
    directions = known.directions
    return Field(
        column=Column(name=name, kind=Kind.MEASURED),
        get=lambda record: measured(record, name, directions),
        greatest=directions.greatest(name),
    )


def quantity_field(quantity: Quantity, known: Known) -> Field:
    """One number of a metric."""
    return Field(
        column=Column(name=quantity.name, kind=Kind.NUMBER),
        get=lambda record: quantity.of(record, known.directions),
        greatest=known.directions.greatest(quantity.metric),
    )


def field_of(name: str, known: Known) -> Field:
    """What a person means by a name. Raises UserError, with what was probably meant."""
    plain = _ALIASES.get(name, name)
    if plain in _GETTERS or plain == "duration_s":
        return run_field(plain, known)
    head, _, rest = name.partition(".")
    if rest and head in ("params", "param"):
        if rest not in known.census.params:
            raise UserError(f"no run has a parameter {rest!r}{guess(rest, known.census.params)}")
        return param_field(rest, known)
    is_metric, is_param = name in known.census.metrics, name in known.census.params
    if is_metric and is_param:
        raise UserError(f"{name!r} is a metric and a parameter; write best.{name}, last.{name} or params.{name}")
    if is_metric:
        return metric_field(name, known)
    if is_param:
        return param_field(name, known)
    if rest and (head in _OF_SUMMARY or head in ("best", "best_step", "at_best")):
        return _of_metric(head, rest, known)
    raise _unknown(name, known)


def quantity_of(name: str, known: Known) -> Quantity:
    """`val_loss` (its best value), `last.val_loss`, `at_best.test_loss`. Raises UserError."""
    if name in known.census.metrics:
        is_other = known.at_best is not None and name != known.at_best
        return Quantity(metric=name, how=How.AT_BEST if is_other else How.BEST)
    head, _, rest = name.partition(".")
    if rest and head in list(How):
        check_metric(rest, known)
        return Quantity(metric=rest, how=_how(head, known))
    check_metric(name, known)
    raise AssertionError(name)


def check_metric(name: str, known: Known) -> None:
    """Raises UserError for a metric that no run has reported."""
    if name not in known.census.metrics:
        told = guess(name, known.census.metrics) or "; none has reported any yet"
        raise UserError(f"no run has reported a metric {name!r}{told}")


def shown_metrics(names: Sequence[str]) -> list[str]:
    """Validation and test first; those of the clock tell nothing of a result."""
    shown = [name for name in names if not name.startswith("clock_")]
    order = ("val_loss", "val", "test")
    return sorted(shown, key=lambda name: (*(not name.startswith(front) for front in order), name))


def _of_metric(head: str, metric: str, known: Known) -> Field:
    check_metric(metric, known)
    if head in list(How):
        return quantity_field(Quantity(metric=metric, how=_how(head, known)), known)
    if head == "best_step":
        whole = metric_field(metric, known)
        column = Column(name=f"best_step.{metric}", kind=Kind.WHOLE)
        return Field(column=column, get=lambda record: getattr(whole.get(record), "best_step", None))
    greatest = known.directions.greatest(metric) if head in ("min", "max") else None
    return Field(
        column=Column(name=f"{head}.{metric}", kind=_OF_SUMMARY[head]),
        get=lambda record: getattr(record.outcome.summary.get(metric), head, None),
        greatest=greatest,
    )


def _how(head: str, known: Known) -> How:
    if head == How.AT_BEST and known.at_best is None:
        raise UserError("at_best.… needs --at-best METRIC: the metric whose best step is meant")
    return How(head)


def _unknown(name: str, known: Known) -> UserError:
    fields = [*_GETTERS, "duration_s"]
    names = [*fields, *known.census.params, *known.census.metrics]
    near = guess(name, names, most=0)
    if "did you mean" in near:
        return UserError(f"there is no column {name!r}{near}")
    said = [f"metrics {', '.join(sorted(known.census.metrics)[:12])}"] if known.census.metrics else []
    said += [f"parameters {', '.join(known.census.params[:12])}"] if known.census.params else []
    return UserError(f"there is no column {name!r}; there are {'; '.join([*said, 'and ' + ', '.join(fields)])}")


def _duration_s(record: Record, now: datetime) -> float | None:
    """From the first start to the end, or until now while it runs, as the query language has it."""
    outcome = record.outcome
    end = now if outcome.state is State.RUNNING else outcome.ended_at
    return None if end is None or outcome.started_at is None else (end - outcome.started_at).total_seconds()
