"""The outbox for people and for programmes. Pure, but for rich's table."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from store.deliveries import Sending, Standing, standing, waiting
from store.notices import Delivery, DeliveryState, Notice, NoticeState
from store.runs import short

if TYPE_CHECKING:
    from rich.table import Table

_COLOURS = {Standing.DEFERRED: "yellow", Standing.REFUSED: "red", Standing.SENT: "green", Standing.DROPPED: "dim"}


def head_lines(counts: Mapping[NoticeState, int], notifiers: Sequence[Sending], now: datetime) -> list[str]:
    """How many there are, who sends them, what keeps them from it."""
    there = [f"{counts[state]} {state}" for state in NoticeState if counts.get(state)]
    lines = [", ".join(there) or "The outbox is empty."]
    for one in notifiers:
        seen = f"seen {ago(one.seen_at, now)} ago" if one.seen_at else "seen"
        lines.append(f"labq notify runs on {one.host}, process {one.pid}, {seen}")
        if one.trouble:
            lines.append(f"  it cannot send: {one.trouble}")
    if not notifiers and counts.get(NoticeState.OWED):
        lines.append("Nobody sends: start labq notify")
    return lines


def table(notices: Sequence[Notice], now: datetime) -> "Table":
    """One message a line, with what the servers said."""
    from rich.table import Table
    from rich.text import Text

    made = Table("id", "age", "about", "to", "state", "tries", "next try", "what was said", box=None, pad_edge=False)
    for column, least in zip(made.columns, (12, 3, 6, 10, 5, 1, 3, 20), strict=True):
        column.min_width, column.overflow = least, "fold"
    for notice in notices:
        stands = standing(notice)
        made.add_row(
            Text(notice.id),
            ago(notice.created_at, now) if notice.created_at else "–",
            Text(subject(notice)),
            Text("\n".join(notice.to)),
            Text(stands, style=_COLOURS.get(stands, "")),
            str(notice.tries),
            next_try(notice, now),
            Text(words(notice)),
        )
    return made


def subject(notice: Notice) -> str:
    """`failed weather 3f9k2m7q`"""
    parts = (
        notice.about.value,
        notice.experiment,
        short(notice.run) if notice.run else "",
        notice.worker,
        notice.metric,
    )
    return " ".join(part for part in parts if part)


def next_try(notice: Notice, now: datetime) -> str:
    """`now`, `in 4 min`, or a dash when there is none."""
    if notice.state is not NoticeState.OWED:
        return "–"
    if notice.not_before is None or notice.not_before <= now:
        return "now"
    return f"in {length((notice.not_before - now).total_seconds())}"


def words(notice: Notice) -> str:
    """What is said about those who have not got it; with several recipients, about whom."""
    left = [one for one in notice.deliveries if one.state is not DeliveryState.SENT]
    if len({(one.state, one.said) for one in left}) <= 1 and len(left) == len(notice.to):
        return notice.error
    lines = [f"{one.to}: {one.state}, {one.said}" for one in left]
    got = len(notice.deliveries) - len(left)
    return "\n".join([*lines, *([f"{got} of {len(notice.to)} have it"] if got else [])])


def as_json(
    notices: Sequence[Notice], counts: Mapping[NoticeState, int], notifiers: Sequence[Sending]
) -> dict[str, Any]:
    """Everything, with times in ISO 8601."""
    return {
        "counts": {state.value: count for state, count in counts.items()},
        "notifiers": [
            {"host": one.host, "pid": one.pid, "seen_at": _iso(one.seen_at), "trouble": one.trouble}
            for one in notifiers
        ],
        "messages": [_message(notice) for notice in notices],
    }


def ago(then: datetime | None, now: datetime) -> str:
    """`3 min`"""
    return length((now - then).total_seconds()) if then else "–"


def length(seconds: float) -> str:
    """In the largest unit that leaves something to say."""
    for unit, unit_s in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= unit_s:
            return f"{seconds / unit_s:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def _message(notice: Notice) -> dict[str, Any]:
    return {
        "id": notice.id,
        "state": standing(notice).value,
        "about": notice.about.value,
        "run": notice.run,
        "experiment": notice.experiment,
        "to": list(notice.to),
        "waiting": list(waiting(notice)) if notice.state is NoticeState.OWED else [],
        "tries": notice.tries,
        "created_at": _iso(notice.created_at),
        "next_try_at": _iso(notice.not_before),
        "sent_at": _iso(notice.sent_at),
        "error": notice.error,
        "message_id": notice.message_id,
        "deliveries": [_delivery(one) for one in notice.deliveries],
    }


def _delivery(one: Delivery) -> dict[str, Any]:
    return {"to": one.to, "state": one.state.value, "said": one.said, "at": _iso(one.at)}


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
