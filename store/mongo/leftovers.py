"""What stays behind in the other collections: histories without a run, workers, locks and claims of the dead."""

from collections.abc import Iterator

from pymongo.errors import DuplicateKeyError

from store.damage import Damage, Fault
from store.mongo.client import Document, Session
from store.mongo.damaged_checkpoints import DamagedCheckpoints
from store.mongo.pages import PAGE, distinct_pages
from store.notices import NoticeState

HISTORIES = ("metrics", "logs", "samples", "events", "checkpoints", "diagnoses")
_KEYED = frozenset({"diagnoses"})
"""Of these a run has one document, whose id is the run's."""
_DELETE_AT_ONCE = 100
_DAY_MS = 86_400_000
"""No lease lasts that long: one that says so was written by a wrong clock, or by hand."""


class Leftovers(DamagedCheckpoints):
    """Ages are measured on the server's clock."""

    def _histories(self) -> Iterator[Fault]:
        for place in HISTORIES:
            for page in distinct_pages(self.database[place], _run_in(place)):
                there = {run["_id"] for run in self.database["runs"].find({"_id": {"$in": page}}, {"_id": 1})}
                for run in page:
                    if run not in there:
                        text = f"{place} of a run that is not there"
                        yield Fault(damage=Damage.HISTORY_WITHOUT_RUN, place=place, id=run, text=text)

    def _stale_workers(self, stale_s: float) -> Iterator[Fault]:
        for worker in self.database["workers"].find(_unseen(stale_s)).limit(PAGE):
            text = f"not seen since {worker.get('seen_at')}"
            yield Fault(damage=Damage.STALE_WORKER, place="workers", id=worker["_id"], text=text)

    def _stale_locks(self) -> Iterator[Fault]:
        for lock in self.database["locks"].find(_ODD_LOCK):
            text = f"held by {lock.get('owner')} until {lock.get('until')}, taken {lock.get('taken')}"
            yield Fault(damage=Damage.STALE_LOCK, place="locks", id=lock["_id"], text=text)

    def _stale_notices(self) -> Iterator[Fault]:
        for notice in self.database["outbox"].find(_ODD_NOTICE).limit(PAGE):
            lease = notice["lease"]
            text = f"{lease.get('owner')} began to send it and did not end before {lease.get('until')}"
            yield Fault(damage=Damage.STALE_NOTICE, place="outbox", id=notice["_id"], text=text)

    # ── mending ──
    def _mend_history(self, fault: Fault) -> bool:
        found = self.database[fault.place].find({_run_in(fault.place): fault.id}, {"_id": 1}).limit(_DELETE_AT_ONCE)
        removed = False
        while piece := list(found.clone()):
            if not self._delete_piece(fault, [one["_id"] for one in piece]):
                break
            removed = True
        return removed

    def _delete_piece(self, fault: Fault, ids: list[object]) -> bool:
        """Only while the run is not there: a stand-in keeps it from being enqueued again at the same moment.

        Its points would be added to the buckets that are just being deleted.
        """
        runs, stand_in = self.database["runs"], {"_id": fault.id, "key": f"no-run-{fault.id}"}

        def work(session: Session) -> None:
            runs.insert_one(stand_in, bypass_document_validation=True, session=session)
            self.database[fault.place].delete_many({"_id": {"$in": ids}}, session=session)
            runs.delete_one({"_id": fault.id}, session=session)

        try:
            self.in_transaction(work)
        except DuplicateKeyError:
            return False
        return True

    def _mend_worker(self, fault: Fault, stale_s: float) -> bool:
        gone = self.database["workers"].delete_one({"_id": fault.id, **_unseen(stale_s)}).deleted_count == 1
        if gone:
            self.database["drains"].delete_one({"_id": fault.id})
        return gone

    def _mend_lock(self, fault: Fault) -> bool:
        return self.database["locks"].delete_one({"_id": fault.id, **_ODD_LOCK}).deleted_count == 1

    def _mend_notice(self, fault: Fault) -> bool:
        freed = self.database["outbox"].update_one({"_id": fault.id, **_ODD_NOTICE}, {"$set": {"lease": None}})
        return freed.modified_count == 1


def _run_in(place: str) -> str:
    return "_id" if place in _KEYED else "run"


def _unseen(stale_s: float) -> Document:
    return {"$expr": {"$lt": ["$seen_at", {"$subtract": ["$$NOW", int(stale_s * 1000)]}]}}


_TOMORROW = {"$add": ["$$NOW", _DAY_MS]}
_ODD_LOCK: Document = {"$expr": {"$or": [{"$gt": ["$until", _TOMORROW]}, {"$gt": ["$taken", "$$NOW"]}]}}
_ODD_NOTICE: Document = {
    "state": NoticeState.OWED.value,
    "lease": {"$ne": None},
    "$expr": {"$or": [{"$lt": ["$lease.until", "$$NOW"]}, {"$gt": ["$lease.until", _TOMORROW]}]},
}
