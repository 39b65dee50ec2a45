"""Files kept with a run, in GridFS."""

import shutil
from pathlib import Path
from typing import Any

from bson import ObjectId
from gridfs import GridFSBucket

from store.errors import Superseded
from store.mongo.client import Session, guarded
from store.mongo.uploads import Bucket, Uploads
from store.runs import Artifact, artifact_name

_BLOCK_BYTES = 1 << 20


class Artifacts(Uploads):
    """The GridFS bucket `artifacts`."""

    @guarded
    def add_artifact(self, run_id: str, attempt: int, path: Path, source: str | None = None) -> None:
        """Upload; then it takes the place of what it replaces, if the run is still ours."""
        source = source or str(path)
        name = artifact_name(path.name, source, self.artifacts(run_id))
        file = self._upload(Bucket.ARTIFACTS, path, run_id, attempt)
        metadata = {"run": run_id, "attempt": attempt, "source": source}
        now = self.now()

        def work(session: Session) -> list[str]:
            self._check_held(run_id, attempt, session)
            older = {str(one["_id"]): (run_id, attempt) for one in self._find_artifacts(run_id, name, session)}
            self._doom(Bucket.ARTIFACTS, older, session)
            self.database["artifacts.files"].delete_many(
                {"_id": {"$in": [ObjectId(old) for old in older]}}, session=session
            )
            self._keep(file, name, metadata, now, session)
            return list(older)

        try:
            older = self.in_transaction(work)
        except Superseded:
            self._forget(Bucket.ARTIFACTS, str(file.id))
            raise
        for old in older:
            self._forget(Bucket.ARTIFACTS, old)

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
        source = self._artifact_files().open_download_stream(ObjectId(artifact.id))
        with open(target, "wb") as sink, source as stored:
            shutil.copyfileobj(stored, sink, _BLOCK_BYTES)
        return target

    def _artifact_files(self) -> GridFSBucket:
        return self._gridfs(Bucket.ARTIFACTS)

    def _find_artifacts(
        self, run_id: str, name: str | None = None, session: Session | None = None
    ) -> list[dict[str, Any]]:
        match = {"metadata.run": run_id} | ({"filename": name} if name else {})
        return list(self.database["artifacts.files"].find(match, session=session).sort("filename", 1))
