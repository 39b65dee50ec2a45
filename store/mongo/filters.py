"""A condition as a MongoDB filter. The same as `store.matching`, in MongoDB's words."""

import re
from datetime import UTC, datetime

from bson import json_util
from bson.json_util import JSONOptions

from store.mongo.client import Document
from store.query import (
    KINDS,
    All,
    Among,
    Compared,
    Condition,
    Contains,
    Field,
    Kind,
    Like,
    Metric,
    Missing,
    Not,
    Op,
    Param,
    RawMongo,
    RunField,
    Some,
    Value,
)
from store.states import State

OPERATORS = {Op.EQUAL: "$eq", Op.LESS: "$lt", Op.AT_MOST: "$lte", Op.GREATER: "$gt", Op.AT_LEAST: "$gte"}
DERIVED = "derived"
"""The field of a run's document under which `store.mongo.derived` keeps what is made of others."""

_ANYTHING = r"[\s\S]*"
_EVERY_TYPE = ["double", "int", "long", "decimal", "string", "bool", "object", "array", "date"]

PATHS: dict[RunField, str] = {
    RunField.ID: "_id",
    RunField.TAG: "tags",
    RunField.FINDING: "findings",
    RunField.HOST: "history.facts.host",
    RunField.WORKER: "history.worker",
    RunField.GIT: "provenance.git.commit",
    RunField.BRANCH: "provenance.git.branch",
    RunField.DIRTY: "provenance.git.dirty",
    RunField.TRAINER: "task.trainer",
    RunField.COMMAND: "task.command",
    RunField.WORKDIR: "task.workdir",
    RunField.MESSAGE: "ending.message",
    RunField.EXIT_CODE: "ending.exit_code",
    RunField.SIGNAL: "ending.signal",
    RunField.GPUS: "resources.gpus",
    RunField.CPUS: "resources.cpus",
    RunField.MEMORY: "resources.memory_bytes",
    RunField.DISK: "resources.disk_bytes",
    RunField.PEAK_MEMORY: "ending.peak_memory_bytes",
    RunField.TIME_LIMIT: "resources.time_s",
    RunField.CREATED: "queued_at",
    RunField.STARTED: "started_at",
    RunField.ENDED: "ended_at",
    RunField.DONE: "progress.done",
    RunField.DURATION: f"{DERIVED}.duration_s",
    RunField.RUNNING_TIME: f"{DERIVED}.running_time_s",
    RunField.PROGRESS: f"{DERIVED}.progress",
    RunField.STEP: f"{DERIVED}.step",
}
"""Fields whose name in the document is another one."""

EARLIEST = datetime(1971, 1, 1, tzinfo=UTC)

EMPTY_IS_MISSING = frozenset({RunField.MESSAGE, RunField.REMARK})

_PROGRESS: Document = {
    "$cond": [
        {"$gt": ["$progress.total", 0]},
        {"$divide": ["$progress.done", "$progress.total"]},
        {"$cond": [{"$eq": [{"$type": "$progress"}, "object"]}, 0.0, None]},
    ]
}
_ENDED_OR_NOW: Document = {
    "$ifNull": [
        "$$this.ended_at",
        {"$cond": [{"$eq": ["$state", State.RUNNING.value]}, "$$NOW", "$$this.started_at"]},
    ]
}
COMPUTED: dict[RunField, Document] = {
    RunField.DURATION: {
        "$divide": [
            {
                "$subtract": [
                    {"$cond": [{"$eq": ["$state", State.RUNNING.value]}, "$$NOW", "$ended_at"]},
                    "$started_at",
                ]
            },
            1000,
        ]
    },
    RunField.RUNNING_TIME: {
        "$cond": [
            {"$gt": [{"$size": {"$ifNull": ["$history", []]}}, 0]},
            {
                "$divide": [
                    {
                        "$sum": {
                            "$map": {
                                "input": "$history",
                                "in": {"$subtract": [_ENDED_OR_NOW, "$$this.started_at"]},
                            }
                        }
                    },
                    1000,
                ]
            },
            None,
        ]
    },
    RunField.PROGRESS: {
        "$cond": [
            {"$gte": [_PROGRESS, float("-inf")]},  # a number, and not NaN
            {"$min": [{"$max": [_PROGRESS, 0.0]}, 1.0]},
            None,
        ]
    },
    RunField.STEP: {
        "$max": {"$map": {"input": {"$objectToArray": {"$ifNull": ["$summary", {}]}}, "in": "$$this.v.last_step"}}
    },
}
"""How the fields are made that a document holds under `derived`."""

TICKING = frozenset({RunField.DURATION, RunField.RUNNING_TIME})
"""They grow while a run runs, so of a running run no document holds them."""


def to_filter(condition: Condition) -> Document:
    """The filter that finds the runs for which the condition holds."""
    match condition:
        case All(parts=parts):
            return {"$and": [to_filter(part) for part in parts]} if parts else {}
        case Some(parts=parts):
            return {"$or": [to_filter(part) for part in parts]} if parts else _NOTHING
        case Not(part=part):
            return _negated(part)
        case Missing(field=field):
            return missing(field)
        case Compared(field=field, op=op, value=value):
            return _not_empty(field, _compared(field, op, value))
        case Among(field=field, values=values):
            return _not_empty(field, _among(field, values))
        case Like(field=field, pieces=pieces):
            return _not_empty(field, {path(field): {"$regex": _glob(pieces)}})
        case Contains(field=field, text=text):
            return _not_empty(field, {path(field): {"$regex": re.escape(text), "$options": "i"}})
        case RawMongo(text=text):
            return raw_filter(text)


_NOTHING: Document = {"_id": {"$in": []}}


def path(field: Field) -> str:
    """Where a document holds the field."""
    if isinstance(field, Metric):
        return f"summary.{field.name}.{field.stat.value}"
    if isinstance(field, Param):
        return ".".join(("params", *field.path))
    return PATHS.get(field, field.value)


def raw_filter(text: str) -> Document:
    """A filter that a person wrote: JSON, with MongoDB's extended forms such as `{"$date": …}`."""
    options: JSONOptions = JSONOptions(tz_aware=True)
    filter_: Document = json_util.loads(text, json_options=options)
    return filter_


def _compared(field: Field, op: Op, value: Value) -> Document:
    if isinstance(field, RunField) and field in TICKING:
        now = {"state": State.RUNNING.value, "$expr": _is_number_and(COMPUTED[field], op, value)}
        return {"$or": [{path(field): {OPERATORS[op]: value}}, now]}
    if isinstance(field, RunField) and KINDS.get(field) is Kind.ID:
        return {path(field): {"$regex": f"^{re.escape(str(value))}"}}
    return {path(field): {OPERATORS[op]: value}}


def _not_empty(field: Field, found: Document) -> Document:
    """An empty message is no message. Said as an index has it that is read instead of the runs."""
    if field not in EMPTY_IS_MISSING:
        return found
    return {"$and": [found, {path(field): {"$gt": ""}}, {"queued_at": {"$gte": EARLIEST}}]}


def _among(field: Field, values: tuple[Value, ...]) -> Document:
    if isinstance(field, RunField) and (field in TICKING or KINDS.get(field) is Kind.ID):
        return {"$or": [_compared(field, Op.EQUAL, value) for value in values]} if values else _NOTHING
    return {path(field): {"$in": list(values)}}


def _is_number_and(expression: Document, op: Op, value: Value) -> Document:
    """In an expression, null and NaN are less than every number; in a comparison they are nothing."""
    compared = {OPERATORS[op]: ["$$it", {"$literal": value}]}
    return {"$let": {"vars": {"it": expression}, "in": {"$and": [{"$gte": ["$$it", float("-inf")]}, compared]}}}


def _negated(part: Condition) -> Document:
    """`state != finished` as the list of the other states, which an index can answer."""
    if isinstance(part, Compared) and part.field is RunField.STATE:
        return {"state": {"$in": [state.value for state in State if state.value != part.value]}}
    if isinstance(part, Among) and part.field is RunField.STATE:
        return {"state": {"$in": [state.value for state in State if state.value not in part.values]}}
    return {"$nor": [to_filter(part)]}


def missing(field: Field) -> Document:
    """The filter for runs in which a field has no value."""
    if isinstance(field, RunField) and field in TICKING:
        now = {"state": State.RUNNING.value, "$expr": {"$isNumber": COMPUTED[field]}}
        return {path(field): None, "$nor": [now]}
    if field in EMPTY_IS_MISSING:
        return {path(field): {"$in": [None, ""]}}
    if field in (RunField.TAG, RunField.FINDING, RunField.COMMAND):
        return {f"{path(field)}.0": {"$exists": False}}
    if isinstance(field, Param) or field in (RunField.HOST, RunField.WORKER):
        return {path(field): {"$not": {"$type": _EVERY_TYPE}}}
    return {path(field): None}


def _glob(pieces: tuple[str, ...]) -> str:
    """Anchored, so that what stands before the first `*` can be found by an index."""
    body = _ANYTHING.join(re.escape(piece) for piece in pieces)
    return f"^{body.removesuffix(_ANYTHING)}" if pieces[-1] == "" and len(pieces) > 1 else rf"^{body}\z"
