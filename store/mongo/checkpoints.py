"""Checkpoints in GridFS: written whole, verified, then pointed to."""

import hashlib
import tarfile
from dataclasses import replace
from pathlib import Path

from bson import ObjectId
from gridfs import GridFSBucket
from gridfs.errors import GridFSError
from pymongo.errors import PyMongoError

from store.errors import CheckpointDamaged, Superseded
from store.mongo.client import Connected, Document, Session, driver_errors, guarded
from store.mongo.codec import from_document, plain, to_document
from store.runs import Checkpoint
from store.states import State

_BLOCK_BYTES = 1 << 20


class Checkpoints(Connected):
    """The `checkpoints` collection and the GridFS bucket `checkpoint_files`."""

    @guarded
    def publish_checkpoint(self, checkpoint: Checkpoint, path: Path, keep: int) -> Checkpoint:
        """Upload first, point last: a supervisor that dies in between leaves an orphan file, never a broken pointer."""
        packed = _pack(path) if checkpoint.is_dir else path
        try:
            file_id, size_bytes, sha256 = self._upload(packed, checkpoint)
        finally:
            if packed != path:
                packed.unlink(missing_ok=True)
        stored = replace(checkpoint, id=str(file_id), size_bytes=size_bytes, sha256=sha256)
        try:
            self._verify_stored(file_id, size_bytes)
            stored = self.in_transaction(lambda session: self._point_to(stored, session))
        except (Superseded, CheckpointDamaged):
            self._files().delete(file_id)
            raise
        self._prune(stored, keep)
        return stored

    @guarded
    def checkpoints(self, run_id: str) -> list[Checkpoint]:
        """Stored checkpoints, newest first."""
        found = self.database["checkpoints"].find({"run": run_id}).sort([("attempt", -1), ("line", -1), ("step", -1)])
        return [from_document(Checkpoint, document) for document in found]

    def fetch_checkpoint(self, checkpoint: Checkpoint, folder: Path) -> Path:
        """Write the checkpoint into `folder`, checking size and SHA-256 on the way."""
        folder.mkdir(parents=True, exist_ok=True)
        packed = folder / f".{checkpoint.name}.fetched"
        self._download(checkpoint, packed)
        target = folder / checkpoint.name
        if checkpoint.is_dir:
            _unpack(packed, target)
            packed.unlink()
        else:
            packed.rename(target)
        return target

    def _files(self) -> GridFSBucket:
        return GridFSBucket(self.database, bucket_name="checkpoint_files")

    def _upload(self, path: Path, checkpoint: Checkpoint) -> tuple[ObjectId, int, str]:
        file_id = ObjectId()
        digest, size_bytes = hashlib.sha256(), 0
        metadata = {"run": checkpoint.run, "attempt": checkpoint.attempt, "step": checkpoint.step}
        with (
            open(path, "rb") as source,
            self._files().open_upload_stream_with_id(file_id, checkpoint.name, metadata=metadata) as sink,
        ):
            while block := source.read(_BLOCK_BYTES):
                sink.write(block)
                digest.update(block)
                size_bytes += len(block)
        return file_id, size_bytes, digest.hexdigest()

    def _verify_stored(self, file_id: ObjectId, size_bytes: int) -> None:
        """Every chunk of the file is there with its full length."""
        total = {"_id": None, "size": {"$sum": {"$binarySize": "$data"}}}
        stages: list[Document] = [{"$match": {"files_id": file_id}}, {"$group": total}]
        stored = next((d["size"] for d in self.database["checkpoint_files.chunks"].aggregate(stages)), 0)
        if stored != size_bytes:
            raise CheckpointDamaged(f"checkpoint file {file_id}: {stored} of {size_bytes} bytes were stored")

    def _point_to(self, checkpoint: Checkpoint, session: Session) -> Checkpoint:
        holder = {"_id": checkpoint.run, "attempt": checkpoint.attempt, "state": State.RUNNING.value}
        result = self.database["runs"].update_one(holder, {"$set": {"checkpoint": plain(checkpoint)}}, session=session)
        if not result.matched_count:
            raise Superseded(f"run {checkpoint.run}: attempt {checkpoint.attempt} no longer holds it")
        self.database["checkpoints"].insert_one(to_document(checkpoint), session=session)
        return checkpoint

    def _prune(self, newest: Checkpoint, keep: int) -> None:
        """Forget all but the newest `keep`, and uploads that an earlier attempt never finished."""
        stored = self.checkpoints(newest.run)
        for old in stored[max(keep, 1) :]:
            self.database["checkpoints"].delete_one({"_id": old.id})
        kept = [ObjectId(checkpoint.id) for checkpoint in stored[: max(keep, 1)]]
        unpointed: Document = {
            "_id": {"$nin": kept},
            "metadata.run": newest.run,
            "metadata.attempt": {"$lte": newest.attempt},
        }
        for file in self.database["checkpoint_files.files"].find(unpointed, {"_id": 1}):
            self._files().delete(file["_id"])

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


def _unpack(packed: Path, target: Path) -> None:
    """The archive is our own and its SHA-256 was right; Pythons before 3.11.4 know no filters."""
    careful = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
    with tarfile.open(packed) as archive:
        archive.extractall(target, **careful)  # type: ignore[arg-type]


def _pack(folder: Path) -> Path:
    """The directory as an uncompressed tar file beside it."""
    packed = folder.with_name(f".{folder.name}.tar")
    with tarfile.open(packed, "w") as archive:
        archive.add(folder, arcname=".")
    return packed
