"""GridFS files that nobody needs: uploads of the dead, files without a run, chunks without a file.

An upload is named before its first byte (`uploads`, `artifact_uploads`). Its attempt, once it no longer holds the run,
can never publish it; so what is needed is decided without any clock.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from bson import ObjectId

from store.damage import Damage, Fault
from store.mongo.artifacts import Artifacts
from store.mongo.checkpoints import Checkpoints
from store.mongo.client import Document
from store.mongo.pages import distinct_pages, pages
from store.mongo.uploads import IMPORTING, MARKS, Bucket
from store.states import State

CHECKPOINTS, ARTIFACTS = Bucket.CHECKPOINTS, Bucket.ARTIFACTS
_CHUNKS_AT_ONCE = 100
Owner = tuple[str, int]
"""(run, attempt)"""


class DamagedFiles(Checkpoints, Artifacts):
    """Finds and removes them. Reads go in the order in which uploads write, backwards, so that none is mistaken."""

    def _abandoned_uploads(self) -> Iterator[Fault]:
        for bucket, marks in MARKS.items():
            for page in pages(self.database[marks], ["run", "attempt"]):
                owners = {mark["_id"]: (mark.get("run", ""), mark.get("attempt", 0)) for mark in page}
                needed = self._needed_uploads(bucket, owners)
                for file_id, (run, attempt) in owners.items():
                    if file_id not in needed:
                        text = f"run {run}, attempt {attempt}"
                        yield Fault(damage=Damage.ABANDONED_UPLOAD, place=bucket, id=file_id, text=text)

    def _orphaned_files(self) -> Iterator[Fault]:
        for bucket, marks in MARKS.items():
            for page in pages(self.database[f"{bucket}.files"], ["metadata", "length"]):
                sizes = {str(file["_id"]): file.get("length", 0) for file in page}
                owners = {str(file["_id"]): _owner(file) for file in page}
                marked = _there(self.database[marks], owners)
                needed = self._needed_files(bucket, {key: one for key, one in owners.items() if key not in marked})
                for file_id in owners.keys() - marked - needed:
                    text = f"{sizes[file_id]} bytes, run {owners[file_id][0] or 'unknown'}"
                    yield Fault(damage=Damage.ORPHANED_FILE, place=bucket, id=file_id, text=text)

    def _orphaned_chunks(self) -> Iterator[Fault]:
        for bucket in MARKS:
            for page in distinct_pages(self.database[f"{bucket}.chunks"], "files_id"):
                for file_id in self._without_file(bucket, page):
                    text = "chunks of a file that is not there"
                    yield Fault(damage=Damage.ORPHANED_CHUNKS, place=bucket, id=str(file_id), text=text)

    def _without_file(self, bucket: str, chunk_owners: list[Any]) -> list[Any]:
        """In this order: an upload is named before its first chunk, and an artifact's until its file is there."""
        marked = _there(self.database[MARKS[bucket]], map(str, chunk_owners))
        files = self.database[f"{bucket}.files"].find({"_id": {"$in": chunk_owners}}, {"_id": 1})
        there = {file["_id"] for file in files}
        return [one for one in chunk_owners if str(one) not in marked and one not in there]

    def _needed_uploads(self, bucket: str, owners: dict[str, Owner]) -> set[str]:
        """What a living attempt is storing, or has stored. The fence first: once lost, it stays lost."""
        runs = self._runs_of(owners)
        held = {key for key, (run, attempt) in owners.items() if _holds(runs.get(run), attempt)}
        if bucket == ARTIFACTS:
            return held
        pointed = {run["checkpoint"]["id"] for run in runs.values() if run.get("checkpoint")}
        listed = self.database["checkpoints"].find({"_id": {"$in": list(owners)}}, {"run": 1})
        return held | (pointed & owners.keys()) | {one["_id"] for one in listed if one["run"] in runs}

    def _needed_files(self, bucket: str, owners: dict[str, Owner]) -> set[str]:
        """Of files whose upload is over."""
        if bucket == CHECKPOINTS:
            return self._needed_uploads(bucket, owners)
        runs = self._runs_of(owners)
        return {key for key, (run, _) in owners.items() if run in runs}

    def _runs_of(self, owners: dict[str, Owner]) -> dict[str, Document]:
        ids = sorted({run for run, _ in owners.values()})
        fields = {"state": 1, "attempt": 1, IMPORTING: 1, "checkpoint.id": 1}
        return {run["_id"]: run for run in self.database["runs"].find({"_id": {"$in": ids}}, fields)}

    # ── mending ──
    def _mend_upload(self, fault: Fault) -> bool:
        marks = self.database[MARKS[fault.place]]
        mark = marks.find_one({"_id": fault.id})
        owners = {fault.id: (mark.get("run", ""), mark.get("attempt", 0))} if mark else {}
        if not owners or self._needed_uploads(fault.place, owners):
            return False
        # An artifact that is whole was stored a moment before its worker died: it stays.
        if not (fault.place == ARTIFACTS and self._is_stored(fault.id) and self._needed_files(ARTIFACTS, owners)):
            self._stop_writing(Bucket(fault.place), fault.id)
            self._remove_file(fault.place, fault.id)
        return marks.delete_one({"_id": fault.id}).deleted_count == 1

    def _is_stored(self, artifact_id: str) -> bool:
        return self.database["artifacts.files"].find_one({"_id": _key(artifact_id)}, {"_id": 1}) is not None

    def _mend_file(self, fault: Fault) -> bool:
        file = self.database[f"{fault.place}.files"].find_one({"_id": _key(fault.id)}, {"metadata": 1})
        if file is None or _there(self.database[MARKS[fault.place]], [fault.id]):
            return False
        if self._needed_files(fault.place, {fault.id: _owner(file)}):
            return False
        self._remove_file(fault.place, fault.id)
        return True

    def _mend_chunks(self, fault: Fault) -> bool:
        if not self._without_file(fault.place, [_key(fault.id)]):
            return False
        return self._remove_chunks(fault.place, fault.id) > 0

    def _remove_file(self, bucket: str, file_id: str) -> None:
        """The file first: nobody reads half of it. Cut short, its chunks are found again."""
        self.database[f"{bucket}.files"].delete_one({"_id": _key(file_id)})
        self._remove_chunks(bucket, file_id)

    def _remove_chunks(self, bucket: str, file_id: str) -> int:
        """In pieces: those of a large file would outlast every time-out."""
        chunks, removed = self.database[f"{bucket}.chunks"], 0
        while piece := list(chunks.find({"files_id": _key(file_id)}, {"_id": 1}).limit(_CHUNKS_AT_ONCE)):
            removed += chunks.delete_many({"_id": {"$in": [chunk["_id"] for chunk in piece]}}).deleted_count
        return removed


def _holds(run: Document | None, attempt: int) -> bool:
    if run is None or run["attempt"] != attempt:
        return False
    return bool(run["state"] == State.RUNNING.value or IMPORTING in run)


def _owner(file: Document) -> Owner:
    metadata = file.get("metadata") or {}
    return metadata.get("run", ""), metadata.get("attempt", 0)


def _key(file_id: str) -> Any:
    return ObjectId(file_id) if ObjectId.is_valid(file_id) else file_id


def _there(collection: Any, ids: Iterable[str]) -> set[str]:
    return {one["_id"] for one in collection.find({"_id": {"$in": list(ids)}}, {"_id": 1})}
