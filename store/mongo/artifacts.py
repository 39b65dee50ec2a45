"""Files kept with a run, in GridFS."""

import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from bson import ObjectId
from gridfs import GridFSBucket
from pymongo.errors import PyMongoError

from store.errors import Superseded
from store.files import open_regular
from store.mongo.client import Connected, Document, guarded
from store.runs import Artifact, artifact_name
from store.states import State

_BLOCK_BYTES = 1 << 20


class Artifacts(Connected):
    """The GridFS bucket `artifacts`. `artifact_uploads` names what is being stored just now."""

    @guarded
    def add_artifact(self, run_id: str, attempt: int, path: Path, source: str | None = None) -> None:
        """Upload, then check that the run is still ours: a stale upload is taken back."""
        source = source or str(path)
        name = artifact_name(path.name, source, self.artifacts(run_id))
        older = [file["_id"] for file in self._find_artifacts(run_id, name)]
        metadata = {"run": run_id, "attempt": attempt, "source": source}
        with open_regular(path) as file:
            file_id = self._upload_artifact(name, file, metadata)
        holder = {"_id": run_id, "attempt": attempt, "state": State.RUNNING.value}
        if self.database["runs"].find_one(holder, {"_id": 1}) is None:
            self._artifact_files().delete(file_id)
            self._forget_upload(file_id)
            raise Superseded(f"run {run_id}: attempt {attempt} no longer holds it")
        for old in older:
            self._artifact_files().delete(old)
        self._forget_upload(file_id)

    @guarded
    def artifacts(self, run_id: str) -> list[Artifact]:
        """Kept files, by name."""
        found = self._find_artifacts(run_id)
        return [
            Artifact(
                id=str(file["_id"]),
                run=run_id,
                attempt=file["metadata"]["attempt"],
                name=file["filename"],
                size_bytes=file["length"],
                source=file["metadata"].get("source", ""),
            )
            for file in found
        ]

    @guarded
    def fetch_artifact(self, artifact: Artifact, folder: Path) -> Path:
        """Write a kept file into `folder`."""
        target = folder / Path(artifact.name).name
        with open(target, "wb") as sink, self._artifact_files().open_download_stream(ObjectId(artifact.id)) as stored:
            shutil.copyfileobj(stored, sink, _BLOCK_BYTES)
        return target

    def _upload_artifact(self, name: str, file: BinaryIO, metadata: Document) -> ObjectId:
        """Block by block, each within the longest wait; GridFS' own functions for whole files stop when it is over."""
        file_id = ObjectId()
        mark = {"_id": str(file_id), "run": metadata["run"], "attempt": metadata["attempt"]}
        self.database["artifact_uploads"].insert_one(mark)
        sink = self._artifact_files().open_upload_stream_with_id(file_id, name, metadata=metadata)
        try:
            shutil.copyfileobj(file, sink, _BLOCK_BYTES)
            sink.close()
        except (OSError, PyMongoError):
            with suppress(PyMongoError):
                sink.abort()
                self._forget_upload(file_id)
            raise
        return file_id

    def _forget_upload(self, file_id: ObjectId) -> None:
        """Last of all: what a killed upload left is found by it."""
        self.database["artifact_uploads"].delete_one({"_id": str(file_id)})

    def _artifact_files(self) -> GridFSBucket:
        return GridFSBucket(self.database, bucket_name="artifacts")

    def _find_artifacts(self, run_id: str, name: str | None = None) -> list[dict[str, Any]]:
        match = {"metadata.run": run_id} | ({"filename": name} if name else {})
        return list(self.database["artifacts.files"].find(match).sort("filename", 1))
