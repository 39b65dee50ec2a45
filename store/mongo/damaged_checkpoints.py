"""Checkpoints that are half there. Those of a running run are left alone: its attempt publishes and prunes."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from bson import ObjectId
from pydantic import ValidationError

from store.damage import Damage, Fault
from store.errors import CheckpointDamaged
from store.logbook import warn
from store.mongo.client import Document, Session
from store.mongo.codec import from_document, plain, to_document
from store.mongo.damaged_files import DamagedFiles
from store.mongo.pages import pages
from store.runs import Checkpoint
from store.states import State

_GONE = "its file is gone"
_NOWHERE = Path("/dev/null")
_FIELDS = tuple(name for name in Checkpoint.__dataclass_fields__ if name != "id")


class DamagedCheckpoints(DamagedFiles):
    """`deep` reads every byte and compares SHA-256; else the file must be there with all its chunks."""

    def _broken_pointers(self, deep: bool) -> Iterator[Fault]:
        for run, checkpoint, problem in self._suspect_pointers(deep):
            if problem and self._points_to(run, checkpoint):
                text = f"its checkpoint at step {checkpoint.step}: {problem}"
                yield Fault(damage=Damage.BROKEN_POINTER, place=checkpoint.id, id=run, text=text)

    def _unlisted_checkpoints(self) -> Iterator[Fault]:
        for run, checkpoint, problem in self._suspect_pointers(deep=False):
            if not problem and self._points_to(run, checkpoint):
                text = f"its checkpoint at step {checkpoint.step} is whole, and missing from its list"
                yield Fault(damage=Damage.UNLISTED_CHECKPOINT, place=checkpoint.id, id=run, text=text)

    def _damaged_checkpoints(self, deep: bool) -> Iterator[Fault]:
        for page in pages(self.database["checkpoints"], _FIELDS):
            at_rest = self._at_rest({document["run"] for document in page})
            found = [one for document in page if document["run"] in at_rest and (one := _read(document))]
            problems = self._problems(found, deep)
            still = _ids(self.database["checkpoints"], list(problems))  # pruned meanwhile: the list comes first
            for checkpoint in found:
                if checkpoint.id in problems and checkpoint.id in still:
                    text = f"run {checkpoint.run}, step {checkpoint.step}: {problems[checkpoint.id]}"
                    yield Fault(damage=Damage.DAMAGED_CHECKPOINT, place="checkpoints", id=checkpoint.id, text=text)

    def _suspect_pointers(self, deep: bool) -> Iterator[tuple[str, Checkpoint, str]]:
        """(run, checkpoint, what is wrong with its file): pointers with a bad file, or with none in the list."""
        for page in pages(self.database["runs"], ["state", "checkpoint"]):
            at_rest = (run for run in page if run["state"] != State.RUNNING.value)
            pointers = {run["_id"]: one for run in at_rest if (one := _read(run.get("checkpoint")))}
            problems = self._problems(list(pointers.values()), deep)
            listed = _ids(self.database["checkpoints"], [checkpoint.id for checkpoint in pointers.values()])
            for run, checkpoint in pointers.items():
                if checkpoint.id in problems or checkpoint.id not in listed:
                    yield run, checkpoint, problems.get(checkpoint.id, "")

    def _points_to(self, run: str, checkpoint: Checkpoint) -> bool:
        return self.database["runs"].find_one(_at_rest_with(run, checkpoint.id), {"_id": 1}) is not None

    def _at_rest(self, ids: set[str]) -> set[str]:
        match = {"_id": {"$in": sorted(ids)}, "state": {"$ne": State.RUNNING.value}}
        return {run["_id"] for run in self.database["runs"].find(match, {"_id": 1})}

    # ── what is wrong with a file ──
    def _problems(self, checkpoints: Sequence[Checkpoint], deep: bool) -> dict[str, str]:
        keys = [ObjectId(checkpoint.id) for checkpoint in checkpoints if ObjectId.is_valid(checkpoint.id)]
        wanted = {"length": 1, "chunkSize": 1}
        files = {str(f["_id"]): f for f in self.database["checkpoint_files.files"].find({"_id": {"$in": keys}}, wanted)}
        count: list[Document] = [
            {"$match": {"files_id": {"$in": keys}}},
            {"$group": {"_id": "$files_id", "n": {"$sum": 1}}},
        ]
        chunks = {str(one["_id"]): one["n"] for one in self.database["checkpoint_files.chunks"].aggregate(count)}
        problems = {}
        for checkpoint in checkpoints:
            problem = _problem(checkpoint, files.get(checkpoint.id), chunks.get(checkpoint.id, 0))
            if problem or (deep and (problem := self._deep_problem(checkpoint))):
                problems[checkpoint.id] = problem
        return problems

    def _deep_problem(self, checkpoint: Checkpoint) -> str:
        try:
            if not ObjectId.is_valid(checkpoint.id):
                return _GONE
            self._download(checkpoint, _NOWHERE)
        except CheckpointDamaged as error:
            return str(error)
        return ""

    # ── mending ──
    def _mend_pointer(self, fault: Fault) -> bool:
        """Back to the newest checkpoint that verifies, or to the beginning."""
        pointed = self._pointed(fault)
        if pointed is None or not self._deep_problem(pointed):
            return False
        older = (one for one in self.checkpoints(fault.id) if one.id != fault.place)
        whole = next((one for one in older if not self._deep_problem(one)), None)
        return self._repoint(fault.id, fault.place, whole, self.now())

    def _repoint(self, run: str, bad: str, whole: Checkpoint | None, now: datetime) -> bool:
        pointer = {"$set": {"checkpoint": plain(whole)}}

        def work(session: Session) -> bool:
            match = _at_rest_with(run, bad)
            moved = self.database["runs"].find_one_and_update(match, pointer, {"attempt": 1}, session=session)
            if moved is None:
                return False
            step = whole.step if whole else None
            event = {"run": run, "attempt": moved["attempt"], "event": "fell-back", "at": now, "step": step}
            self.database["events"].insert_one(event, session=session)
            return True

        return self.in_transaction(work)

    def _mend_list(self, fault: Fault) -> bool:
        """A whole checkpoint that a run points to belongs into its list."""
        checkpoint = self._pointed(fault)
        if checkpoint is None:
            return False
        if self._deep_problem(checkpoint):
            return self._mend_pointer(fault)

        def work(session: Session) -> bool:
            # Written to, so that a requeue from scratch at the same moment comes before or after, never between.
            touched = {"$currentDate": {"checkpoint.mended_at": True}}
            match = _at_rest_with(fault.id, fault.place)
            if not self.database["runs"].update_one(match, touched, session=session).matched_count:
                return False
            document = to_document(checkpoint)
            listed = self.database["checkpoints"].update_one(
                {"_id": checkpoint.id}, {"$setOnInsert": document}, upsert=True, session=session
            )
            return listed.upserted_id is not None

        return self.in_transaction(work)

    def _mend_checkpoint(self, fault: Fault) -> bool:
        """What is left of its file goes as an abandoned upload."""
        checkpoint = _read(self.database["checkpoints"].find_one({"_id": fault.id}))
        if checkpoint is None or checkpoint.run not in self._at_rest({checkpoint.run}):
            return False
        if not self._deep_problem(checkpoint):
            return False
        if self._points_to(checkpoint.run, checkpoint):
            here = Fault(damage=Damage.BROKEN_POINTER, place=checkpoint.id, id=checkpoint.run, text=fault.text)
            self._mend_pointer(here)
        gone = self.database["checkpoints"].delete_one({"_id": fault.id}).deleted_count == 1
        self._forget_files(checkpoint.run, [checkpoint.id] if ObjectId.is_valid(checkpoint.id) else [])
        return gone

    def _pointed(self, fault: Fault) -> Checkpoint | None:
        run = self.database["runs"].find_one(_at_rest_with(fault.id, fault.place), {"checkpoint": 1})
        return _read(run["checkpoint"]) if run else None


def _read(document: Document | None) -> Checkpoint | None:
    """None also for what somebody has spoiled by hand: it must not keep all others from being mended."""
    try:
        return from_document(Checkpoint, document) if document else None
    except ValidationError as error:
        warn("checkpoint-not-readable", checkpoint=(document or {}).get("_id"), error=error.errors()[0]["loc"])
        return None


def _problem(checkpoint: Checkpoint, file: Document | None, chunks: int) -> str:
    if file is None:
        return _GONE
    if file["length"] != checkpoint.size_bytes:
        return f"its file has {file['length']} of {checkpoint.size_bytes} bytes"
    wanted = -(-file["length"] // file["chunkSize"])
    return "" if chunks == wanted else f"{chunks} of {wanted} chunks of its file are there"


def _at_rest_with(run: str, checkpoint: str) -> Document:
    return {"_id": run, "checkpoint.id": checkpoint, "state": {"$ne": State.RUNNING.value}}


def _ids(collection: Any, ids: list[str]) -> set[str]:
    return {one["_id"] for one in collection.find({"_id": {"$in": ids}}, {"_id": 1})}
