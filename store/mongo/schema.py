"""Collections, indexes and validators: created by labq, with a version."""

from typing import Any

from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.database import Database
from pymongo.errors import CollectionInvalid, OperationFailure

from store.errors import StoreFailed
from store.mongo.client import Document, guarded
from store.states import Reason, State

VERSION = 4

_UP, _DOWN = ASCENDING, DESCENDING

QUEUE_ORDER = [("state", _UP), ("queue", _UP), ("priority", _DOWN), ("queued_at", _UP), ("index", _UP)]
CLAIM_ORDER = [*QUEUE_ORDER[:2], ("resources", _UP), *QUEUE_ORDER[2:]]
"""A worker looks only among runs whose demands it meets, however many others come before them."""

INDEXES: dict[str, list[IndexModel]] = {
    "experiments": [IndexModel([("created_at", _DOWN)])],
    "runs": [
        IndexModel([("key", _UP)], unique=True),
        IndexModel(QUEUE_ORDER),
        IndexModel(CLAIM_ORDER),
        IndexModel([("experiment", _UP), ("queued_at", _UP), ("index", _UP)]),
        IndexModel([("queued_at", _UP), ("index", _UP)]),
        IndexModel([("lease.until", _UP)], partialFilterExpression={"state": State.RUNNING.value}),
        IndexModel([("lease.worker", _UP)], partialFilterExpression={"state": State.RUNNING.value}),
    ],
    "metrics": [IndexModel([("run", _UP), ("name", _UP), ("attempt", _UP), ("bucket", _UP)], unique=True)],
    "logs": [IndexModel([("run", _UP), ("attempt", _UP), ("offset", _UP)], unique=True)],
    "checkpoints": [IndexModel([("run", _UP), ("attempt", _DOWN), ("line", _DOWN)])],
    "uploads": [IndexModel([("run", _UP)])],
    "artifact_uploads": [],
    "checkpoint_files.chunks": [IndexModel([("files_id", _UP), ("n", _UP)], unique=True)],
    "artifacts.files": [IndexModel([("metadata.run", _UP), ("filename", _UP)])],
    "events": [IndexModel([("run", _UP), ("at", _UP)])],
    "outbox": [IndexModel([("state", _UP), ("created_at", _UP)]), IndexModel([("run", _UP)])],
    "samples": [
        IndexModel([("run", _UP), ("attempt", _UP), ("at", _UP)]),
        IndexModel("expires_at", expireAfterSeconds=0),
    ],
    "workers": [IndexModel([("seen_at", _UP)])],
    "drains": [],
    "locks": [],
    "names": [],
    "blobs": [],
}


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
    "outbox": _object({"_id": _STRING, "run": _STRING, "to": _ARRAY, "state": _STRING}),
}


@guarded
def ensure_schema(database: Database[Document]) -> None:
    """Create what is missing; refuse a database that a newer labq has changed. Safe to run twice at once."""
    found = database["meta"].find_one({"_id": "schema"})
    version = found["version"] if found else 0
    if version > VERSION:
        raise StoreFailed(f"database {database.name} has schema {version}, this labq knows {VERSION}: upgrade labq")
    if version == VERSION:
        return
    for name, indexes in INDEXES.items():
        _ensure_collection(database, name)
        if indexes:
            database[name].create_indexes(indexes)
    database["meta"].update_one({"_id": "schema"}, {"$max": {"version": VERSION}}, upsert=True)


def _ensure_collection(database: Database[Document], name: str) -> None:
    validator = VALIDATORS.get(name, {})
    try:
        database.create_collection(name, validator=validator, check_exists=False)
    except (CollectionInvalid, OperationFailure) as error:
        if isinstance(error, OperationFailure) and error.code != _NAMESPACE_EXISTS:
            raise
        database.command("collMod", name, validator=validator)


_NAMESPACE_EXISTS = 48
