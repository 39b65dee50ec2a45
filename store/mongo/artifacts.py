"""Files kept with a run, in GridFS."""

from pathlib import Path
from typing import Any

from bson import ObjectId
from gridfs import GridFSBucket

from store.errors import Superseded
from store.files import open_regular
from store.mongo.client import Connected, guarded
from store.runs import Artifact, artifact_name
from store.states import State


class Artifacts(Connected):
    """The GridFS bucket `artifacts`."""

    @guarded
    def add_artifact(self, run_id: str, attempt: int, path: Path, source: str | None = None) -> None:
        """Upload, then check that the run is still ours: a stale upload is taken back."""
        source = source or str(path)
        name = artifact_name(path.name, source, self.artifacts(run_id))
        older = [file["_id"] for file in self._find_artifacts(run_id, name)]
        metadata = {"run": run_id, "attempt": attempt, "source": source}
        with open_regular(path) as file:
            file_id = self._artifact_files().upload_from_stream(name, file, metadata=metadata)
        holder = {"_id": run_id, "attempt": attempt, "state": State.RUNNING.value}
        if self.database["runs"].find_one(holder, {"_id": 1}) is None:
            self._artifact_files().delete(file_id)
            raise Superseded(f"run {run_id}: attempt {attempt} no longer holds it")
        for old in older:
            self._artifact_files().delete(old)

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
        with open(target, "wb") as sink:
            self._artifact_files().download_to_stream(ObjectId(artifact.id), sink)
        return target

    def _artifact_files(self) -> GridFSBucket:
        return GridFSBucket(self.database, bucket_name="artifacts")

    def _find_artifacts(self, run_id: str, name: str | None = None) -> list[dict[str, Any]]:
        match = {"metadata.run": run_id} | ({"filename": name} if name else {})
        return list(self.database["artifacts.files"].find(match).sort("filename", 1))
