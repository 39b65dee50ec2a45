"""Parts of very many runs, a page at a time and column by column: what data frames are made of. No Run is built."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import repeat
from operator import itemgetter
from typing import Any, NamedTuple

from store.matching import values
from store.ordering import UNORDERED
from store.query import Field, Metric, Stat
from store.runs import Run

_SHOWN = (Stat.LAST, Stat.MIN, Stat.MAX)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """These fields; with `every` also all parameters and the `stats` of all metrics."""

    fields: tuple[Field, ...] = ()
    every: bool = False

    @property
    def stats(self) -> tuple[str, ...]:
        """What tables show of each metric, and what a field asks for."""
        asked = [field.stat for field in self.fields if isinstance(field, Metric)]
        return tuple(dict.fromkeys(stat.value for stat in (*_SHOWN, *asked)))


class RowPage(NamedTuple):
    """`columns` go with `Wanted.fields`, a value for each id: None is missing, a list what a run may have several of.

    Times are UTC without saying so: a zone for each of a million costs seconds. `summaries`: {metric: {"last": …}} with
    the `stats` that are wanted; like `params` an empty list without `every`.
    """

    ids: list[str]
    columns: list[list[Any]]
    params: list[dict[str, Any]]
    summaries: list[dict[str, dict[str, Any]]]


def page_of(runs: Sequence[Run], wanted: Wanted, now: datetime) -> RowPage:
    """The parts of these runs."""
    return RowPage(
        ids=[run.id for run in runs],
        columns=[[_value(values(run, field, now), field) for run in runs] for field in wanted.fields],
        params=[run.params for run in runs] if wanted.every else [],
        summaries=[_summary(run, wanted.stats) for run in runs] if wanted.every else [],
    )


def picked(tables: Sequence[dict[str, Any]], name: str) -> list[Any]:
    """What each has under this name; None is missing. Where all have it, in a third of the time."""
    try:
        return list(map(itemgetter(name), tables))
    except KeyError:
        return list(map(dict.get, tables, repeat(name)))


def _summary(run: Run, stats: Sequence[str]) -> dict[str, dict[str, Any]]:
    return {name: {key: getattr(one, key) for key in stats} for name, one in run.summary.items()}


def _value(found: list[Any], field: Field) -> Any:
    if not found:
        return None
    if field in UNORDERED:
        return found
    return found[0].astimezone(UTC).replace(tzinfo=None) if isinstance(found[0], datetime) else found[0]
