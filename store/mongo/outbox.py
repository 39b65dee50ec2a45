"""Messages owed: claimed under a lease, sent at least once, never forgotten."""

from typing import Any

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

    @guarded
    def notice_sent(self, notice_id: str, owner: str) -> bool:
        """Record the delivery."""
        return self._close(notice_id, owner, {"state": NoticeState.SENT.value, "sent_at": "$$NOW", "error": ""})

    @guarded
    def notice_failed(self, notice_id: str, owner: str, error: str, *, retry_after_s: float | None) -> bool:
        """Record a failed delivery; None as the pause means never again."""
        fields: Document = {"error": {"$literal": error}}
        if retry_after_s is None:
            fields["state"] = NoticeState.REFUSED.value
        else:
            fields["not_before"] = {"$add": ["$$NOW", int(retry_after_s * 1000)]}
        return self._close(notice_id, owner, fields)

    def _close(self, notice_id: str, owner: str, fields: dict[str, Any]) -> bool:
        held = {"_id": notice_id, "lease.owner": owner, "state": NoticeState.OWED.value}
        result = self.database["outbox"].update_one(held, [{"$set": {**fields, "lease": None}}])
        return result.matched_count == 1
