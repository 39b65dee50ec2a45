"""What became of messages, and who sends them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from store.deliveries import Sending, age, dropped, recorded, revived
from store.errors import AmbiguousId, NoSuchNotice
from store.memory.shared import Held, Shared
from store.notices import Delivery, Notice, NoticeState


class Deliveries(Shared):
    """The outbox, as senders and people change it."""

    def renew_notice(self, notice_id: str, owner: str, lease_s: float) -> Notice | None:
        """A new lease, as long as the old one is the owner's."""
        with self._lock:
            notice, held = self._outbox.get(notice_id), self._locks.get(f"notice-{notice_id}")
            if notice is None or held is None or held.owner != owner or notice.state is not NoticeState.OWED:
                return None
            now = self.now()
            self._locks[f"notice-{notice_id}"] = Held(owner, now + timedelta(seconds=lease_s), held.since, now)
            return notice

    def record_deliveries(
        self,
        notice_id: str,
        owner: str,
        deliveries: Sequence[Delivery],
        *,
        retry_after_s: float | None,
        tried: bool = True,
    ) -> Notice | None:
        """What became of a message, and the end of the owner's lease."""
        with self._lock:
            if notice_id not in self._outbox:
                return None
            new = recorded(self._outbox[notice_id], deliveries, self.now(), retry_after_s, tried=tried)
            self._outbox[notice_id] = new
            held = self._locks.get(f"notice-{notice_id}")
            if held is not None and held.owner == owner:
                del self._locks[f"notice-{notice_id}"]
            return new

    def retry_notice(self, notice_id: str) -> bool:
        """Owed again, now."""
        with self._lock:
            return self._replaced(notice_id, revived(self._outbox[notice_id]) if notice_id in self._outbox else None)

    def drop_notice(self, notice_id: str) -> bool:
        """Never to be sent."""
        with self._lock:
            return self._replaced(notice_id, dropped(self._outbox[notice_id]) if notice_id in self._outbox else None)

    def _replaced(self, notice_id: str, new: Notice | None) -> bool:
        if new is not None:
            self._outbox[notice_id] = new
        return new is not None

    def notice(self, id_or_prefix: str) -> Notice:
        """The notice with this id or unique prefix."""
        prefix = id_or_prefix.strip()
        if prefix in self._outbox:
            return self._outbox[prefix]
        found = sorted(one for one in self._outbox if prefix and one.startswith(prefix))
        if not found:
            raise NoSuchNotice(f"no message has an id that begins with {prefix!r}; see: labq outbox")
        if len(found) > 1:
            raise AmbiguousId(
                f"{prefix!r} fits several messages: {', '.join(found[:5])}{', …' if len(found) > 5 else ''}"
            )
        return self._outbox[found[0]]

    def outbox(self, states: Sequence[NoticeState], limit: int) -> list[Notice]:
        """Newest first."""
        found = [notice for notice in self._outbox.values() if notice.state in states]
        return sorted(found, key=age, reverse=True)[:limit]

    def outbox_counts(self) -> dict[NoticeState, int]:
        """By state."""
        return dict(Counter(notice.state for notice in self._outbox.values()))

    def thread_root(self, notice: Notice) -> Notice | None:
        """The oldest one of its kind."""
        if not notice.run and not notice.experiment:
            return None
        same = (
            one
            for one in self._outbox.values()
            if one.run == notice.run and (notice.run or one.experiment == notice.experiment)
        )
        return min(same, key=age, default=None)

    def sending(self, notifier: Sending) -> None:
        """This notifier lives."""
        self._sending[notifier.name] = replace(notifier, seen_at=self.now())

    def sends_no_more(self, name: str) -> None:
        """This notifier left."""
        self._sending.pop(name, None)

    def notifiers(self, within_s: float) -> list[Sending]:
        """By name."""
        since = self.now() - timedelta(seconds=within_s)
        seen = (one for one in self._sending.values() if one.seen_at is not None and one.seen_at >= since)
        return sorted(seen, key=lambda one: one.name)
