"""One row per run: the columns asked for, or what every run has, its parameters and its metrics."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

from queueing.frames.collecting import no_search_for_cycles
from queueing.frames.columns import Columns, Filled
from queueing.query.columns import Column, columns
from store.directions import greater_is_better
from store.query import Field, Names, RunField
from store.rows import Wanted, picked
from store.store import RunQuery, Store

ALWAYS: dict[str, RunField] = {
    "run": RunField.ID, "experiment": RunField.EXPERIMENT, "state": RunField.STATE, "reason": RunField.REASON,
    "owner": RunField.OWNER, "tag": RunField.TAG, "finding": RunField.FINDING, "repeat": RunField.REPEAT,
    "attempt": RunField.ATTEMPT, "created": RunField.CREATED, "started": RunField.STARTED, "ended": RunField.ENDED,
    "duration": RunField.DURATION,
}  # fmt: skip
"""Of every run, under the names of the query language; `duration` in seconds."""

_NOTHING: dict[str, Any] = {}
_is_greater_better = lru_cache(maxsize=4096)(greater_is_better)


def run_table(store: Store, query: RunQuery, asked: str | Sequence[str] | None, names: Names) -> list[Filled]:
    """Without `asked`: what every run has, `params.NAME`, and of each metric `best.NAME` and `last.NAME`.

    Raises BadQuery for a field that is none.
    """
    chosen = _chosen(asked, names)
    if chosen is not None:
        return _read(store, query, {column.title: column.field for column in chosen}, every=False)
    return _read(store, query, dict(ALWAYS), every=True)


def _chosen(asked: str | Sequence[str] | None, names: Names) -> tuple[Column, ...] | None:
    if asked is None:
        return None
    return columns(asked if isinstance(asked, str) else ",".join(asked), names)


def _read(store: Store, query: RunQuery, fields: dict[str, Field], *, every: bool) -> list[Filled]:
    table = Columns(list(fields))
    with no_search_for_cycles():
        for rows in store.rows(query, Wanted(fields=tuple(fields.values()), every=every)):
            page = dict(zip(fields, rows.columns, strict=True))
            if every:
                page |= _params(rows.params)
                page |= _metrics(rows.summaries)
            table.add(page, len(rows.ids))
    return table.filled()


def _metrics(tables: Sequence[dict[str, dict[str, Any]]]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for name in _names(tables):
        best = "max" if _is_greater_better(name) else "min"
        summaries = picked(tables, name)
        # A metric that was never a number has no best value, but it was reported: NaN, not missing.
        found[f"best.{name}"] = _of_summaries(summaries, best, float("nan"))
        found[f"last.{name}"] = _of_summaries(summaries, "last", None)
    return found


def _of_summaries(summaries: list[Any], key: str, unknown: float | None) -> list[Any]:
    values = picked([one or _NOTHING for one in summaries], key)
    if unknown is None or values.count(None) == summaries.count(None):
        return values
    return [
        unknown if value is None and one is not None else value for value, one in zip(values, summaries, strict=True)
    ]


def _params(tables: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    """`queueing.space.names.flat` for all runs of a page at once: column by column it takes a tenth of the time."""
    found: dict[str, list[Any]] = {}
    for name in _names(tables):
        _unfold(f"params.{name}", picked(tables, name), found)
    return found


def _unfold(name: str, values: list[Any], found: dict[str, list[Any]]) -> None:
    """A column, or one for each name in the tables that stand in it. An empty table is a value."""
    if dict not in set(map(type, values)):
        found[name] = _beside(found.get(name), values)
        return
    inner = [value if type(value) is dict else {} for value in values]
    rest = [None if one else value for one, value in zip(inner, values, strict=True)]
    if rest.count(None) < len(rest):
        found[name] = _beside(found.get(name), rest)
    for key in _names(inner):
        _unfold(f"{name}.{key}", picked(inner, key), found)


def _beside(before: list[Any] | None, values: list[Any]) -> list[Any]:
    """`{"a.b": 1}` and `{"a": {"b": 1}}` make one column; of a run that has both, the later."""
    if before is None:
        return values
    return [old if new is None else new for old, new in zip(before, values, strict=True)]


def _names(tables: Sequence[dict[str, Any]]) -> dict[str, None]:
    return dict.fromkeys(chain.from_iterable(tables))
