"""One row per run: the columns asked for, or what every run has, its parameters and its metrics."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from queueing.frames.columns import Columns, Filled
from queueing.query.columns import Column, columns
from store.directions import greater_is_better
from store.query import Field, Names, RunField
from store.rows import Wanted
from store.store import RunQuery, Store

ALWAYS: dict[str, RunField] = {
    "run": RunField.ID, "experiment": RunField.EXPERIMENT, "state": RunField.STATE, "reason": RunField.REASON,
    "owner": RunField.OWNER, "tag": RunField.TAG, "finding": RunField.FINDING, "repeat": RunField.REPEAT,
    "attempt": RunField.ATTEMPT, "created": RunField.CREATED, "started": RunField.STARTED, "ended": RunField.ENDED,
    "duration": RunField.DURATION,
}  # fmt: skip
"""Of every run, under the names of the query language; `duration` in seconds."""

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
    for rows in store.rows(query, Wanted(fields=tuple(fields.values()), every=every)):
        page = dict(zip(fields, rows.columns, strict=True))
        if every:
            page |= _params([_flat(params) for params in rows.params])
            page |= _metrics(rows.summaries)
        table.add(page, len(rows.ids))
    return table.filled()


def _metrics(tables: Sequence[dict[str, dict[str, Any]]]) -> dict[str, list[Any]]:
    names = {name: None for table in tables for name in table}
    found: dict[str, list[Any]] = {}
    for name in names:
        best = "max" if _is_greater_better(name) else "min"
        summaries = [table.get(name) for table in tables]
        # A metric that was never a number has no best value, but it was reported: NaN, not missing.
        found[f"best.{name}"] = [None if one is None else _or_nan(one.get(best)) for one in summaries]
        found[f"last.{name}"] = [None if one is None else one.get("last") for one in summaries]
    return found


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value


def _params(tables: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    names = {name: None for table in tables for name in table}
    return {f"params.{name}": [table.get(name) for table in tables] for name in names}


def _flat(params: dict[str, Any]) -> dict[str, Any]:
    """`queueing.space.names.flat` for what MongoDB gives, in a quarter of its time: this is done a million times."""
    found: dict[str, Any] = {}
    for name, value in params.items():
        if type(value) is dict and value:
            for inner, one in _flat(value).items():
                found[f"{name}.{inner}"] = one
        else:
            found[name] = value
    return found
