"""What SMTP servers say, and what it means for a message. Pure.

RFC 5321 (codes), 3463 (enhanced codes), 4954 (codes about the login).
"""

import re
from dataclasses import dataclass

from notify.plain import one_line
from store.notices import Delivery, DeliveryState

_OF_THE_LOGIN = frozenset({530, 534, 535, 538})
"""Said about us, not about the message: mended in the settings."""
_PASSES = re.compile(r"5\.4\.5\b")
"""Gmail's daily limit, though it is said with 550."""
MOST_WORDS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One answer."""

    code: int
    said: str

    @property
    def is_good(self) -> bool:
        """Taken."""
        return 200 <= self.code < 300

    @property
    def is_for_ever(self) -> bool:
        """Trying again is useless."""
        return 500 <= self.code < 600 and self.code not in _OF_THE_LOGIN and not _PASSES.search(self.said)

    @property
    def words(self) -> str:
        """For people, in one line."""
        return one_line(f"{self.code} {self.said}" if self.code > 0 else self.said)[:MOST_WORDS]


def delivery(to: str, reply: Reply) -> Delivery:
    """What it means for this recipient."""
    if reply.is_good:
        return Delivery(to=to, state=DeliveryState.SENT, said=reply.words)
    state = DeliveryState.REFUSED if reply.is_for_ever else DeliveryState.DEFERRED
    return Delivery(to=to, state=state, said=reply.words)


def deferred(to: str, words: str) -> Delivery:
    """To be tried again."""
    return Delivery(to=to, state=DeliveryState.DEFERRED, said=one_line(words)[:MOST_WORDS])


def refused(to: str, words: str) -> Delivery:
    """Never to be tried again."""
    return Delivery(to=to, state=DeliveryState.REFUSED, said=one_line(words)[:MOST_WORDS])


def trouble(error: Exception) -> str:
    """An exception of a connection, in the server's words where there are any. Never with a secret in it."""
    if isinstance(error, UnicodeEncodeError):
        return "user name or password have characters that SMTP libraries do not send: choose ASCII ones"
    code, said = getattr(error, "smtp_code", None), getattr(error, "smtp_error", b"")
    if code is None:
        known = getattr(error, "strerror", None) or str(error)
        return one_line(known or type(error).__name__)[:MOST_WORDS]
    return Reply(code=code, said=said.decode(errors="replace") if isinstance(said, bytes) else str(said)).words
