"""Checkpoints in GridFS: written whole, verified, then pointed to."""

import hashlib
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tarfile import TarError

from bson import ObjectId
from gridfs import GridFSBucket
from gridfs.errors import GridFSError, NoFile
from pymongo.errors import PyMongoError

from store.errors import CheckpointDamaged, Superseded
from store.files import open_regular
from store.mongo.client import Document, Session, driver_errors, guarded
from store.mongo.codec import from_document, plain, to_document
from store.mongo.samples import Samples
from store.packing import pack, unpack
from store.runs import Checkpoint, worth_keeping
from store.samples import Peaks
from store.states import State

_BLOCK_BYTES = 1 << 20


class Checkpoints(Samples):
    """The `checkpoints` collection and the GridFS bucket `checkpoint_files`.

    `uploads` names every file from before its first byte until after its last: what a killed supervisor left is found.
    """

    @guarded
    def publish_checkpoint(self, checkpoint: Checkpoint, path: Path, keep: int) -> Checkpoint:
        """Upload first, point last: a supervisor that dies in between leaves an orphan file, never a broken pointer."""
        packed = pack(path) if checkpoint.is_dir else path
        try:
            stored = self._upload(packed, checkpoint)
        finally:
            if packed != path:
                packed.unlink(missing_ok=True)
        try:
            self._verify_stored(stored)
            experiment = self.in_transaction(lambda session: self._point_to(stored, session))
        except (Superseded, CheckpointDamaged):
            self._forget_files(stored.run, [stored.id])
            raise
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

    def _files(self) -> GridFSBucket:
        return GridFSBucket(self.database, bucket_name="checkpoint_files")

    def _upload(self, path: Path, checkpoint: Checkpoint) -> Checkpoint:
        file_id = ObjectId()
        digest, size_bytes = hashlib.sha256(), 0
        metadata = {"run": checkpoint.run, "attempt": checkpoint.attempt, "step": checkpoint.step}
        self.database["uploads"].insert_one({"_id": str(file_id), **metadata})
        sink = self._files().open_upload_stream_with_id(file_id, checkpoint.name, metadata=metadata)
        try:
            with open_regular(path) as source:
                while block := source.read(_BLOCK_BYTES):
                    sink.write(block)
                    digest.update(block)
                    size_bytes += len(block)
            sink.close()
        except (OSError, PyMongoError):
            with suppress(PyMongoError):
                sink.abort()
            raise
        return replace(checkpoint, id=str(file_id), size_bytes=size_bytes, sha256=digest.hexdigest())

    def _verify_stored(self, checkpoint: Checkpoint) -> None:
        """Every chunk of the file is there with its full length."""
        total = {"_id": None, "size": {"$sum": {"$binarySize": "$data"}}}
        stages: list[Document] = [{"$match": {"files_id": ObjectId(checkpoint.id)}}, {"$group": total}]
        stored = next((d["size"] for d in self.database["checkpoint_files.chunks"].aggregate(stages)), 0)
        if stored != checkpoint.size_bytes:
            raise CheckpointDamaged(
                f"checkpoint {checkpoint.id}: {stored} of {checkpoint.size_bytes} bytes were stored"
            )

    def _point_to(self, checkpoint: Checkpoint, session: Session) -> str:
        """Returns the run's experiment."""
        holder = {"_id": checkpoint.run, "attempt": checkpoint.attempt, "state": State.RUNNING.value}
        pointer = {"$set": {"checkpoint": plain(checkpoint)}}
        run = self.database["runs"].find_one_and_update(holder, pointer, {"experiment": 1}, session=session)
        if run is None:
            raise Superseded(f"run {checkpoint.run}: attempt {checkpoint.attempt} no longer holds it")
        self.database["checkpoints"].insert_one(to_document(checkpoint), session=session)
        experiment: str = run["experiment"]
        return experiment

    def _prune(self, newest: Checkpoint, keep: int) -> None:
        """Forget all but those worth keeping, and uploads that were never finished. What is pointed to always stays."""
        others = [checkpoint for checkpoint in self.checkpoints(newest.run) if checkpoint.id != newest.id]
        kept = worth_keeping([newest, *others], keep)
        for old in others:
            if old.id not in kept:
                self.database["checkpoints"].delete_one({"_id": old.id})
        unpointed = {"_id": {"$nin": sorted(kept)}, "run": newest.run, "attempt": {"$lte": newest.attempt}}
        self._forget_files(newest.run, [d["_id"] for d in self.database["uploads"].find(unpointed, {"_id": 1})])

    def _forget_files(self, run_id: str, file_ids: list[str]) -> None:
        """Chunks first, the upload's name last: cut short, it is found again."""
        for file_id in file_ids:
            with suppress(NoFile):
                self._files().delete(ObjectId(file_id))
            self.database["uploads"].delete_one({"_id": file_id, "run": run_id})

    def _download(self, checkpoint: Checkpoint, target: Path) -> None:
        digest, size_bytes = hashlib.sha256(), 0
        try:
            with open(target, "wb") as sink, self._files().open_download_stream(ObjectId(checkpoint.id)) as source:
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
