"""Live workers, and short leases for what only one of them should do."""

from datetime import UTC, datetime

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from store.mongo.client import Connected, Document, guarded
from store.mongo.codec import from_document, plain
from store.workers import Drain, Worker


class Crew(Connected):
    """The `workers` and `locks` collections."""

    @guarded
    def seen(self, worker: Worker) -> Drain | None:
        """This worker lives, says the server's clock; is it, or its host, to leave?"""
        fields = {key: value for key, value in plain(worker).items() if key != "seen_at"}
        update = [{"$set": {"seen_at": "$$NOW", **{key: {"$literal": value} for key, value in fields.items()}}}]
        self.database["workers"].update_one({"_id": worker.name}, update, upsert=True)
        orders = {"_id": {"$in": [worker.name, worker.host]}, "$expr": {"$lte": ["$from_at", "$$NOW"]}}
        found = [from_document(Drain, document) for document in self.database["drains"].find(orders)]
        return min(found, key=lambda drain: drain.after_current, default=None)

    @guarded
    def gone(self, worker_name: str) -> None:
        """This worker left."""
        self.database["workers"].delete_one({"_id": worker_name})
        self.database["drains"].delete_one({"_id": worker_name})

    @guarded
    def workers(self, within_s: float) -> list[Worker]:
        """Workers seen within the last `within_s` seconds of the server's clock."""
        recent = {"$expr": {"$gte": ["$seen_at", {"$subtract": ["$$NOW", int(within_s * 1000)]}]}}
        found = self.database["workers"].find(recent, {"_id": 0}).sort("name", 1)
        return [from_document(Worker, document) for document in found]

    @guarded
    def drain(self, drain: Drain, in_s: float = 0.0) -> None:
        """An order to leave, from `in_s` seconds on."""
        fields = {key: {"$literal": value} for key, value in plain(drain).items() if key != "from_at"}
        update = [{"$set": {"from_at": _later("$$NOW", in_s), **fields}}]
        self.database["drains"].update_one({"_id": drain.target}, update, upsert=True)

    @guarded
    def undrain(self, target: str) -> bool:
        """Take the order back."""
        return self.database["drains"].delete_one({"_id": target}).deleted_count > 0

    @guarded
    def drains(self) -> list[Drain]:
        """All orders, by target."""
        return [from_document(Drain, document) for document in self.database["drains"].find().sort("_id", 1)]

    @guarded
    def lock(self, name: str, owner: str, lease_s: float, gap_s: float) -> float | None:
        """Take or extend the named lease. (An upsert may not use $expr, hence the free lease that is made first.)"""
        locks = self.database["locks"]
        long_ago = datetime.fromtimestamp(0, UTC)
        try:
            free = {"owner": "", "until": long_ago, "since": long_ago}
            locks.update_one({"_id": name}, {"$setOnInsert": free}, upsert=True)
        except DuplicateKeyError:
            pass  # made by somebody else at the same moment
        mine, over = {"$eq": ["$owner", {"$literal": owner}]}, {"$lt": ["$until", "$$NOW"]}
        set_back = {"$gt": ["$taken", "$$NOW"]}  # the server's clock: what was agreed before means nothing any more
        steady = {"$gte": [_later("$until", gap_s), "$$NOW"]}
        taken = {
            "owner": {"$literal": owner},
            "until": _later("$$NOW", lease_s),
            "since": {"$cond": [{"$and": [steady, {"$not": [set_back]}]}, "$since", "$$NOW"]},
            "taken": "$$NOW",
        }
        document = locks.find_one_and_update(
            {"_id": name, "$expr": {"$or": [mine, over, set_back]}},
            [{"$set": taken}],
            return_document=ReturnDocument.AFTER,
        )
        held_s: float = (document["taken"] - document["since"]).total_seconds() if document else -1.0
        return held_s if document else None


def _later(when: str, seconds: float) -> Document:
    return {"$add": [when, int(seconds * 1000)]}
