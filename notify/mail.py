"""Mail over SMTP: a short-lived connection for all that is due, and what became of each recipient."""

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from email.message import EmailMessage

from notify.addresses import needs_utf8, on_the_wire
from notify.bounded import TookTooLong, within
from notify.envelope import as_bytes
from notify.replies import Reply, delivery, refused, trouble
from notify.smtp import SessionCut, SmtpSession, port
from store.errors import MailAway, MailDeferred
from store.notices import Delivery
from store.settings import Settings

MOST_MESSAGES = 50
"""Servers count the messages of a connection, too."""
MOST_IDLE_S = 20.0

_ODD = Reply(code=553, said="the server takes no addresses such as this one (SMTPUTF8)")


class SmtpSender:
    """One connection for what is due at a time: with TLS and login it costs more than a message. Idle, it has none."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._session: SmtpSession | None = None
        self._used_at = 0.0

    def send(self, mail: EmailMessage, to: Sequence[str]) -> list[Delivery]:
        """What became of each recipient.

        Raises MailAway when nobody can get mail this way just now, MailDeferred when this one failed without a word.
        """
        wire, odd = _wired(to)
        if not wire:
            return odd
        once = _Try(self._settings, self._reusable(), mail, wire)
        self._session = None
        try:
            replies = within(self._settings.delivery_most_s, once.carry_out, once.cut, "smtp")
        except TookTooLong as error:
            raise once.failed(f"longer than {self._settings.delivery_most_s:g} s for one message") from error
        except (OSError, ValueError) as error:
            raise once.failed(trouble(error)) from error
        self._session, self._used_at = once.session, time.monotonic()
        return odd + [delivery(one, replies[address]) for one, address in wire.items()]

    def close(self) -> None:
        """Nothing more to send for now."""
        if self._session is not None:
            with suppress(TookTooLong):
                within(self._settings.smtp_timeout_s, self._session.close, self._session.cut, "smtp-close")
        self._session = None

    def _reusable(self) -> SmtpSession | None:
        session = self._session
        if session is None or not session.is_open:
            return None
        if session.messages < MOST_MESSAGES and time.monotonic() - self._used_at < MOST_IDLE_S:
            return session
        self.close()
        return None


class _Try:
    """One message, in a thread that may be left alone: what it changes is its own."""

    def __init__(
        self, settings: Settings, session: SmtpSession | None, mail: EmailMessage, wire: Mapping[str, str]
    ) -> None:
        self._settings, self._mail, self._to = settings, mail, list(wire.values())
        self._sender = str(mail["From"].addresses[0].addr_spec)
        self.session = session
        self._given_up = False

    def carry_out(self) -> dict[str, Reply]:
        """By address. A connection that was used before may have been closed since: then once more over a new one."""
        if self.session is not None:
            try:
                replies = self._transact(self.session)
            except OSError:
                if self.session.has_begun_data:
                    raise
            else:
                if self.session.is_open or self.session.has_begun_data:
                    return replies
        if self._given_up:
            raise SessionCut
        self.session = SmtpSession(self._settings)
        self.session.open()
        return self._transact(self.session)

    def cut(self) -> None:
        """From outside, when it takes too long."""
        self._given_up = True
        if self.session is not None:
            self.session.cut()

    def failed(self, words: str) -> MailDeferred:
        """The trouble is the message's own only after the server had let us in."""
        let_in = self.session is not None and self.session.is_ready
        kind = MailDeferred if let_in else MailAway
        return kind(f"{self._settings.smtp_host}:{port(self._settings)}: {words}")

    def _transact(self, session: SmtpSession) -> dict[str, Reply]:
        utf8 = any(map(needs_utf8, self._to))
        if utf8 and not session.offers("smtputf8"):
            plain = [one for one in self._to if not needs_utf8(one)]
            replies = session.transact(self._sender, plain, as_bytes(self._mail, only=plain)) if plain else {}
            return replies | {one: _ODD for one in self._to if needs_utf8(one)}
        return session.transact(self._sender, self._to, as_bytes(self._mail, utf8=utf8), utf8=utf8)


def _wired(to: Sequence[str]) -> tuple[dict[str, str], list[Delivery]]:
    """Recipients and how servers read them; those that cannot be."""
    wire: dict[str, str] = {}
    odd: list[Delivery] = []
    for one in to:
        try:
            wire[one] = on_the_wire(one)
        except ValueError as error:
            odd.append(refused(one, str(error)))
    return wire, odd
