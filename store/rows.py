"""Parts of very many runs, one after another: what a data frame is made of. No Run is built."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from store.matching import values
from store.ordering import UNORDERED
from store.query import Field
from store.runs import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """These fields; with `every` also all parameters and the summaries of all metrics."""

    fields: tuple[Field, ...] = ()
    every: bool = False


class Row(NamedTuple):
    """`values` go with `Wanted.fields`: None is missing, a list what a run may have several of.

    `summary`: {metric: {"last": …, "min": …}}, the fields of `MetricSummary`. Like `params` empty without `every`.
    """

    id: str
    values: Sequence[Any]
    params: dict[str, Any]
    summary: dict[str, dict[str, Any]]


def row_of(run: Run, wanted: Wanted, now: datetime) -> Row:
    """The parts of one run."""
    stats = {name: {key: getattr(one, key) for key in one.__slots__} for name, one in run.summary.items()}
    return Row(
        id=run.id,
        values=[_value(values(run, field, now), field) for field in wanted.fields],
        params=run.params if wanted.every else {},
        summary=stats if wanted.every else {},
    )


def _value(found: list[Any], field: Field) -> Any:
    if not found:
        return None
    return found if field in UNORDERED else found[0]
