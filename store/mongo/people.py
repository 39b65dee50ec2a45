"""What people ask for: stop, pause, go on, come first."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from functools import partial
from typing import Any

from pymongo import UpdateOne

from store.changes import Change, Changed
from store.errors import IllegalTransition
from store.events import Event
from store.mongo.attempts import Attempts
from store.mongo.checkpoints import Checkpoints
from store.mongo.client import Document, Session, guarded
from store.mongo.codec import from_document, plain
from store.mongo.derived import derived
from store.mongo.filters import DERIVED
from store.occasions import Occasion, entered
from store.runs import Run
from store.states import ENDED, State

_AT_ONCE = 100
"""Runs per transaction: some twenty milliseconds, so that the workers that claim meanwhile seldom collide with it."""

_FIELDS = [field.name for field in fields(Run)]


class People(Attempts, Checkpoints):
    """Verbs of the command line that change runs."""

    @guarded
    def change(self, run_ids: Sequence[str], change: Change) -> Changed:
        """Hundred runs per transaction; when MongoDB goes away in the middle, asking again does the rest."""
        done: list[Run] = []
        refused: dict[str, str] = {}
        for start in range(0, len(run_ids), _AT_ONCE):
            some = run_ids[start : start + _AT_ONCE]
            changed, others = self.in_transaction(partial(self._change, some, change))
            done += changed
            refused |= others
        return Changed(runs=tuple(done), refused=refused)

    @guarded
    def events(self, run_id: str) -> list[Event]:
        """What happened to the run, oldest first."""
        found = self.database["events"].find({"run": run_id}, {"_id": 0}).sort([("at", 1), ("_id", 1)])
        return [from_document(Event, document) for document in found]

    @guarded
    def ahead(self, run: Run, limit: int = 10_000) -> int:
        """Counted along the index that claims go by."""
        waiting = {"state": State.QUEUED.value, "queue": run.queue}
        older = [{"queued_at": {"$lt": run.queued_at}}, {"queued_at": run.queued_at, "index": {"$lt": run.index}}]
        before: Document = {"$or": [{"priority": {"$gt": run.priority}}, {"priority": run.priority, "$or": older}]}
        return self.database["runs"].count_documents({**waiting, **before}, limit=limit)

    def _change(self, run_ids: Sequence[str], change: Change, session: Session) -> tuple[list[Run], dict[str, str]]:
        found = self._existing(run_ids, session)
        refused = {run_id: f"no run has the id {run_id!r}" for run_id in run_ids if run_id not in found}
        done: list[Run] = []
        writes: list[UpdateOne] = []
        entries: list[Document] = []
        for run, now in found.values():
            try:
                new = change.apply(run, now)
            except IllegalTransition as error:
                refused[run.id] = str(error)
                continue
            done.append(new)
            writes += _difference(run, new)
            owed = entered(new.state) if new.state in ENDED and run.state not in ENDED else None
            entries.append(_entry(new, change, now, owed))
        if writes:
            self.database["runs"].bulk_write(writes, ordered=False, session=session)
        if entries:
            self.database["events"].insert_many(entries, session=session)
        if change.scratch and done:
            self._drop_all([run.id for run in done], session)
        return done, refused

    def _existing(self, run_ids: Sequence[str], session: Session) -> dict[str, tuple[Run, datetime]]:
        """The runs, with the server's clock."""
        stages: list[dict[str, Any]] = [{"$match": {"_id": {"$in": list(run_ids)}}}, {"$set": {"_now": "$$NOW"}}]
        found: dict[str, tuple[Run, datetime]] = {}
        for document in self.database["runs"].aggregate(stages, session=session):
            now = document.pop("_now")
            found[document["_id"]] = (from_document(Run, document), now)
        return {run_id: found[run_id] for run_id in run_ids if run_id in found}


def _difference(old: Run, new: Run) -> list[UpdateOne]:
    """What the change touched, and nothing else: a document may hold fields that this version does not know."""
    touched = [name for name in _FIELDS if getattr(new, name) != getattr(old, name)]
    values = {name: plain(getattr(new, name)) for name in touched}
    return [UpdateOne({"_id": old.id}, {"$set": {**values, DERIVED: derived(new)}})] if values else []


def _entry(run: Run, change: Change, now: datetime, owed: Occasion | None) -> Document:
    said = {"by": change.by, "because": change.because_of(run.id)}
    if owed is not None:
        said["owed"] = owed.value
    return {"run": run.id, "attempt": run.attempt, "event": change.name, "at": now, **said}
