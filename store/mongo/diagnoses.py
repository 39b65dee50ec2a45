"""What was found about runs, and what was done about it: the `diagnoses` collection."""

from collections.abc import Iterable, Sequence
from typing import Any

from pymongo import UpdateOne
from pymongo.errors import BulkWriteError

from store.events import as_event
from store.findings import Diagnosis, Finding, replaces, untold
from store.glimpses import Glimpse, LastLook
from store.mongo.attempts import Attempts
from store.mongo.client import Document, Session, guarded
from store.mongo.codec import from_document, plain, to_document
from store.mongo.findings import diagnosis_of, told
from store.occasions import Occasion
from store.remedies import Case, Remedy
from store.runs import Shipped
from store.states import ENDED, State

_GLIMPSE = {
    "experiment": 1, "state": 1, "attempt": 1, "history.started_at": 1,
    "shipped.attempt": 1, "shipped.events_lines": 1, "shipped.output_bytes": 1,
}  # fmt: skip
_LAST_LOOK = {"attempt": 1, "lines": 1, "looked_at": 1, "over": 1}
_RUNNING_AT_MOST = 20_000
_EVENTS_BACK = 300
"""How many of the newest events are searched for endings of runs that nobody has looked at while they ran."""
_DUPLICATE_KEY = 11000


class Diagnoses(Attempts):
    """One document for each run that was looked at: `_id` is the run. `over` is false until its attempt's last look."""

    @guarded
    def glimpses(self, ended: int) -> list[Glimpse]:
        """Running runs first; of the others, in no order, `ended` at most."""
        runs, looks = self.database["runs"], self.database["diagnoses"]
        running = list(runs.find({"state": State.RUNNING.value}, _GLIMPSE).limit(_RUNNING_AT_MOST))
        present = {one["_id"] for one in running}
        left = [one["_id"] for one in looks.find({"over": False}, {"_id": 1}) if one["_id"] not in present]
        newest = self.database["events"].find({}, {"_id": 0, "run": 1}).sort("_id", -1).limit(_EVENTS_BACK)
        lately = list(dict.fromkeys(one["run"] for one in newest))
        gone = {"$or": [{"_id": {"$in": left}}, {"_id": {"$in": lately}, "state": {"$in": sorted(ENDED)}}]}
        others = [one for one in runs.find(gone, _GLIMPSE) if one["_id"] not in present]
        known = looks.find({"_id": {"$in": [one["_id"] for one in (*running, *others)]}}, _LAST_LOOK)
        seen = {one["_id"]: _last_look(one) for one in known}
        unseen = [one for one in others if not _is_closed(one, seen.get(one["_id"]))]
        return list(_glimpsed([*running, *unseen[:ended]], seen))

    @guarded
    def diagnoses(self, run_ids: Sequence[str]) -> dict[str, Diagnosis]:
        """By run id."""
        found = self.database["diagnoses"].find({"_id": {"$in": list(run_ids)}})
        return {one["_id"]: diagnosis_of(one) for one in found}

    @guarded
    def put_diagnosis(self, diagnosis: Diagnosis, new: Sequence[Finding], *, to_treat: bool = False) -> bool:
        """The findings and their events are there together or not at all."""

        def work(session: Session) -> bool:
            loaded = self._load({"_id": diagnosis.run, "attempt": diagnosis.attempt}, session)
            if loaded is None:
                return False
            run, now = loaded
            stored = self.database["diagnoses"].find_one({"_id": run.id}, session=session)
            kept = diagnosis_of(stored) if stored else None
            if kept is not None and not replaces(diagnosis, kept):
                return False
            update: Document = {"$set": _values(diagnosis)}
            if to_treat:
                update = {"$set": {**update["$set"], "treat": True, "experiment": run.experiment}, "$inc": {"case": 1}}
            self.database["diagnoses"].update_one({"_id": run.id}, update, upsert=True, session=session)
            self.database["runs"].update_one(*told(diagnosis), session=session)
            for finding in untold(new, kept, diagnosis.attempt):
                self._audit(run, "finding", now, session, Occasion.FINDING, **as_event(finding))
            return True

        return self.in_transaction(work)

    @guarded
    def put_looks(self, diagnoses: Sequence[Diagnosis]) -> None:
        """One write for many. Where a later look is kept nothing matches, and the insert finds the place taken."""
        writes = [UpdateOne(_earlier(one), {"$set": _values(one)}, upsert=True) for one in diagnoses]
        try:
            if writes:
                self.database["diagnoses"].bulk_write(writes, ordered=False)
        except BulkWriteError as error:
            if any(item["code"] != _DUPLICATE_KEY for item in error.details["writeErrors"]):
                raise
        self._tell_runs([one.run for one in diagnoses if one.findings])

    def _tell_runs(self, run_ids: Sequence[str]) -> None:
        """What is kept, which may come from a later look than ours."""
        if run_ids:
            writes = [UpdateOne(*told(kept)) for kept in self.diagnoses(run_ids).values()]
            self.database["runs"].bulk_write(writes, ordered=False)

    # ── what is done about it ──
    @guarded
    def remedied(self) -> dict[str, list[dict[str, Any]]]:
        """The rules by experiment."""
        found = self.database["experiments"].find({"diagnosis.0": {"$exists": True}}, {"diagnosis": 1})
        return {one["_id"]: one["diagnosis"] for one in found}

    @guarded
    def cases(self, limit: int) -> list[Case]:
        """By the index of those that wait."""
        return [
            Case(diagnosis=diagnosis_of(one), experiment=one["experiment"], number=one["case"], remedy=_remedy(one))
            for one in self.database["diagnoses"].find({"treat": True}).limit(limit)
        ]

    @guarded
    def prescribe(self, case: Case, remedy: Remedy) -> bool:
        """Compare and swap: something new may have been found."""
        kept = {"$set": {"remedy": plain(remedy)}}
        return self.database["diagnoses"].update_one(_same(case), kept).matched_count == 1

    @guarded
    def close_case(self, case: Case) -> None:
        """What has been found meanwhile is a case of its own."""
        self.database["diagnoses"].update_one(
            {**_same(case), "remedy": {"$type": "object"}}, {"$set": {"treat": False, "remedy.done": True}}
        )
        self.database["diagnoses"].update_one(_same(case), {"$set": {"treat": False}})


def _same(case: Case) -> Document:
    return {"_id": case.diagnosis.run, "treat": True, "case": case.number}


def _earlier(diagnosis: Diagnosis) -> Document:
    """`replaces` as a filter."""
    if diagnosis.looked_at is None:
        return {"_id": diagnosis.run, "attempt": {"$lte": diagnosis.attempt}}
    before = [{"looked_at": None}, {"looked_at": {"$lt": diagnosis.looked_at}}]
    return {
        "_id": diagnosis.run,
        "$or": [{"attempt": {"$lt": diagnosis.attempt}}, {"attempt": diagnosis.attempt, "$or": before}],
    }


def _values(diagnosis: Diagnosis) -> Document:
    document = to_document(diagnosis)
    del document["run"]
    return document


def _remedy(document: Document) -> Remedy | None:
    found = document.get("remedy")
    return from_document(Remedy, found) if found else None


def _last_look(document: Document) -> LastLook:
    return LastLook(
        attempt=document["attempt"],
        lines=document["lines"],
        looked_at=document.get("looked_at"),
        over=document.get("over", False),
    )


def _is_closed(run: Document, seen: LastLook | None) -> bool:
    return seen is not None and seen.over and seen.attempt == run["attempt"]


def _glimpsed(documents: Iterable[Document], seen: dict[str, LastLook]) -> Iterable[Glimpse]:
    for one in documents:
        shipped, history = one.get("shipped") or {}, one.get("history") or [{}]
        yield Glimpse(
            id=one["_id"],
            experiment=one["experiment"],
            state=State(one["state"]),
            attempt=one["attempt"],
            started_at=history[-1].get("started_at"),
            shipped=Shipped(
                attempt=shipped.get("attempt", 0),
                events_lines=shipped.get("events_lines", 0),
                output_bytes=shipped.get("output_bytes", 0),
            ),
            last_look=seen.get(one["_id"]),
        )
