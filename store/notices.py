"""A message owed to somebody: recorded in the write that says that its cause was dealt with, sent at least once.

What happened is owed from the moment it happens (`store.telling`); the rules round makes notices of it.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from store.findings import Finding
from store.occasions import Occasion

_IN_MESSAGE_IDS = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")


class NoticeState(StrEnum):
    """Where a notice is on its way."""

    GATHERING = "gathering"
    """A digest that takes further parts: until `not_before`, or until the last run of its experiment has ended."""
    OWED = "owed"
    SENT = "sent"
    REFUSED = "refused"
    """Tried for everybody, and somebody never gets it."""
    DROPPED = "dropped"
    """Somebody has taken it out of the outbox."""
    MUTED = "muted"
    """Recorded, never sent: somebody has asked for silence."""


class DeliveryState(StrEnum):
    """What a server said about one recipient."""

    SENT = "sent"
    DEFERRED = "deferred"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """The last try to reach one recipient. `said`: the server's own words."""

    to: str
    state: DeliveryState
    said: str = ""
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One line of a digest."""

    about: Occasion
    at: datetime
    run: str = ""
    attempt: int = 0
    experiment: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One message. The id is fixed by its cause, so it cannot be owed twice.

    What it is about decides what is set: a run and its attempt; an experiment alone (sweep-finished); a worker; a
    finding; a metric that is best so far. A digest has parts, and `more` that were left out. `rule` says who asked.
    """

    id: str
    about: Occasion
    to: tuple[str, ...]
    run: str = ""
    attempt: int = 0
    experiment: str = ""
    worker: str = ""
    metric: str = ""
    finding: Finding | None = None
    parts: tuple[Part, ...] = ()
    more: int = 0
    rule: str = ""
    with_history: bool = False
    """The metrics are attached as CSV."""
    state: NoticeState = NoticeState.OWED
    tries: int = 0
    not_before: datetime | None = None
    created_at: datetime | None = None
    sent_at: datetime | None = None
    error: str = ""
    deliveries: tuple[Delivery, ...] = ()
    """One for each recipient that was tried."""
    digest: str = ""
    """Under which key parts are gathered in it."""

    @property
    def message_id(self) -> str:
        """The fixed Message-ID: a mail sent twice is seen as one by the reader's mailbox.

        The moment is part of it, for the same run may be in two databases, and mailboxes drop what they have seen.
        """
        name = (
            self.id
            if _IN_MESSAGE_IDS.fullmatch(self.id)
            else hashlib.sha256(self.id.encode(errors="replace")).hexdigest()[:32]
        )
        moment = f".{int(self.created_at.timestamp() * 1000):x}" if self.created_at else ""
        return f"<{name}{moment}@labq>"


MOST_PARTS = 200
"""In one digest; what comes later is counted alone."""


def gathered(digest: Notice, parts: Sequence[Part]) -> Notice:
    """The digest with these parts added, as far as there is room."""
    kept = (*digest.parts, *parts)[:MOST_PARTS]
    return replace(digest, parts=kept, more=digest.more + len(digest.parts) + len(parts) - len(kept))
