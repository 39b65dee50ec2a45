"""Checkpoints in GridFS: written whole, then pointed to."""

import hashlib
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tarfile import TarError

from bson import ObjectId
from gridfs import GridFSBucket
from gridfs.errors import GridFSError
from pymongo.errors import PyMongoError

from store.errors import CheckpointDamaged, StoreUnavailable, Superseded
from store.mongo.client import Session, driver_errors, guarded
from store.mongo.codec import from_document, plain, to_document
from store.mongo.samples import Samples
from store.mongo.uploads import Bucket, Stored, Uploads
from store.packing import pack, unpack
from store.runs import Checkpoint, worth_keeping
from store.samples import Peaks
from store.states import State

_BLOCK_BYTES = 1 << 20


class Checkpoints(Samples, Uploads):
    """The `checkpoints` collection and the GridFS bucket `checkpoint_files`."""

    @guarded
    def publish_checkpoint(self, checkpoint: Checkpoint, path: Path, keep: int) -> Checkpoint:
        """Upload first, point last: a supervisor that dies in between leaves an upload to clear, no broken pointer."""
        packed = pack(path) if checkpoint.is_dir else path
        try:
            file = self._upload(Bucket.CHECKPOINTS, packed, checkpoint.run, checkpoint.attempt)
        finally:
            if packed != path:
                packed.unlink(missing_ok=True)
        stored = replace(
            checkpoint, id=str(file.id), size_bytes=file.size_bytes, sha256=file.sha256, created_at=self.now()
        )
        try:
            experiment = self.in_transaction(lambda session: self._point_to(stored, file, session))
        except Superseded:
            self._forget(Bucket.CHECKPOINTS, stored.id)
            raise
        with suppress(PyMongoError, StoreUnavailable):  # it is stored; what could not be deleted now will be later
            self._raise_peaks(experiment, Peaks(checkpoint_bytes=stored.size_bytes))
            self._prune(stored, keep)
        return stored

    @guarded
    def checkpoints(self, run_id: str) -> list[Checkpoint]:
        """Stored checkpoints, newest first."""
        found = self.database["checkpoints"].find({"run": run_id}).sort([("attempt", -1), ("line", -1), ("_id", -1)])
        return [from_document(Checkpoint, document) for document in found]

    def fetch_checkpoint(self, checkpoint: Checkpoint, folder: Path) -> Path:
        """Write the checkpoint into `folder`, checking size and SHA-256 on the way."""
        folder.mkdir(parents=True, exist_ok=True)
        packed = folder / f".{checkpoint.name}.fetched"
        self._download(checkpoint, packed)
        target = folder / checkpoint.name
        if not checkpoint.is_dir:
            packed.rename(target)
            return target
        try:
            unpack(packed, target)
        except TarError as error:
            raise CheckpointDamaged(f"checkpoint {checkpoint.id} of run {checkpoint.run}: {error}") from error
        packed.unlink()
        return target

    def _point_to(self, checkpoint: Checkpoint, file: Stored, session: Session) -> str:
        """Returns the run's experiment."""
        holder = {"_id": checkpoint.run, "attempt": checkpoint.attempt, "state": State.RUNNING.value}
        pointer = {"$set": {"checkpoint": plain(checkpoint)}}
        run = self.database["runs"].find_one_and_update(holder, pointer, {"experiment": 1}, session=session)
        if run is None:
            raise Superseded(f"run {checkpoint.run}: attempt {checkpoint.attempt} no longer holds it")
        metadata = {"run": checkpoint.run, "attempt": checkpoint.attempt, "step": checkpoint.step}
        self._keep(file, checkpoint.name, metadata, checkpoint.created_at, session)
        self.database["checkpoints"].insert_one(to_document(checkpoint), session=session)
        experiment: str = run["experiment"]
        return experiment

    def _prune(self, newest: Checkpoint, keep: int) -> None:
        """Forget all but those worth keeping, and uploads that were never finished. What is pointed to always stays."""
        if self._is_backed_up():
            return  # the next checkpoint does it
        others = [checkpoint for checkpoint in self.checkpoints(newest.run) if checkpoint.id != newest.id]
        kept = worth_keeping([newest, *others], keep)
        gone = [old for old in others if old.id not in kept]
        if gone:
            self.in_transaction(lambda session: self._drop(gone, session))
        unpointed = {"_id": {"$nin": sorted(kept)}, "run": newest.run, "attempt": {"$lte": newest.attempt}}
        self._forget_files(newest.run, [mark["_id"] for mark in self.database["uploads"].find(unpointed, {"_id": 1})])

    def _drop(self, gone: list[Checkpoint], session: Session) -> None:
        """They are no more; their files go a little later."""
        self.database["checkpoints"].delete_many({"_id": {"$in": [one.id for one in gone]}}, session=session)
        self._doom(Bucket.CHECKPOINTS, {one.id: (one.run, one.attempt) for one in gone}, session)

    def _drop_all(self, run_ids: list[str], session: Session) -> None:
        """No checkpoint of these runs is left; their files go when `tidy` comes."""
        which = {"run": {"$in": run_ids}}
        self.database["checkpoints"].delete_many(which, session=session)
        marks = self.database["uploads"].find(which, session=session)
        self._doom(Bucket.CHECKPOINTS, {mark["_id"]: (mark["run"], mark["attempt"]) for mark in marks}, session)

    def _forget_files(self, _run_id: str, file_ids: list[str]) -> None:
        for file_id in file_ids:
            self._forget(Bucket.CHECKPOINTS, file_id)

    def _files(self) -> GridFSBucket:
        return self._gridfs(Bucket.CHECKPOINTS)

    def _download(self, checkpoint: Checkpoint, target: Path) -> None:
        digest, size_bytes = hashlib.sha256(), 0
        try:
            stored = self._files().open_download_stream(ObjectId(checkpoint.id))
            with open(target, "wb") as sink, stored as source:
                while block := source.read(_BLOCK_BYTES):
                    sink.write(block)
                    digest.update(block)
                    size_bytes += len(block)
        except GridFSError as error:
            raise CheckpointDamaged(f"checkpoint {checkpoint.id} of run {checkpoint.run}: {error}") from error
        except PyMongoError:
            with driver_errors():
                raise
        if (size_bytes, digest.hexdigest()) != (checkpoint.size_bytes, checkpoint.sha256):
            raise CheckpointDamaged(f"checkpoint {checkpoint.id} of run {checkpoint.run}: SHA-256 does not match")
