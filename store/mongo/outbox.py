"""Messages owed: claimed under a lease, sent at least once, never forgotten."""

from pymongo import ReturnDocument

from store.mongo.client import Connected, Document, guarded
from store.mongo.codec import from_document
from store.notices import Notice, NoticeState


class Outbox(Connected):
    """The `outbox` collection."""

    @guarded
    def notices(self, run_id: str | None = None) -> list[Notice]:
        """Notices, oldest first."""
        of_run = {"$or": [{"run": run_id}, {"parts.run": run_id, "digest": {"$gt": ""}}]}
        match: Document = of_run if run_id else {}
        found = self.database["outbox"].find(match).sort("created_at", 1)
        return [from_document(Notice, document) for document in found]

    @guarded
    def claim_notice(self, owner: str, lease_s: float) -> Notice | None:
        """Take the oldest notice that is due, under a lease."""
        due = {
            "state": NoticeState.OWED.value,
            "$expr": {
                "$and": [
                    {"$lte": [{"$ifNull": ["$not_before", "$$NOW"]}, "$$NOW"]},
                    {"$lte": [{"$ifNull": ["$lease.until", "$$NOW"]}, "$$NOW"]},
                ]
            },
        }
        lease = {"owner": {"$literal": owner}, "until": {"$add": ["$$NOW", int(lease_s * 1000)]}}
        update = [{"$set": {"lease": lease, "tries": {"$add": ["$tries", 1]}}}]
        document = self.database["outbox"].find_one_and_update(
            due, update, sort=[("created_at", 1)], return_document=ReturnDocument.AFTER
        )
        return from_document(Notice, document) if document else None
