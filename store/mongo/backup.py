"""A backup is read: all of it as it was at one moment, while runs go on.

Everything but the bytes of files is read in one snapshot session: as it was when the session began. MongoDB keeps old
versions for `minSnapshotHistoryWindowInSeconds` (300); when that was not enough, the rest is read as it is now, runs
having been read first. What was stored later then belongs to attempts that the runs do not know yet, and is left out
when the backup is read back.

The bytes of files never change and are read last, of those files that the snapshot knows. While a backup is held,
nobody deletes any (`Uploads._forget`, `Checkpoints._prune`).
"""

import os
import re
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import bson
import psutil
from bson import ObjectId
from bson.raw_bson import RawBSONDocument
from pymongo.errors import OperationFailure

from store.archive import ArchiveWriter, Head, Tail, spans
from store.errors import BackupRunning, BeingRestored, UserError
from store.mongo.client import Connected, Document, Session, guarded
from store.mongo.crew import Crew
from store.mongo.uploads import MARKS, Bucket, UploadState

HOLD_S = 60.0
"""A backup whose process was killed keeps files from being deleted, and the next backup from beginning, so long."""
HOLD = "backup"
LEFT_OUT = frozenset({"locks"})
"""Leases of processes that will be no more."""

_TOO_OLD = frozenset({239, 246})
"""SnapshotTooOld, SnapshotUnavailable."""
_BATCH = 1000
_FILES_AT_ONCE = 100
_FILE = struct.Struct(">12sQ")

Progress = Callable[[str, int, int], None]
"""Told after every batch: collection, documents and bytes of it so far. Whatever it raises ends the backup."""


class Holding(Crew):
    """The lease under which a backup is made."""

    def hold(self, owner: str) -> float | None:
        """Take or extend it: for how long it has been held without a gap. None: somebody else has it."""
        return self.lock(HOLD, owner, HOLD_S, gap_s=0.0)

    @guarded
    def let_go(self, owner: str) -> None:
        """Files may be deleted again."""
        self.database["locks"].delete_one({"_id": HOLD, "owner": owner})

    @contextmanager
    def held(self, owner: str) -> Iterator[None]:
        """Raises BackupRunning."""
        if self.hold(owner) is None:
            other = self._holder()
            if not is_dead(other):
                raise BackupRunning(
                    f"database {self.database.name}: a backup is being made ({other}); if it was killed, try again in "
                    f"{HOLD_S:.0f} s"
                )
            self.let_go(other)
            self.hold(owner)
        try:
            yield
        finally:
            self.let_go(owner)

    @guarded
    def _holder(self) -> str:
        return str((self.database["locks"].find_one({"_id": HOLD}) or {}).get("owner", "over just now"))


def whoami() -> str:
    """Who makes the backup, for those who find it held."""
    return f"process {os.getpid()} on {socket.gethostname()}"


def is_dead(owner: str) -> bool:
    """Whether it was a process of this machine that is no more. Of another machine's nobody knows."""
    said = re.fullmatch(r"process (\d+) on (.+)", owner)
    return said is not None and said[2] == socket.gethostname() and not psutil.pid_exists(int(said[1]))


@guarded
def look_at(connected: Connected, labq: str) -> Head:
    """What there is to back up. Raises UserError when there is nothing, BeingRestored when it is half of something."""
    database = connected.database
    known = {one["_id"]: one for one in database["meta"].find({"_id": {"$in": ["schema", "restore"]}})}
    if "restore" in known:
        raise BeingRestored(f"database {database.name} is half restored: finish that first (labq restore)")
    if "schema" not in known:
        raise UserError(f"database {database.name} holds nothing of labq; mongo_database names another? (labq config)")
    stats: Document = database.command("dbStats", freeStorage=1)
    return Head(
        labq=labq,
        schema=known["schema"]["version"],
        database=database.name,
        taken_at=connected.now().isoformat(timespec="seconds"),
        server=connected.version(),
        storage_bytes=int(stats["storageSize"] - stats.get("freeStorageSize", 0)),
    )


@guarded
def dump(connected: Connected, head: Head, sink: BinaryIO, progress: Progress) -> Tail:
    """Write all of the database. Raises OSError, StoreUnavailable, and whatever `progress` raises."""
    archive = ArchiveWriter(sink, head)
    try:
        with connected.client.start_session(snapshot=True) as session:
            reading = _Reading(connected=connected, archive=archive, progress=progress, session=session)
            for name in _collections(connected):
                reading.copy(name)
            for bucket in Bucket:
                reading.copy_bytes(bucket)
            return archive.close(moment=reading.session is not None, lacking=reading.lacking)
    except BaseException:
        archive.abandon()
        raise


def _collections(connected: Connected) -> list[str]:
    """Runs first: whatever is read later may be newer, and must not be older."""
    found = {one["name"] for one in connected.database.list_collections(filter={"type": "collection"})}
    found -= LEFT_OUT | {f"{bucket}.chunks" for bucket in Bucket}
    return sorted((name for name in found if not name.startswith("system.")), key=lambda name: (name != "runs", name))


@dataclass(slots=True, kw_only=True)
class _Reading:
    """How far it has got."""

    connected: Connected
    archive: ArchiveWriter
    progress: Progress
    session: Session | None
    """None: the snapshot was too old."""
    files: dict[str, bytearray] = field(default_factory=dict)
    """Of each bucket: files, and how many chunks each has. Packed, for there may be millions."""
    lacking: int = 0

    def copy(self, name: str) -> None:
        """A whole collection, in the order of its ids, so that it can be gone on with."""
        self.archive.begin(name)
        bucket = next((one for one in Bucket if name == f"{one}.files"), None)
        documents, size_bytes, last = 0, 0, None
        while True:
            try:
                for batch in self._batches(name, last):
                    documents += self.archive.add(batch)
                    size_bytes += len(batch)
                    if batch:
                        last = _id_of_last(batch)
                    if bucket is not None:
                        self._note_files(bucket, batch)
                    self.progress(name, documents, size_bytes)
                return
            except OperationFailure as error:
                if self.session is None or error.code not in _TOO_OLD:
                    raise
                self.session = None

    def copy_bytes(self, bucket: Bucket) -> None:
        """Of the files that were noted, in the order of an index."""
        name = f"{bucket}.chunks"
        self.archive.begin(name)
        noted, documents, size_bytes = self.files.get(bucket, bytearray()), 0, 0
        for start in range(0, len(noted), _FILES_AT_ONCE * _FILE.size):
            packed = _FILE.iter_unpack(noted[start : start + _FILES_AT_ONCE * _FILE.size])
            some, before = [(ObjectId(file), chunks) for file, chunks in packed], documents
            wanted = {"files_id": {"$in": [file for file, _ in some]}}
            found: Any = self.connected.database[name].find_raw_batches(wanted, sort=[("files_id", 1), ("n", 1)])
            for batch in found:
                documents += self.archive.add(batch)
                size_bytes += len(batch)
                self.progress(name, documents, size_bytes)
            if documents - before != sum(chunks for _, chunks in some):
                self.lacking += self._lacking(bucket, some)

    def _batches(self, name: str, last: Any) -> Iterator[bytes]:
        cursor: Any = self.connected.database[name].find_raw_batches(
            session=self.session, sort=[("_id", 1)], batch_size=_BATCH, hint="_id_",
            min=None if last is None else [("_id", last)],
        )  # fmt: skip
        for number, batch in enumerate(cursor):
            yield _without_first(batch, last) if number == 0 and last is not None else batch

    def _note_files(self, bucket: Bucket, batch: bytes) -> None:
        noted = self.files.setdefault(bucket, bytearray())
        for file in bson.decode_iter(batch):
            if isinstance(file["_id"], ObjectId):
                noted += _FILE.pack(file["_id"].binary, -(-file["length"] // file["chunkSize"]))

    def _lacking(self, bucket: Bucket, some: list[tuple[ObjectId, int]]) -> int:
        """How many of these files lack bytes, but for those that somebody had begun to delete."""
        database = self.connected.database
        ids = [file for file, _ in some]
        grouped = database[f"{bucket}.chunks"].aggregate(
            [{"$match": {"files_id": {"$in": ids}}}, {"$group": {"_id": "$files_id", "chunks": {"$sum": 1}}}]
        )
        there = {one["_id"]: one["chunks"] for one in grouped}
        short = [str(file) for file, chunks in some if there.get(file, 0) < chunks]
        doomed = {"_id": {"$in": short}, "state": UploadState.DOOMED}
        return len(short) - database[MARKS[bucket]].count_documents(doomed)


def _id_of_last(batch: bytes) -> Any:
    *_, (start, end) = spans(batch)
    return RawBSONDocument(batch[start:end])["_id"]


def _without_first(batch: bytes, last: Any) -> bytes:
    """What `min` begins with has been read already, unless somebody has deleted it."""
    start, end = next(spans(batch), (0, 0))
    return batch[end:] if end and RawBSONDocument(batch[start:end])["_id"] == last else batch
