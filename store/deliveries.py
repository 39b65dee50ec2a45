"""What became of a message, recipient by recipient. Pure: what a delivery, a retry and a drop make of a notice."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from store.notices import Delivery, DeliveryState, Notice, NoticeState

_CLOSED_BY_TRIES = (NoticeState.OWED, NoticeState.REFUSED)
_OVER = frozenset({DeliveryState.SENT, DeliveryState.REFUSED})


GONE_AFTER_S = 60.0
"""A notifier that was not seen for longer is gone."""


class Standing(StrEnum):
    """Where a notice is on its way, for people: an owed one that was tried in vain is deferred."""

    GATHERING = "gathering"
    OWED = "owed"
    DEFERRED = "deferred"
    SENT = "sent"
    REFUSED = "refused"
    MUTED = "muted"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """A notifier that was seen lately. `trouble`: what keeps it from sending, in the words of the server."""

    name: str
    host: str
    pid: int
    trouble: str = ""
    seen_at: datetime | None = None


def standing(notice: Notice) -> Standing:
    """In one word."""
    if notice.state is NoticeState.OWED and notice.error:
        return Standing.DEFERRED
    return Standing(notice.state.value)


def waiting(notice: Notice) -> tuple[str, ...]:
    """Recipients that neither have it nor refused it for ever."""
    over = {delivery.to for delivery in notice.deliveries if delivery.state in _OVER}
    return tuple(dict.fromkeys(to for to in notice.to if to not in over))


def recorded(
    notice: Notice, new: Sequence[Delivery], now: datetime, retry_after_s: float | None, *, tried: bool = True
) -> Notice:
    """The notice after these deliveries. What was delivered stays delivered, whatever anybody reports later."""
    known = {delivery.to: delivery for delivery in notice.deliveries}
    for delivery in new:
        before = known.get(delivery.to)
        if before is None or before.state is not DeliveryState.SENT:
            known[delivery.to] = replace(delivery, at=now)
    tries = notice.tries if tried else max(notice.tries - 1, 0)
    notice = replace(notice, deliveries=tuple(known.values()), error=_error(known.values()), tries=tries)
    if waiting(notice):
        later = None if retry_after_s is None else now + timedelta(seconds=retry_after_s)
        return replace(notice, not_before=later) if notice.state is NoticeState.OWED else notice
    all_sent = all(delivery.state is DeliveryState.SENT for delivery in notice.deliveries)
    if notice.state is NoticeState.DROPPED and not all_sent:
        return notice
    state = NoticeState.SENT if all_sent else NoticeState.REFUSED
    return replace(notice, state=state, not_before=None, sent_at=now if all_sent else notice.sent_at)


def revived(notice: Notice) -> Notice | None:
    """Owed again, and now, to those who have not got it; None when everybody has."""
    if notice.state not in (*_CLOSED_BY_TRIES, NoticeState.DROPPED):
        return None
    left = tuple(delivery for delivery in notice.deliveries if delivery.state is DeliveryState.SENT)
    return replace(notice, state=NoticeState.OWED, tries=0, not_before=None, error="", deliveries=left)


def dropped(notice: Notice) -> Notice | None:
    """Never to be sent to those who have not got it; None when nobody waits for it any more."""
    if notice.state not in _CLOSED_BY_TRIES:
        return None
    return replace(notice, state=NoticeState.DROPPED, not_before=None)


def age(notice: Notice) -> tuple[float, str]:
    """To sort by, oldest first."""
    return (notice.created_at.timestamp() if notice.created_at else 0.0), notice.id


def _error(deliveries: Iterable[Delivery]) -> str:
    """What the servers said; the same only once."""
    said = dict.fromkeys(one.said for one in deliveries if one.state is not DeliveryState.SENT and one.said)
    return "; ".join(said)[:2000]
