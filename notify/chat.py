"""Chat services through Apprise (extra `chat`): the only file that imports it.

Apprise answers True or False and writes the reason into its log; so that log is read while it sends. Nothing waits
inside it: what is owed lies in the outbox.
"""

import logging
from typing import Any

from notify.bounded import TookTooLong, within
from notify.chat_words import Answer, answer_in, body_of, scrubbed, title_of
from notify.content import Content, Image
from notify.targets import url_of
from store.errors import ChatAway
from store.notices import Delivery, DeliveryState
from store.occasions import Occasion
from store.settings import Settings

_BAD = frozenset({Occasion.FAILED, Occasion.DIVERGED, Occasion.WORKER_LOST})
_GOOD = frozenset({Occasion.FINISHED, Occasion.SWEEP_FINISHED, Occasion.BEST_SO_FAR})
_ODD = frozenset({Occasion.STUCK, Occasion.PLATEAU, Occasion.FINDING, Occasion.DISK_LOW, Occasion.INTERRUPTED})


class ChatSender:
    """Sends to the targets that the settings name."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def send(self, content: Content, about: Occasion, target: str) -> Delivery:
        """Deliver. Raises ChatAway when nothing gets there just now: no library, no such target, no answer."""
        url = url_of(target, self._settings)
        limit_s = self._settings.chat_most_s
        try:
            answer = within(limit_s, lambda: self._told(url, content, about), lambda: None, "chat")
        except TookTooLong as error:
            raise ChatAway(f"{target}: no answer for {limit_s:g} s") from error
        words = scrubbed(answer.words, url)
        if answer.is_good:
            return Delivery(to=target, state=DeliveryState.SENT, said=words)
        if answer.is_for_ever:
            return Delivery(to=target, state=DeliveryState.REFUSED, said=words)
        raise ChatAway(f"{target}: {words}")

    def _told(self, url: str, content: Content, about: Occasion) -> Answer:
        apprise = _library()
        service = apprise.Apprise.instantiate(url, asset=apprise.AppriseAsset(async_mode=False))
        if service is None:
            return Answer(words="notify_targets has no URL that Apprise understands", code=None)
        _bound(service, url, self._settings.chat_timeout_s)
        image = content.images[0] if content.images and service.attachment_support else None
        answer = _sent(apprise, service, content, about, image)
        if image is not None and answer.is_for_ever:
            return _sent(apprise, service, content, about, None)  # words without their picture are better than nothing
        return answer


def _sent(apprise: Any, service: Any, content: Content, about: Occasion, image: Image | None) -> Answer:
    attached = None
    if image is not None:
        file = apprise.attachment.memory.AttachMemory(
            content=image.png, name=image.name or f"{image.cid}.png", mimetype="image/png"
        )
        attached = apprise.AppriseAttachment(file)
    sender = apprise.Apprise(service, asset=service.asset)
    with apprise.LogCapture(level=logging.WARNING, fmt="%(message)s") as log:
        went = sender.notify(
            title=title_of(content, service.title_maxlen),
            body=body_of(content, service.body_maxlen),
            body_format=apprise.NotifyFormat.TEXT,
            notify_type=_type(apprise, about),
            attach=attached,
        )
        return Answer(words="", code=200) if went else answer_in(log.getvalue())


def _type(apprise: Any, about: Occasion) -> Any:
    kinds = apprise.NotifyType
    if about in _BAD:
        return kinds.FAILURE
    if about in _GOOD:
        return kinds.SUCCESS
    return kinds.WARNING if about in _ODD else kinds.INFO


def _bound(service: Any, url: str, timeout_s: float) -> None:
    """Apprise's own four seconds are few for a picture; what the URL says (`?rto=`, `?cto=`) goes first."""
    if "rto=" not in url:
        service.socket_read_timeout = timeout_s
    if "cto=" not in url:
        service.socket_connect_timeout = timeout_s


def _library() -> Any:
    try:
        import apprise
        import apprise.attachment.memory
    except ImportError as error:
        raise ChatAway("Apprise is not installed: pip install 'labq[chat]'") from error
    return apprise
