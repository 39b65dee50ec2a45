"""The notifier: claims what is owed, has it written, sends it, records what became of it. It may die anywhere.

Killed before a server took a message, the message stays owed; killed after that and before it was recorded, the next
notifier sends it again under the same Message-ID, so that mailboxes show it once. Several notifiers may run: a notice
is claimed under a lease that is renewed as long as its delivery takes.
"""

import os
import socket
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from email.message import EmailMessage

from notify.chat import ChatSender
from notify.content import Content
from notify.envelope import envelope
from notify.files import FileSender
from notify.holding import LEASE_S, Holding
from notify.pauses import LONGEST_PAUSE_S
from notify.replies import deferred, refused
from notify.ways import MailSender, Outcome, Ways, pause_after
from notify.writing import Writer
from store.deliveries import Sending, waiting
from store.errors import StoreFailed, StoreUnavailable, UserError
from store.logbook import say, warn
from store.notices import DeliveryState, Notice
from store.settings import Settings
from store.store import Store

SEEN_EVERY_S = 5.0
_HERE = ("localhost", "127.0.0.1", "::1")


class Notifier:
    """Sends owed notices one by one. Lives as long as its process: it remembers what it could not record."""

    def __init__(
        self,
        store: Store,
        sender: MailSender,
        settings: Settings,
        *,
        writing: Callable[[Store, Notice], Content] | None = None,
        leaving: Callable[[], bool] = lambda: False,
        lease_s: float = LEASE_S,
    ) -> None:
        self._lease_s = lease_s
        self._store, self._settings, self._leaving = store, settings, leaving
        self._write = writing or Writer(settings)
        self._ways = Ways(settings, sender, ChatSender(settings))
        self._owner = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:4]}"
        self._unrecorded: dict[str, Outcome] = {}
        self._was_away = False
        self._claims_from = 0.0
        self._seen_at = -SEEN_EVERY_S

    def send_all(self) -> int:
        """Send what is due; how many messages somebody has got. Raises StoreUnavailable; call it again then."""
        try:
            self._be_seen()
            self.record_what_is_left()
            return self._send_due() if self._may_claim() else 0
        except StoreUnavailable:
            self._was_away = True
            raise
        finally:
            self._ways.close()

    def record_what_is_left(self) -> bool:
        """What was delivered while MongoDB was away; True when nothing is left. Raises StoreUnavailable."""
        for notice_id, outcome in list(self._unrecorded.items()):
            try:
                self._store.record_deliveries(
                    notice_id, self._owner, outcome.deliveries, retry_after_s=outcome.retry_after_s, tried=outcome.tried
                )
            except StoreFailed as error:
                warn("not-recorded", notice=notice_id, error=error)
                continue
            del self._unrecorded[notice_id]
        return not self._unrecorded

    def leave(self, patience_s: float) -> None:
        """Record what is left, as long as patience lasts, and say good-bye."""
        deadline = time.monotonic() + patience_s
        while True:
            try:
                self.record_what_is_left()
                self._store.sends_no_more(self._owner)
                return
            except StoreUnavailable:
                if not self._unrecorded or time.monotonic() > deadline:
                    break
                time.sleep(0.2)
        if self._unrecorded:
            warn("not-recorded", notices=",".join(self._unrecorded), sent_again="under the same Message-ID")

    def _send_due(self) -> int:
        sent = 0
        while not self._leaving() and (notice := self._store.claim_notice(self._owner, self._lease_s)) is not None:
            with Holding(self._store, notice.id, self._owner, self._lease_s, self._be_seen):
                sent += self._handle(notice)
            self._be_seen()
        return sent

    def _handle(self, notice: Notice) -> int:
        if notice.id in self._unrecorded:
            return 0
        to = waiting(notice)
        shut = self._ways.put_off(to)
        due = [one for one in to if one not in {delivery.to for delivery in shut}]
        if not due:
            self._record(notice, Outcome(deliveries=tuple(shut), retry_after_s=self._ways.opens_in_s(to), tried=False))
            return 0
        content = self._content(notice)
        if content is None:
            return 0
        # Somebody may have dropped it meanwhile, or recorded what was delivered before an outage.
        fresh = self._store.renew_notice(notice.id, self._owner, self._lease_s)
        if fresh is None:
            say("notice-lost", notice=notice.id)
            return 0
        root = self._store.thread_root(fresh)
        due = [one for one in due if one in waiting(fresh)]
        done = self._ways.send(fresh, content, due, lambda most: self._mail(fresh, content, root, most))
        pause_s = pause_after(fresh, [*shut, *done], self._ways)
        self._record(fresh, Outcome(deliveries=(*shut, *done), retry_after_s=pause_s))
        return int(any(one.state is DeliveryState.SENT for one in done))

    def _content(self, notice: Notice) -> Content | None:
        """None when nothing can be said; that is recorded then."""
        try:
            return self._write(self._store, notice)
        except StoreUnavailable:
            raise
        except UserError as error:  # what it is about has been deleted
            failed = tuple(refused(one, str(error)) for one in waiting(notice))
            self._record(notice, Outcome(deliveries=failed, retry_after_s=None))
        except Exception as error:  # noqa: BLE001 - one odd message must not keep all others from being sent
            warn("mail-stumbled", notice=notice.id, error=repr(error))
            failed = tuple(deferred(one, repr(error)) for one in waiting(notice))
            self._record(notice, Outcome(deliveries=failed, retry_after_s=LONGEST_PAUSE_S))
        return None

    def _mail(self, notice: Notice, content: Content, root: Notice | None, most_bytes: int) -> EmailMessage:
        return envelope(
            notice,
            content,
            sender_address(self._settings),
            datetime.now(UTC),
            root=root.message_id if root else "",
            most_bytes=most_bytes,
        )

    def _record(self, notice: Notice, outcome: Outcome) -> None:
        """MongoDB may be away just now: then it is remembered, and no message is sent twice."""
        _log(notice, outcome)
        self._unrecorded[notice.id] = outcome
        self.record_what_is_left()

    def _be_seen(self) -> None:
        if time.monotonic() - self._seen_at < SEEN_EVERY_S:
            return
        self._store.sending(
            Sending(name=self._owner, host=socket.gethostname(), pid=os.getpid(), trouble=self._ways.trouble)
        )
        self._seen_at = time.monotonic()

    def _may_claim(self) -> bool:
        """After an outage others may have deliveries to record: they go first, or those would be made again."""
        if self._was_away:
            self._was_away = False
            self._claims_from = time.monotonic() + self._settings.mongo_timeout_s + 2 * self._settings.notify_poll_s
        return time.monotonic() >= self._claims_from


def sender_address(settings: Settings) -> str:
    """Who the mail is from."""
    if settings.mail_from:
        return settings.mail_from
    return settings.smtp_user if "@" in settings.smtp_user else f"labq@{socket.gethostname()}"


def make_sender(settings: Settings) -> MailSender:
    """SMTP where a server is configured, else files; the latter is said once."""
    if settings.smtp_host:
        from notify.mail import SmtpSender

        if settings.smtp_user and settings.smtp_tls == "none" and settings.smtp_host not in _HERE:
            warn("password-in-the-clear", smtp_host=settings.smtp_host, smtp_tls="none", better="starttls or tls")
        return SmtpSender(settings)
    warn("no-smtp-host", mails_go_to=settings.outgoing_mail_dir)
    return FileSender(settings.outgoing_mail_dir)


def _log(notice: Notice, outcome: Outcome) -> None:
    def names(state: DeliveryState) -> str:
        return ",".join(one.to for one in outcome.deliveries if one.state is state)

    if got := names(DeliveryState.SENT):
        said = {one.said for one in outcome.deliveries if one.state is DeliveryState.SENT}
        say("mail-sent", notice=notice.id, to=got, said="; ".join(sorted(said)))
    if lost := names(DeliveryState.REFUSED):
        warn("mail-refused", notice=notice.id, to=lost, error=_words(outcome, DeliveryState.REFUSED))
    if (later := names(DeliveryState.DEFERRED)) and outcome.tried:
        error, retry_s = _words(outcome, DeliveryState.DEFERRED), f"{outcome.retry_after_s or 0:.0f}"
        warn("mail-deferred", notice=notice.id, to=later, error=error, retry_s=retry_s)


def _words(outcome: Outcome, state: DeliveryState) -> str:
    return "; ".join(dict.fromkeys(one.said for one in outcome.deliveries if one.state is state))
