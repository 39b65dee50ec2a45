"""Files in GridFS: written in blocks to which a writer that has been given up cannot add, deleted in pieces.

A mark in `uploads` (checkpoints) or `artifact_uploads` names every file from before its first byte; that of a
checkpoint stays until its last byte is gone, that of an artifact until it is whole. Every block is written in a
transaction with the mark, so a supervisor that was frozen in the middle of an upload and wakes up after somebody else
has cleared it away adds nothing to what is no more.
"""

import hashlib
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

from bson import ObjectId
from bson.binary import Binary
from gridfs import GridFSBucket
from pymongo.collection import Collection
from pymongo.errors import PyMongoError

from store.errors import LabqError, Superseded
from store.files import open_regular
from store.mongo.client import Connected, Document, Session, guarded
from store.states import State

_CHUNK_BYTES = 255 * 1024
_BLOCK_BYTES = 16 * _CHUNK_BYTES
"""Written in one transaction: small enough for `mongo_timeout_s` on a slow line, large enough to cost little."""

_CHUNKS_AT_ONCE = 64
"""Deleted by one command: 16 MB. A checkpoint of many gigabytes would outlast any time-out."""


class Bucket(StrEnum):
    """What files are kept for."""

    CHECKPOINTS = "checkpoint_files"
    ARTIFACTS = "artifacts"


IMPORTING = "importing"
"""In a run's document while it is imported: by whom. Such a run holds its files as a running one does."""
MARKS: dict[str, str] = {Bucket.CHECKPOINTS: "uploads", Bucket.ARTIFACTS: "artifact_uploads"}
"""Which collection holds the marks of a bucket."""


HELD: Document = {"$or": [{"state": State.RUNNING.value}, {IMPORTING: {"$exists": True}}]}


class UploadState(StrEnum):
    """OPEN: being written. KEPT: whole, and pointed to. DOOMED: nobody may write or read it, it is being deleted."""

    OPEN = "open"
    KEPT = "kept"
    DOOMED = "doomed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A file whose bytes are all stored. It exists once `_keep` has run."""

    id: ObjectId
    bucket: Bucket
    size_bytes: int
    sha256: str


class Uploads(Connected):
    """The GridFS buckets and their marks."""

    @guarded
    def tidy(self, patience_s: float) -> int:
        """Delete what dead or superseded writers left behind, for about so long; return how many files."""
        deadline = time.monotonic() + patience_s
        done = 0
        for bucket in Bucket:
            for file_id in self._abandoned(bucket):
                if time.monotonic() > deadline or not self._forget(bucket, file_id, deadline):
                    return done
                done += 1
        return done

    def _marks(self, bucket: Bucket) -> Collection[Document]:
        return self.database[MARKS[bucket]]

    def _gridfs(self, bucket: Bucket) -> GridFSBucket:
        return GridFSBucket(self.database, bucket_name=bucket)

    # ── writing ──
    def _upload(self, bucket: Bucket, path: Path, run_id: str, attempt: int) -> Stored:
        """All bytes, as long as the attempt holds its run. Raises Superseded, OSError."""
        mark: Document = {"_id": str(file_id := ObjectId()), "run": run_id, "attempt": attempt}
        with open_regular(path) as source:
            self._marks(bucket).insert_one({**mark, "state": UploadState.OPEN})
            digest, size_bytes = hashlib.sha256(), 0
            try:
                for block in _blocks(source):
                    self._add_block(bucket, mark, size_bytes // _CHUNK_BYTES, block)
                    digest.update(block)
                    size_bytes += len(block)
            except (OSError, PyMongoError, LabqError):
                with suppress(PyMongoError):
                    self._forget(bucket, mark["_id"])
                raise
        return Stored(id=file_id, bucket=bucket, size_bytes=size_bytes, sha256=digest.hexdigest())

    def _add_block(self, bucket: Bucket, mark: Document, first: int, block: bytes) -> None:
        file_id = ObjectId(mark["_id"])
        pieces = [block[start : start + _CHUNK_BYTES] for start in range(0, len(block), _CHUNK_BYTES)]
        chunks = [{"files_id": file_id, "n": first + n, "data": Binary(piece)} for n, piece in enumerate(pieces)]

        def work(session: Session) -> None:
            self._hold(bucket, mark, {"chunks": first + len(chunks)}, session)
            self._check_held(mark["run"], mark["attempt"], session)
            self.database[f"{bucket}.chunks"].insert_many([dict(chunk) for chunk in chunks], session=session)

        self.in_transaction(work)

    def _keep(self, stored: Stored, name: str, metadata: Document, now: datetime, session: Session) -> None:
        """From here on it is a file. In one transaction with what points to it, and with the check whose run it is."""
        mark = {"_id": str(stored.id), "run": metadata["run"], "attempt": metadata["attempt"]}
        self._hold(stored.bucket, mark, {"state": UploadState.KEPT}, session)
        if stored.bucket is Bucket.ARTIFACTS:
            self._marks(stored.bucket).delete_one({"_id": mark["_id"]}, session=session)
        file = {
            "_id": stored.id, "filename": name, "length": stored.size_bytes, "chunkSize": _CHUNK_BYTES,
            "uploadDate": now, "metadata": metadata,
        }  # fmt: skip
        self.database[f"{stored.bucket}.files"].insert_one(file, session=session)

    def _hold(self, bucket: Bucket, mark: Document, change: Document, session: Session) -> None:
        held = {"_id": mark["_id"], "state": UploadState.OPEN}
        if not self._marks(bucket).update_one(held, {"$set": change}, session=session).matched_count:
            raise Superseded(f"run {mark['run']}: the upload of attempt {mark['attempt']} was cleared away")

    def _check_held(self, run_id: str, attempt: int, session: Session) -> None:
        holder = {"_id": run_id, "attempt": attempt, **HELD}
        if self.database["runs"].find_one(holder, {"_id": 1}, session=session) is None:
            raise Superseded(f"run {run_id}: attempt {attempt} no longer holds it")

    # ── deleting ──
    def _doom(self, bucket: Bucket, owners: Mapping[str, tuple[str, int]], session: Session) -> None:
        """In one transaction with whatever stops pointing to these files (by id: run and attempt); `_forget` or `tidy`
        deletes them later."""
        for file_id, (run, attempt) in owners.items():
            mark = {"run": run, "attempt": attempt, "state": UploadState.DOOMED}
            self._marks(bucket).update_one({"_id": file_id}, {"$set": mark}, upsert=True, session=session)

    def _forget(self, bucket: Bucket, file_id: str, deadline: float | None = None) -> bool:
        """Whether all of it is gone by then. Its mark goes last: cut short, it is found again."""
        self._stop_writing(bucket, file_id)
        if self._is_backed_up():
            return False
        self.database[f"{bucket}.files"].delete_one({"_id": ObjectId(file_id)})
        if not self._delete_chunks(bucket, ObjectId(file_id), deadline):
            return False
        self._marks(bucket).delete_one({"_id": file_id})
        return True

    def _is_backed_up(self) -> bool:
        """Somebody makes a backup: it has read what points to files, and reads the files last."""
        held = {"_id": "backup", "$expr": {"$gt": ["$until", "$$NOW"]}}
        return self.database["locks"].find_one(held, {"_id": 1}) is not None

    def _stop_writing(self, bucket: Bucket, file_id: str) -> None:
        """Whoever still writes it cannot any more."""
        self._marks(bucket).update_one({"_id": file_id}, {"$set": {"state": UploadState.DOOMED}})

    def _delete_chunks(self, bucket: Bucket, file_id: ObjectId, deadline: float | None) -> bool:
        chunks = self.database[f"{bucket}.chunks"]
        while (first := chunks.find_one({"files_id": file_id}, {"n": 1}, sort=[("n", 1)])) is not None:
            if deadline is not None and time.monotonic() > deadline:
                return False
            chunks.delete_many({"files_id": file_id, "n": {"$lt": first["n"] + _CHUNKS_AT_ONCE}})
        return True

    def _abandoned(self, bucket: Bucket) -> list[str]:
        """Files that are being deleted, and those that no living attempt is writing."""
        loose = {"state": {"$in": [UploadState.OPEN, UploadState.DOOMED]}}
        marks = list(self._marks(bucket).find(loose))
        running = {"_id": {"$in": [mark["run"] for mark in marks]}, **HELD}
        held = {run["_id"]: run["attempt"] for run in self.database["runs"].find(running, {"attempt": 1})}
        return [
            mark["_id"]
            for mark in marks
            if mark["state"] == UploadState.DOOMED or held.get(mark["run"]) != mark["attempt"]
        ]


def _blocks(source: BinaryIO) -> Iterator[bytes]:
    """Whole chunks but for the last one, whatever a read returns."""
    block = b""
    while piece := source.read(_BLOCK_BYTES - len(block)):
        block += piece
        if len(block) == _BLOCK_BYTES:
            yield block
            block = b""
    if block:
        yield block
