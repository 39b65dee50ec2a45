"""Places asked of schedulers: the `allocations` collection."""

from collections.abc import Sequence

from pymongo import UpdateOne

from store.allocations import OVER, Allocation, JobWanted, Phase, Sighting
from store.mongo.client import Connected, Document, guarded
from store.mongo.codec import from_document, plain, to_document
from store.mongo.schema import CLAIM_ORDER
from store.runs import Resources
from store.schedulers import Scheduler
from store.states import State

DUE: Document = {"$or": [{"$eq": ["$not_before", None]}, {"$lte": ["$not_before", "$$NOW"]}]}
_BEST_FIRST = [("priority", -1), ("queued_at", 1), ("index", 1)]
_TIMES = ("created_at", "started_at", "ended_at")
_OVER = sorted(phase.value for phase in OVER)


class Allocations(Connected):
    """One document per place. Those that are over leave of themselves after a while (a TTL index)."""

    @guarded
    def demands(self, queue: str, limit: int) -> dict[Resources, int]:
        """The different demands are few: a distinct scan of the index of the claims, then a short count of each."""
        runs = self.database["runs"]
        waiting: Document = {"state": State.QUEUED.value, "queue": queue}
        counts: dict[Resources, int] = {}
        for demand in runs.distinct("resources", waiting):
            due = {**waiting, "resources": demand, "$expr": DUE}
            wanted = from_document(Resources, demand)
            counts[wanted] = counts.get(wanted, 0) + runs.count_documents(due, limit=limit, hint=CLAIM_ORDER)
        return {wanted: count for wanted, count in counts.items() if count}

    @guarded
    def jobs_wanted(self, on: Scheduler, queue: str, owner: str, limit: int) -> list[JobWanted]:
        """Along the same index: only the demands for a job are looked at."""
        runs = self.database["runs"]
        waiting: Document = {"state": State.QUEUED.value, "queue": queue}
        wanted = []
        for demand in runs.distinct("resources", waiting):
            resources = from_document(Resources, demand)
            if resources.on is on:
                due = {**waiting, "resources": demand, "owner": owner, "$expr": DUE}
                found = runs.find(due, {"_id": 1}, hint=CLAIM_ORDER).sort(_BEST_FIRST).limit(limit)
                wanted += [JobWanted(run=one["_id"], queue=queue, resources=resources) for one in found]
        return wanted

    @guarded
    def add_allocations(self, allocations: Sequence[Allocation]) -> None:
        """Upserts, because an insert cannot ask for the server's clock; one that is there stays as it is."""
        if allocations:
            self.database["allocations"].bulk_write([_added(one) for one in allocations], ordered=False)

    @guarded
    def allocations(self, over_within_s: float) -> list[Allocation]:
        """Those that are not over, and those that have been for at most so long; oldest first."""
        recent = {"$gte": ["$ended_at", {"$subtract": ["$$NOW", int(over_within_s * 1000)]}]}
        is_open: Document = {"phase": {"$nin": _OVER}}
        wanted = {"$or": [is_open, {"phase": {"$in": _OVER}, "$expr": recent}]}
        found = self.database["allocations"].find(wanted).sort([("created_at", 1), ("_id", 1)])
        return [from_document(Allocation, document) for document in found]

    @guarded
    def sight(self, sightings: Sequence[Sighting]) -> None:
        """Record what is known now."""
        if sightings:
            self.database["allocations"].bulk_write([_sighted(one) for one in sightings], ordered=False)


def _added(allocation: Allocation) -> UpdateOne:
    fields = {name: value for name, value in to_document(allocation).items() if name not in ("_id", *_TIMES)}
    times = {name: {"$ifNull": [f"${name}", "$$NOW" if name == "created_at" else None]} for name in _TIMES}
    values = {name: {"$ifNull": [f"${name}", {"$literal": value}]} for name, value in fields.items()}
    return UpdateOne({"_id": allocation.id}, [{"$set": {**values, **times}}], upsert=True)


def _sighted(sighting: Sighting) -> UpdateOne:
    fields = {name: {"$literal": value} for name, value in plain(sighting).items() if name != "id"}
    begun, over = sighting.phase is Phase.RUNNING, sighting.phase in OVER
    times = {
        "started_at": {"$ifNull": ["$started_at", "$$NOW"]} if begun else "$started_at",
        "ended_at": {"$ifNull": ["$ended_at", "$$NOW"]} if over else None,
    }
    return UpdateOne({"_id": sighting.id}, [{"$set": {**fields, **times}}])
