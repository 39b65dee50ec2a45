"""`labq notify --test TO`: one message of each kind, about a study that never was, sent as any other."""

import argparse
import json
import secrets
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from email.message import EmailMessage
from functools import partial

from notify.chat import ChatSender
from notify.compose import compose, compose_letter
from notify.content import Content
from notify.envelope import envelope
from notify.made_up.notices import one_of_each
from notify.notifier import make_sender, sender_address
from notify.rendering import Templates
from notify.story import Story
from notify.ways import Ways
from store.errors import ExitCode, UserError
from store.notices import Delivery, DeliveryState, Notice
from store.recipients import recipient_mistake
from store.settings import Settings

Sent = tuple[str, Delivery]


def send_test(options: argparse.Namespace, settings: Settings) -> int:
    """Exit code 1 when a message was refused, 2 when a template is broken, 3 when a server is away."""
    if mistake := recipient_mistake(options.test, settings.notify_targets):
        raise UserError(f"--test {mistake}")
    now = datetime.now(UTC)
    made = one_of_each((options.test,), f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}", now)
    templates = Templates(settings.mail_templates_dir)
    broken = _mistakes(templates, made)
    for said in broken:
        print(f"labq: {said}", file=sys.stderr)
    sent = list(_send(settings, templates, made, options.test))
    if options.json:
        told = [{"about": about, "to": one.to, "state": one.state.value, "said": one.said} for about, one in sent]
        print(json.dumps({"messages": told, "templates": broken}, indent=2))
    else:
        _print(sent, settings)
    states = {one.state for _, one in sent}
    if DeliveryState.DEFERRED in states:
        return ExitCode.UNAVAILABLE
    if DeliveryState.REFUSED in states:
        return ExitCode.FAILED
    return ExitCode.USER_ERROR if broken else ExitCode.OK


def _mistakes(templates: Templates, made: list[tuple[Notice, Story]]) -> list[str]:
    """Each once, though every kind of message may stumble over it."""
    checked = (templates.check(compose_letter(notice, story), notice, story) for notice, story in made)
    found = [str(mistake) for mistake in checked if mistake is not None]
    found += [f"{path}: no message uses a template of this name (see docs/messages.md)" for path in templates.strays()]
    return list(dict.fromkeys(found))


def _send(settings: Settings, templates: Templates, made: list[tuple[Notice, Story]], to: str) -> Iterator[Sent]:
    ways = Ways(settings, make_sender(settings), ChatSender(settings))
    try:
        for notice, story in made:
            content = compose(notice, story, templates)
            for delivery in ways.send(notice, content, [to], partial(_mail, settings, notice, content)):
                yield notice.about.value, delivery
                if delivery.state is not DeliveryState.SENT:
                    return  # what one server says to one message it says to sixteen
    finally:
        ways.close()


def _mail(settings: Settings, notice: Notice, content: Content, most_bytes: int) -> EmailMessage:
    return envelope(notice, content, sender_address(settings), datetime.now(UTC), most_bytes=most_bytes)


def _print(sent: list[Sent], settings: Settings) -> None:
    for about, one in sent:
        print(f"{about:<15} {one.state.value}{f': {one.said}' if one.said else ''}")
    taken = sum(one.state is DeliveryState.SENT for _, one in sent)
    print(f"{taken} messages sent" if settings.smtp_host else f"{taken} messages written, as no smtp_host is set")
