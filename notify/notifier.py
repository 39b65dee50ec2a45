"""The notifier: claims what is owed, composes, sends, records. It may die anywhere; the notice stays owed.

Killed after the server took the message and before that was recorded, the next notifier sends it again under the same
Message-ID, so that mailboxes show it once. Several notifiers may run: a notice is claimed under a lease.
"""

import os
import socket
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Protocol

from notify.compose import as_email, compose
from notify.curve import png
from notify.files import FileSender
from store.errors import MailDeferred, MailRefused, NoSuchRun, StoreUnavailable
from store.logbook import say, warn
from store.metrics import Series
from store.notices import Notice
from store.runs import Run, short
from store.settings import Settings
from store.store import Store

TAIL_BYTES = 64 * 1024
LONGEST_PAUSE_S = 900.0
_FIRST_PAUSE_S = 5.0


class Sender(Protocol):
    """Delivers a message; returns a remark. Raises MailDeferred, MailRefused."""

    def send(self, mail: EmailMessage) -> str:
        """Deliver."""


class Notifier:
    """Sends owed notices one by one."""

    def __init__(self, store: Store, sender: Sender, settings: Settings) -> None:
        self._store, self._sender, self._settings = store, sender, settings
        self._owner = f"{socket.gethostname()}-{os.getpid()}"
        # Longer than every network step of one delivery together, so that a slow server is not served twice.
        self._lease_s = 6 * settings.smtp_timeout_s + 30

    def send_all(self) -> int:
        """Send what is due; return how many were delivered."""
        sent = 0
        while (notice := self._store.claim_notice(self._owner, self._lease_s)) is not None:
            sent += self._send(notice)
        return sent

    def _send(self, notice: Notice) -> int:
        try:
            remark = self._sender.send(self._mail(notice))
        except MailDeferred as error:
            pause_s = retry_pause(notice.tries)
            warn("mail-deferred", notice=notice.id, error=error, retry_s=pause_s)
            self._store.notice_failed(notice.id, self._owner, str(error), retry_after_s=pause_s)
            return 0
        except StoreUnavailable:
            raise
        except (MailRefused, NoSuchRun, ValueError) as error:
            warn("mail-refused", notice=notice.id, error=error)
            self._store.notice_failed(notice.id, self._owner, str(error), retry_after_s=None)
            return 0
        except Exception as error:  # noqa: BLE001 - one odd message must not keep all others from being sent
            warn("mail-stumbled", notice=notice.id, error=repr(error))
            self._store.notice_failed(notice.id, self._owner, repr(error), retry_after_s=LONGEST_PAUSE_S)
            return 0
        self._store.notice_sent(notice.id, self._owner)
        say("mail-sent", notice=notice.id, to=",".join(notice.to), remark=remark or None)
        return 1

    def _mail(self, notice: Notice) -> EmailMessage:
        run = self._store.run(notice.run)
        series = [self._store.series(run.id, name) for name in self._store.series_names(run.id)]
        output = self._store.log_tail(run.id, notice.attempt, TAIL_BYTES)
        letter = compose(notice, run, output, _curve(run, series))
        return as_email(letter, notice, sender_address(self._settings), notice.created_at or datetime.now(UTC))


def retry_pause(tries: int) -> float:
    """Doubling from five seconds to a quarter of an hour; a mail is tried for as long as it takes."""
    return min(_FIRST_PAUSE_S * 2.0 ** min(tries - 1, 20), LONGEST_PAUSE_S)


def sender_address(settings: Settings) -> str:
    """Who the mail is from."""
    if settings.mail_from:
        return settings.mail_from
    return settings.smtp_user if "@" in settings.smtp_user else f"labq@{socket.gethostname()}"


def make_sender(settings: Settings) -> Sender:
    """SMTP where a server is configured, else files; the latter is said once."""
    if settings.smtp_host:
        from notify.smtp import SmtpSender

        return SmtpSender(settings)
    warn("no-smtp-host", mails_go_to=settings.outgoing_mail_dir)
    return FileSender(settings.outgoing_mail_dir)


def _curve(run: Run, series: list[Series]) -> bytes:
    """No picture is worth losing the message for."""
    if not any(one.steps for one in series):
        return b""
    try:
        return png(series, f"{run.experiment} {short(run.id)}")
    except (ValueError, RuntimeError, MemoryError) as error:
        warn("no-curve", run=run.id, error=error)
        return b""
