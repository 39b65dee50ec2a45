"""Collections, indexes and validators: created by labq, with a version."""

from datetime import UTC, datetime
from typing import Any

import pymongo
from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.database import Database
from pymongo.errors import CollectionInvalid, OperationFailure

from store.allocations import KEEP_S, Phase
from store.errors import BeingRestored, StoreFailed
from store.logbook import say
from store.mongo.client import Document, guarded
from store.mongo.derived import derive_all
from store.mongo.filters import DERIVED, EMPTY_IS_MISSING, path
from store.mongo.findings import tell_all_runs
from store.mongo.for_analysts import ensure_views
from store.notices import NoticeState
from store.schedulers import Scheduler
from store.states import Reason, State
from store.studies import StudyState, TrialState

VERSION = 11

_UP, _DOWN = ASCENDING, DESCENDING

QUEUE_ORDER = [("state", _UP), ("queue", _UP), ("priority", _DOWN), ("queued_at", _UP), ("index", _UP)]
CLAIM_ORDER = [*QUEUE_ORDER[:2], ("resources", _UP), *QUEUE_ORDER[2:]]
"""A worker looks only among runs whose demands it meets, however many others come before them."""

SPAN_ORDER = [*QUEUE_ORDER[:2], ("experiment", _UP), ("resources", _UP), *QUEUE_ORDER[2:]]
"""For a worker whose time ends: experiments that take too long are no obstacle, however many runs they have."""

TRIED = "outlook.wasted_s"
"""Every run has it that was interrupted before."""

_BY_AGE = (("queued_at", _UP), ("index", _UP), ("_id", _UP))
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)

_TEXTS = tuple(map(path, sorted(EMPTY_IS_MISSING)))
_FACTS = dict.fromkeys(
    ("queue", "owner", "attempt", "priority", "setbacks", "history.facts.host", "history.worker", "ending.exit_code",
     "ending.signal", "ending.peak_memory_bytes", "progress.done", DERIVED), 1,
)  # fmt: skip
"""What very many runs are found and sorted by, but not what they ask for and come from (resources, git, workdir): each
costs 3 us of every enqueued run."""

INDEXES: dict[str, list[IndexModel]] = {
    "experiments": [IndexModel([("created_at", _DOWN)])],
    "runs": [
        IndexModel([("key", _UP)], unique=True),
        IndexModel(QUEUE_ORDER),
        IndexModel(CLAIM_ORDER),
        IndexModel(SPAN_ORDER, name="spans", partialFilterExpression={"state": State.QUEUED.value}),
        IndexModel(
            [*QUEUE_ORDER, ("_id", _UP)],
            name="tried",
            partialFilterExpression={"state": State.QUEUED.value, TRIED: {"$gte": 0}},
        ),
        IndexModel([*_BY_AGE]),
        IndexModel([("state", _UP), *_BY_AGE]),
        IndexModel([("experiment", _UP), ("state", _UP), *_BY_AGE]),
        IndexModel([("tags", _UP), *_BY_AGE], partialFilterExpression={"tags": {"$gt": ""}}),
        IndexModel([("findings", _UP), *_BY_AGE], partialFilterExpression={"findings": {"$gt": ""}}),
        IndexModel([("reason", _UP), *_BY_AGE], partialFilterExpression={"reason": {"$gt": ""}}),
        IndexModel([("started_at", _UP)], partialFilterExpression={"started_at": {"$gt": _LONG_AGO}}),
        IndexModel([("ended_at", _UP)], partialFilterExpression={"ended_at": {"$gt": _LONG_AGO}}),
        # Any parameter and any number of any metric, to find runs and to sort them.
        IndexModel([("$**", _UP)], name="values", wildcardProjection={"params": 1, "summary": 1}),
        IndexModel([("$**", _UP)], name="facts", wildcardProjection=_FACTS),
        # Texts in which something is searched, newest run first: read instead of the runs.
        *(IndexModel([*_BY_AGE, (text, _UP)], partialFilterExpression={text: {"$gt": ""}}) for text in _TEXTS),
        IndexModel([("lease.until", _UP)], partialFilterExpression={"state": State.RUNNING.value}),
        IndexModel([("lease.worker", _UP)], partialFilterExpression={"state": State.RUNNING.value}),
        IndexModel([("experiment", _UP), ("state", _UP)], partialFilterExpression={"judged.unread": True}),
    ],
    "diagnoses": [
        IndexModel([("over", _UP)], partialFilterExpression={"over": False}),
        IndexModel([("treat", _UP)], partialFilterExpression={"treat": True}),
    ],
    "courses": [IndexModel([("experiment", _UP)], partialFilterExpression={"ruling.hold": False})],
    "rungs": [
        IndexModel([("run", _UP), ("at", _UP)], unique=True),
        IndexModel([("experiment", _UP), ("at", _UP), ("run", _UP)]),
    ],
    "metrics": [IndexModel([("run", _UP), ("name", _UP), ("attempt", _UP), ("bucket", _UP)], unique=True)],
    "logs": [IndexModel([("run", _UP), ("attempt", _UP), ("offset", _UP)], unique=True)],
    "checkpoints": [IndexModel([("run", _UP), ("attempt", _DOWN), ("line", _DOWN)])],
    "uploads": [IndexModel([("run", _UP)]), IndexModel([("state", _UP)])],
    "artifact_uploads": [IndexModel([("state", _UP)])],
    "checkpoint_files.files": [],
    "checkpoint_files.chunks": [IndexModel([("files_id", _UP), ("n", _UP)], unique=True)],
    "artifacts.chunks": [IndexModel([("files_id", _UP), ("n", _UP)], unique=True)],
    "artifacts.files": [IndexModel([("metadata.run", _UP), ("filename", _UP)])],
    "events": [
        IndexModel([("run", _UP), ("at", _UP)]),
        # What nobody has been told of yet: a few of all events, in the order in which they happened.
        IndexModel([("at", _UP)], partialFilterExpression={"owed": {"$gt": ""}}),
    ],
    "outbox": [
        IndexModel([("state", _UP), ("created_at", _UP)]),
        IndexModel([("run", _UP)]),
        IndexModel([("experiment", _UP), ("run", _UP), ("created_at", _UP)]),
        IndexModel([("parts.run", _UP)], partialFilterExpression={"digest": {"$gt": ""}}),
        IndexModel([("digest", _UP)], unique=True, partialFilterExpression={"state": NoticeState.GATHERING.value}),
    ],
    "notifiers": [IndexModel("seen_at", expireAfterSeconds=7 * 86400)],
    "rules": [],
    "mutes": [],
    "remembered": [],
    "samples": [
        IndexModel([("run", _UP), ("attempt", _UP), ("at", _UP)]),
        IndexModel("expires_at", expireAfterSeconds=0),
    ],
    "studies": [IndexModel([("state", _UP), ("created_at", _UP)])],
    "trials": [
        IndexModel([("study", _UP), ("number", _UP)], unique=True),
        IndexModel([("state", _UP), ("study", _UP), ("number", _UP)]),
    ],
    "workers": [IndexModel([("seen_at", _UP)])],
    "drains": [],
    "allocations": [
        IndexModel([("phase", _UP)]),
        IndexModel(
            [("ended_at", _UP)], expireAfterSeconds=KEEP_S, partialFilterExpression={"ended_at": {"$gt": _LONG_AGO}}
        ),
    ],
    "locks": [],
    "names": [],
    "views": [],
    "blobs": [],
}


_ZSTD: dict[str, Any] = {"storageEngine": {"wiredTiger": {"configString": "block_compressor=zstd"}}}
COMPRESSED = {"metrics": _ZSTD, "logs": _ZSTD}
"""Numbers and texts of which there are many. Those that an earlier version has created stay as they are."""

REPLACED = {"runs": ("experiment_1_queued_at_1_index_1", "queued_at_1_index_1")}
"""Indexes of earlier versions that others do the work of now."""
_BUILDING_S = 3600.0
"""The indexes of a million runs take minutes to build, once; runs go on meanwhile."""


def _object(required: dict[str, Any]) -> dict[str, Any]:
    return {"$jsonSchema": {"bsonType": "object", "required": list(required), "properties": required}}


_STRING, _INT, _DATE, _ARRAY = ({"bsonType": t} for t in ("string", ["int", "long"], "date", "array"))

VALIDATORS: dict[str, dict[str, Any]] = {
    "runs": _object(
        {
            "_id": _STRING,
            "key": _STRING,
            "experiment": _STRING,
            "params": {"bsonType": "object"},
            "state": {"enum": [state.value for state in State]},
            "reason": {"enum": [None, *(reason.value for reason in Reason)]},
            "attempt": _INT,
            "priority": _INT,
            "queued_at": _DATE,
            "history": _ARRAY,
        }
    ),
    "metrics": _object(
        {"run": _STRING, "name": _STRING, "attempt": _INT, "step": _ARRAY, "time": _ARRAY, "value": _ARRAY}
    ),
    "logs": _object({"run": _STRING, "attempt": _INT, "offset": _INT, "data": {"bsonType": "binData"}}),
    "checkpoints": _object({"run": _STRING, "attempt": _INT, "step": _INT, "sha256": _STRING}),
    "studies": _object({"_id": _STRING, "name": _STRING, "state": {"enum": [state.value for state in StudyState]}}),
    "trials": _object(
        {
            "_id": _STRING,
            "study": _STRING,
            "number": _INT,
            "params": {"bsonType": "object"},
            "state": {"enum": [state.value for state in TrialState]},
            "told": _STRING,
        }
    ),
    "allocations": _object(
        {
            "_id": _STRING,
            "submission": _STRING,
            "scheduler": {"enum": [scheduler.value for scheduler in Scheduler]},
            "phase": {"enum": [phase.value for phase in Phase]},
        }
    ),
    "outbox": _object({"_id": _STRING, "run": _STRING, "to": _ARRAY, "state": _STRING}),
}


@guarded
def ensure_schema(database: Database[Document]) -> None:
    """Create what is missing; refuse a database that a newer labq has changed, or that is half restored. Safe to run
    twice at once."""
    known = {one["_id"]: one for one in database["meta"].find({"_id": {"$in": ["schema", "restore"]}})}
    if "restore" in known:
        raise BeingRestored(
            f"database {database.name} is being restored from {known['restore']['file']}; if that was interrupted: "
            f"labq restore {known['restore']['file']}"
        )
    found = known.get("schema")
    make_schema(database, found["version"] if found else 0)


def make_schema(database: Database[Document], version: int) -> None:
    """Bring a database from this version to ours."""
    if version > VERSION:
        raise StoreFailed(f"database {database.name} has schema {version}, this labq knows {VERSION}: upgrade labq")
    if version == VERSION:
        return
    if version:
        say("schema-upgrade", database=database.name, old=version, new=VERSION)
    with pymongo.timeout(_BUILDING_S):
        if version and version < 11:
            derive_all(database)
        for name, indexes in INDEXES.items():
            _ensure_collection(database, name)
            if indexes:
                database[name].create_indexes(indexes)
        for name, replaced in REPLACED.items():
            _drop_indexes(database, name, replaced)
        ensure_views(database)
        if version and version < 10:
            tell_all_runs(database)
    database["meta"].update_one({"_id": "schema"}, {"$max": {"version": VERSION}}, upsert=True)


def _ensure_collection(database: Database[Document], name: str) -> None:
    validator = VALIDATORS.get(name, {})
    try:
        database.create_collection(name, validator=validator, check_exists=False, **COMPRESSED.get(name, {}))
    except (CollectionInvalid, OperationFailure) as error:
        if isinstance(error, OperationFailure) and error.code != _NAMESPACE_EXISTS:
            raise
        database.command("collMod", name, validator=validator)


def _drop_indexes(database: Database[Document], collection: str, names: tuple[str, ...]) -> None:
    for name in set(names) & set(database[collection].index_information()):
        try:
            database[collection].drop_index(name)
        except OperationFailure as error:
            if error.code != _INDEX_NOT_FOUND:  # else somebody else has dropped it at the same moment
                raise


_INDEX_NOT_FOUND = 27
_NAMESPACE_EXISTS = 48
