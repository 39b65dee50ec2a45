"""Views for whoever asks MongoDB directly: they stay as they are when the documents behind them change.

`run_table`: one flat document for each run. `curves`: one document for each point, those of superseded attempts not
among them, as in the buckets. Both are computed while they are read. Conditions on plain fields of `run_table`, on its
`params`, on `run` and `name` of `curves` go along the indexes of the collections.
"""

from typing import Any

from pymongo.database import Database
from pymongo.errors import CollectionInvalid, OperationFailure

from store.mongo.client import Document

_NAMESPACE_EXISTS = 48


def _of_summary(field: str) -> Document:
    """{metric: value} out of the summaries of all metrics."""
    each = {"k": "$$one.k", "v": f"$$one.v.{field}"}
    return {"$arrayToObject": {"$map": {"input": {"$objectToArray": "$summary"}, "as": "one", "in": each}}}


_NEWEST = {"$ifNull": [{"$last": "$history"}, {}]}

RUN_TABLE: list[Document] = [
    {
        "$project": {
            "experiment": 1, "state": 1, "reason": 1, "owner": 1, "tags": 1, "queue": 1, "priority": 1, "repeat": 1,
            "index": 1, "params": 1, "attempt": 1, "queued_at": 1, "started_at": 1, "ended_at": 1, "key": 1,
            "duration_s": {"$divide": [{"$subtract": ["$ended_at", "$started_at"]}, 1000]},
            "last": _of_summary("last"),
            "last_step": _of_summary("last_step"),
            "min": _of_summary("min"),
            "min_step": _of_summary("min_step"),
            "max": _of_summary("max"),
            "max_step": _of_summary("max_step"),
            "points": _of_summary("count"),
            "message": "$ending.message",
            "exit_code": "$ending.exit_code",
            "host": {"$getField": {"field": "host", "input": {"$getField": {"field": "facts", "input": _NEWEST}}}},
            "commit": "$provenance.git.commit",
            "peak_memory_bytes": {"$max": "$history.peaks.memory_bytes"},
        }
    }
]  # fmt: skip

_ROWS = {
    "$map": {
        "input": {"$zip": {"inputs": ["$step", "$time", "$value"]}},
        "as": "row",
        "in": {
            "step": {"$arrayElemAt": ["$$row", 0]},
            "time": {"$arrayElemAt": ["$$row", 1]},
            "value": {"$arrayElemAt": ["$$row", 2]},
        },
    }
}

CURVES: list[Document] = [
    {"$project": {"_id": 0, "run": 1, "name": 1, "attempt": 1, "rows": _ROWS}},
    {"$unwind": "$rows"},
    {
        "$project": {
            "run": 1, "name": 1, "attempt": 1, "step": "$rows.step", "value": "$rows.value",
            "at": {"$toDate": {"$multiply": ["$rows.time", 1000]}},
        }
    },
]  # fmt: skip

VIEWS: dict[str, tuple[str, list[Document]]] = {"run_table": ("runs", RUN_TABLE), "curves": ("metrics", CURVES)}


def ensure_views(database: Database[Any]) -> None:
    """Create them, or bring them up to date."""
    for name, (source, pipeline) in VIEWS.items():
        try:
            database.create_collection(name, viewOn=source, pipeline=pipeline, check_exists=False)
        except (CollectionInvalid, OperationFailure) as error:
            if isinstance(error, OperationFailure) and error.code != _NAMESPACE_EXISTS:
                raise
            database.command("collMod", name, viewOn=source, pipeline=pipeline)
