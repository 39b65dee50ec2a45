"""A backup is read back into an empty database. Nobody gets in before all of it is there.

`meta.restore` stands in the database from before the first change until after the last: `ensure_schema` refuses whoever
connects meanwhile, and workers wait. Whoever is killed leaves it, so nobody takes half of a database for all of it; the
same command begins anew.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import bson
import pymongo
from bson.raw_bson import RawBSONDocument
from pymongo.errors import BulkWriteError

from store.archive import Head, Piece, Tail, read, spans
from store.errors import StoreFailed, UserError
from store.mongo.backup import LEFT_OUT, Progress, is_dead
from store.mongo.client import Connected, Document, guarded
from store.mongo.schema import VERSION, make_schema
from store.states import State

LEASE_S = 20.0
"""A restore that was killed keeps the next one from beginning so long."""
_LONG_AGO = datetime.fromtimestamp(0, UTC)
_DUPLICATE_KEY = 11000
_INSERT_S = 120.0
_OF_ATTEMPTS = frozenset({"metrics", "logs", "samples", "events", "checkpoints"})
_PASSING = frozenset({"meta", "locks", "workers", "notifiers", "drains"})
"""What is in a database that nobody has used yet."""
_LEAST_LEAP = 1000
_NOT_LOADED = LEFT_OUT | {"meta", "workers", "notifiers"}
"""What says that a process lives would be a lie by now."""


class Restoring(Connected):
    """A database that a backup is read into."""

    @guarded
    def is_unfinished(self) -> bool:
        """Whether an interrupted restore left it."""
        return self.database["meta"].find_one({"_id": "restore"}) is not None

    @guarded
    def holds(self) -> dict[str, int]:
        """How many documents are in it, by collection: about so many."""
        names = self.database.list_collection_names(filter={"type": "collection"})
        counts = {
            name: self.database[name].estimated_document_count()
            for name in sorted(names)
            if name not in _PASSING and not name.startswith("system.")
        }
        return {name: count for name, count in counts.items() if count}

    @guarded
    def living(self, within_s: float) -> list[str]:
        """Workers and notifiers that were seen lately."""
        recent = {"$expr": {"$gte": ["$seen_at", {"$subtract": ["$$NOW", int(within_s * 1000)]}]}}
        return [str(one["_id"]) for name in ("workers", "notifiers") for one in self.database[name].find(recent)]

    @guarded
    def free_bytes(self) -> int:
        """On the disk of the server."""
        stats: Document = self.database.command("dbStats")
        return int(stats.get("fsTotalSize", 0) - stats.get("fsUsedSize", 0))

    @contextmanager
    def held(self, owner: str, file: Path) -> Iterator[None]:
        """The database is closed to others, until all of it is there. Raises UserError while somebody else is at it."""
        deadline = time.monotonic() + LEASE_S + 1
        while (other := self.take(owner, file)) is not None:
            if is_dead(other):
                self._free()
            elif time.monotonic() > deadline:
                raise UserError(f"database {self.database.name} is just being restored by {other}")
            time.sleep(0.5)
        yield
        self._open()

    @guarded
    def take(self, owner: str, file: Path) -> str | None:
        """Take or extend the lease; else who has it."""
        meta = self.database["meta"]
        free = {"owner": "", "file": str(file), "until": _LONG_AGO}
        meta.update_one({"_id": "restore"}, {"$setOnInsert": free}, upsert=True)
        mine, over = {"$eq": ["$owner", {"$literal": owner}]}, {"$lt": ["$until", "$$NOW"]}
        until = {"$add": ["$$NOW", int(LEASE_S * 1000)]}
        wanted = {"owner": {"$literal": owner}, "file": {"$literal": str(file)}, "until": until}
        if meta.update_one({"_id": "restore", "$expr": {"$or": [mine, over]}}, [{"$set": wanted}]).matched_count:
            return None
        return str((meta.find_one({"_id": "restore"}) or {}).get("owner", "somebody"))

    @guarded
    def clear(self) -> None:
        """Everything goes but the mark."""
        for one in list(self.database.list_collections()):
            if one["name"] != "meta" and not one["name"].startswith("system."):
                self.database.drop_collection(one["name"])
        self.database["meta"].delete_many({"_id": {"$ne": "restore"}})

    @guarded
    def load(self, file: Path, head: Head, tail: Tail, progress: Progress) -> int:
        """All documents; returns how many were left out, as their attempts are of later than the runs."""
        make_schema(self.database, 0)
        documents: dict[str, int] = {}
        left_out = 0
        for part in read(file):
            if not isinstance(part, Piece) or part.collection in _NOT_LOADED:
                continue
            rows = [RawBSONDocument(part.data[start:end]) for start, end in spans(part.data)]
            chosen = rows if tail.moment else self._of_known_attempts(part.collection, rows)
            left_out += len(rows) - len(chosen)
            left_out += self._insert(part.collection, chosen, strict=tail.moment)
            documents[part.collection] = documents.get(part.collection, 0) + len(rows)
            progress(part.collection, documents[part.collection], len(part.data))
        self.database["meta"].update_one({"_id": "schema"}, {"$set": {"version": head.schema}}, upsert=True)
        if head.schema < VERSION:
            make_schema(self.database, head.schema)
        return left_out

    @guarded
    def leap(self, age_s: float) -> None:
        """Numbers of attempts that nobody can have: a worker that has lived through it all holds a later attempt than
        the backup knows, and must not be taken for the one that gets the run next. No run begins more often than once a
        second."""
        waiting = {"state": {"$in": [State.QUEUED.value, State.PAUSED.value]}}
        with pymongo.timeout(_INSERT_S * 10):
            self.database["runs"].update_many(waiting, {"$inc": {"attempt": max(_LEAST_LEAP, int(age_s))}})

    @guarded
    def running(self, limit: int) -> list[tuple[str, int]]:
        """Runs, and their attempts, that ran when the backup was made."""
        found = self.database["runs"].find({"state": State.RUNNING.value}, {"attempt": 1}).limit(limit)
        return [(one["_id"], one["attempt"]) for one in found]

    @guarded
    def _free(self) -> None:
        """Its owner is dead."""
        self.database["meta"].update_one({"_id": "restore"}, {"$set": {"owner": "", "until": _LONG_AGO}})

    @guarded
    def _open(self) -> None:
        self.database["meta"].delete_one({"_id": "restore"})

    def _insert(self, name: str, rows: list[RawBSONDocument], *, strict: bool) -> int:
        """Returns how many were there already: read while others moved, a document may be met twice."""
        if not rows:
            return 0
        raw: Any = self.database[name].with_options(codec_options=bson.CodecOptions(document_class=RawBSONDocument))
        try:
            with pymongo.timeout(_INSERT_S):
                raw.insert_many(rows, ordered=False)
        except BulkWriteError as error:
            wrong = error.details["writeErrors"]
            if strict or any(one["code"] != _DUPLICATE_KEY for one in wrong):
                raise StoreFailed(f"{name}: MongoDB refused {len(wrong)} documents: {wrong[0]['errmsg']}") from error
            return len(wrong)
        return 0

    def _of_known_attempts(self, name: str, rows: list[RawBSONDocument]) -> list[RawBSONDocument]:
        if name not in _OF_ATTEMPTS:
            return rows
        ids = {one["run"] for one in rows}
        found = self.database["runs"].find({"_id": {"$in": list(ids)}}, {"attempt": 1})
        known = {one["_id"]: one["attempt"] for one in found}
        return [one for one in rows if one["attempt"] <= known.get(one["run"], -1)]
