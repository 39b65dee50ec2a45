"""What became of messages, and who sends them."""

import re
from collections.abc import Callable, Sequence
from datetime import datetime

from pymongo import ReturnDocument

from store.deliveries import Sending, age, dropped, recorded, revived
from store.errors import AmbiguousId, NoSuchNotice, StoreUnavailable
from store.mongo.client import Connected, Document, guarded
from store.mongo.codec import from_document, plain
from store.notices import Delivery, Notice, NoticeState

_MOST_COLLISIONS = 100
_CHANGED = ("state", "deliveries", "tries", "not_before", "sent_at", "error")


class Deliveries(Connected):
    """The `outbox` collection, as senders and people change it; the `notifiers` collection."""

    @guarded
    def renew_notice(self, notice_id: str, owner: str, lease_s: float) -> Notice | None:
        """A new lease, as long as the old one is the owner's."""
        held = {"_id": notice_id, "lease.owner": owner, "state": NoticeState.OWED.value}
        update = [{"$set": {"lease.until": {"$add": ["$$NOW", int(lease_s * 1000)]}}}]
        document = self.database["outbox"].find_one_and_update(held, update, return_document=ReturnDocument.AFTER)
        return from_document(Notice, document) if document else None

    @guarded
    def record_deliveries(
        self,
        notice_id: str,
        owner: str,
        deliveries: Sequence[Delivery],
        *,
        retry_after_s: float | None,
        tried: bool = True,
    ) -> Notice | None:
        """Two notifiers may report about different recipients of the same message: nothing is lost."""

        def change(notice: Notice, now: datetime) -> Notice:
            return recorded(notice, deliveries, now, retry_after_s, tried=tried)

        return self._change_notice(notice_id, change, owner=owner)

    @guarded
    def retry_notice(self, notice_id: str) -> bool:
        """Owed again, now."""
        return self._change_notice(notice_id, lambda notice, _now: revived(notice)) is not None

    @guarded
    def drop_notice(self, notice_id: str) -> bool:
        """Never to be sent."""
        return self._change_notice(notice_id, lambda notice, _now: dropped(notice)) is not None

    @guarded
    def notice(self, id_or_prefix: str) -> Notice:
        """The notice with this id or unique prefix."""
        prefix = id_or_prefix.strip()
        exact = self.database["outbox"].find_one({"_id": prefix})
        if exact is not None:
            return from_document(Notice, exact)
        found = (
            list(self.database["outbox"].find({"_id": {"$regex": f"^{re.escape(prefix)}"}}).limit(6)) if prefix else []
        )
        if not found:
            raise NoSuchNotice(f"no message has an id that begins with {prefix!r}; see: labq outbox")
        if len(found) > 1:
            some = ", ".join(document["_id"] for document in found[:5])
            raise AmbiguousId(f"{prefix!r} fits several messages: {some}{', …' if len(found) > 5 else ''}")
        return from_document(Notice, found[0])

    @guarded
    def outbox(self, states: Sequence[NoticeState], limit: int) -> list[Notice]:
        """Newest first; each state by itself along its index."""
        found: list[Notice] = []
        for state in dict.fromkeys(states):
            newest = self.database["outbox"].find({"state": state.value}).sort("created_at", -1).limit(limit)
            found += [from_document(Notice, document) for document in newest]
        return sorted(found, key=age, reverse=True)[:limit]

    @guarded
    def outbox_counts(self) -> dict[NoticeState, int]:
        """Counted along the index of states."""
        states = self.database["outbox"].aggregate([{"$group": {"_id": "$state", "count": {"$sum": 1}}}])
        return {NoticeState(one["_id"]): one["count"] for one in states}

    @guarded
    def thread_root(self, notice: Notice) -> Notice | None:
        """The oldest one of its kind."""
        if not notice.run and not notice.experiment:
            return None
        same: Document = {"run": notice.run} if notice.run else {"experiment": notice.experiment, "run": ""}
        document = self.database["outbox"].find_one(same, sort=[("created_at", 1), ("_id", 1)])
        return from_document(Notice, document) if document else None

    @guarded
    def sending(self, notifier: Sending) -> None:
        """This notifier lives, says the server's clock."""
        fields = {key: {"$literal": value} for key, value in plain(notifier).items() if key != "seen_at"}
        update = [{"$set": {**fields, "seen_at": "$$NOW"}}]
        self.database["notifiers"].update_one({"_id": notifier.name}, update, upsert=True)

    @guarded
    def sends_no_more(self, name: str) -> None:
        """This notifier left."""
        self.database["notifiers"].delete_one({"_id": name})

    @guarded
    def notifiers(self, within_s: float) -> list[Sending]:
        """By name."""
        recent = {"$expr": {"$gte": ["$seen_at", {"$subtract": ["$$NOW", int(within_s * 1000)]}]}}
        found = self.database["notifiers"].find(recent, {"_id": 0}).sort("name", 1)
        return [from_document(Sending, document) for document in found]

    def _change_notice(
        self, notice_id: str, change: Callable[[Notice, datetime], Notice | None], owner: str = ""
    ) -> Notice | None:
        """What `change` makes of the notice, unless it was changed meanwhile; its lease ends when it is the owner's.

        No transaction: that of a notifier that is killed inside it would keep everybody from the notice for a while.
        """
        stages: list[Document] = [{"$match": {"_id": notice_id}}, {"$set": {"_now": "$$NOW"}}]
        for _ in range(_MOST_COLLISIONS):
            document = next(iter(self.database["outbox"].aggregate(stages)), None)
            if document is None:
                return None
            new = change(from_document(Notice, document), document["_now"])
            if new is None:
                return None
            fields = {name: plain(getattr(new, name)) for name in _CHANGED}
            if owner and (document.get("lease") or {}).get("owner") == owner:
                fields["lease"] = None
            as_read = {name: document.get(name) for name in (*_CHANGED, "lease")}
            if self.database["outbox"].update_one({"_id": notice_id, **as_read}, {"$set": fields}).matched_count:
                return new
        raise StoreUnavailable(f"message {notice_id} is changed by others all the time")
