"""The ways to people: mail, and each chat target by itself. One that is shut is left alone for a while."""

import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Protocol

from notify.content import Content
from notify.envelope import can_be_mailed
from notify.pauses import Rest, retry_pause
from notify.replies import deferred, refused
from store.errors import ChatAway, MailAway, MailDeferred
from store.logbook import say, warn
from store.notices import Delivery, DeliveryState, Notice
from store.occasions import Occasion
from store.recipients import is_target
from store.settings import Settings

MAIL = "@"
"""The way that all addresses share; any other is a chat target."""
SMALL_BYTES = 100_000
_TOO_LARGE = ("552", "523")
LEAST_TRIES = 10
"""Before a message is given up, however old it is: greylisting says no for minutes to whoever comes first."""


class MailSender(Protocol):
    """Delivers a mail."""

    def send(self, mail: EmailMessage, to: Sequence[str]) -> list[Delivery]:
        """What became of each recipient. Raises MailAway, MailDeferred."""

    def close(self) -> None:
        """Nothing more to send for now."""


class ChatSender(Protocol):
    """Delivers to a chat target."""

    def send(self, content: Content, about: Occasion, target: str) -> Delivery:
        """What became of it. Raises ChatAway."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a notice. `retry_after_s`: for those who are still waiting."""

    deliveries: tuple[Delivery, ...]
    retry_after_s: float | None
    tried: bool = True


class Ways:
    """Sends to whom it can be sent to just now."""

    def __init__(self, settings: Settings, mail: MailSender, chat: ChatSender) -> None:
        self._settings, self._mail, self._chat = settings, mail, chat
        self._rests: dict[str, Rest] = defaultdict(Rest)

    @property
    def trouble(self) -> str:
        """What keeps messages from being sent, in the words of the servers."""
        return "; ".join(rest.trouble for rest in self._rests.values() if rest.trouble)

    def put_off(self, to: Sequence[str]) -> list[Delivery]:
        """Recipients whose way is shut, and was tried by another message a moment ago."""
        shut = [one for one in to if self._rest_of(one).left_s > 0]
        return [deferred(one, self._rest_of(one).trouble) for one in shut]

    def opens_in_s(self, to: Sequence[str]) -> float:
        """When the first of these ways may be tried again; not all at the same moment."""
        return min(self._rest_of(one).left_s for one in to) * (1 + 0.25 * random.random())

    def send(
        self, notice: Notice, content: Content, to: Sequence[str], make_mail: Callable[[int], EmailMessage]
    ) -> list[Delivery]:
        """Each recipient once. `make_mail`: the mail, of so many bytes at most."""
        done = [refused(one, "neither an e-mail address nor a chat target") for one in to if _way(one) is None]
        addresses = [one for one in to if _way(one) == MAIL]
        if addresses:
            done += self._by_mail(addresses, make_mail)
        for target in (one for one in to if _way(one) not in (MAIL, None)):
            done += self._by_chat(notice, content, target)
        return [self._given_up(notice, one) for one in done]

    def close(self) -> None:
        """Nothing more to send for now."""
        self._mail.close()

    def _by_mail(self, to: list[str], make_mail: Callable[[int], EmailMessage]) -> list[Delivery]:
        done = self._mailed(to, make_mail, self._settings.mail_most_mb * 1_000_000)
        heavy = [one.to for one in done if one.state is DeliveryState.REFUSED and one.said.startswith(_TOO_LARGE)]
        if not heavy:
            return done
        # Words without their pictures are better than nothing.
        return [one for one in done if one.to not in heavy] + self._mailed(heavy, make_mail, SMALL_BYTES)

    def _mailed(self, to: list[str], make_mail: Callable[[int], EmailMessage], most_bytes: int) -> list[Delivery]:
        try:
            mail = make_mail(most_bytes)
        except ValueError as error:
            return [refused(one, str(error)) for one in to]
        try:
            done = self._mail.send(mail, to)
        except MailAway as error:
            return self._shut(MAIL, to, error)
        except MailDeferred as error:
            return [deferred(one, str(error)) for one in to]
        except Exception as error:  # noqa: BLE001 - what no library was expected to raise must not stop all others
            return [_stumbled(one, error) for one in to]
        self._open(MAIL)
        return done

    def _by_chat(self, notice: Notice, content: Content, target: str) -> list[Delivery]:
        try:
            done = self._chat.send(content, notice.about, target)
        except ChatAway as error:
            return self._shut(target, [target], error)
        except Exception as error:  # noqa: BLE001 - as above
            return [_stumbled(target, error)]
        self._open(target)
        return [done]

    def _shut(self, way: str, to: Sequence[str], error: Exception) -> list[Delivery]:
        rest = self._rests[way]
        if rest.trouble != str(error):
            warn("way-shut", way="mail" if way == MAIL else way, error=error)
        rest.begin(str(error))
        return [deferred(one, str(error)) for one in to]

    def _open(self, way: str) -> None:
        if self._rests[way].trouble:
            say("way-open", way="mail" if way == MAIL else way)
        self._rests[way].over()

    def _rest_of(self, recipient: str) -> Rest:
        return self._rests[_way(recipient) or MAIL]

    def _given_up(self, notice: Notice, done: Delivery) -> Delivery:
        """A server that puts a message off for days never takes it; one that is away has not been asked."""
        if done.state is not DeliveryState.DEFERRED or self._rest_of(done.to).trouble or notice.created_at is None:
            return done
        age_s = (datetime.now(UTC) - notice.created_at).total_seconds()
        if notice.tries < LEAST_TRIES or age_s < self._settings.mail_give_up_s:
            return done
        return replace(done, state=DeliveryState.REFUSED, said=f"given up after {age_s / 86400:.1f} days: {done.said}")


def pause_after(notice: Notice, deliveries: Sequence[Delivery], ways: Ways) -> float:
    """Until the next try for those who are still waiting: as the message's own tries have it, or until a way opens."""
    own_s = retry_pause(notice.tries, random.random())
    waiting = [one.to for one in deliveries if one.state is DeliveryState.DEFERRED]
    shut = ways.put_off(waiting)
    if waiting and len(shut) == len(waiting):
        return ways.opens_in_s(waiting)
    return own_s


def _stumbled(to: str, error: Exception) -> Delivery:
    warn("delivery-stumbled", to=to, error=repr(error))
    return deferred(to, repr(error))


def _way(recipient: str) -> str | None:
    if can_be_mailed(recipient):
        return MAIL
    return recipient if is_target(recipient) else None
