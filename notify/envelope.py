"""A message as an e-mail: headers, parts, size. A pure function; nothing in a name or an error can add a header.

RFC 5322 (headers), 2047 (other alphabets in them), 2387 (pictures beside HTML), 3834 (made by a machine), 2919 (lists).
"""

import re
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from notify.addresses import on_the_wire
from notify.content import Attachment, Content, Image
from notify.fitting import fitting
from notify.plain import file_name, one_line, printable
from store.notices import Notice
from store.recipients import is_address

MOST_BYTES = 5_000_000
_POLICY = SMTP.clone(cte_type="7bit")  # servers without 8BITMIME take it, and no line is longer than they allow
_SPECIALS = re.compile(r"[^\w '+-]+")  # of what else a long name may have, Python makes further addresses when folding
_LABEL = re.compile(r"[^A-Za-z0-9-]+")


def envelope(
    notice: Notice, content: Content, sender: str, sent_at: datetime, *, root: str = "", most_bytes: int = MOST_BYTES
) -> EmailMessage:
    """The mail to those recipients of the notice that have an address.

    `sender`: an address, or `Name <address>`. `root`: the Message-ID of the first mail in the thread; that mail itself,
    and mails without a thread, name none. Raises ValueError when nobody, or the sender, has an address.
    """
    to = [recipient for recipient in notice.to if can_be_mailed(recipient)]
    if not to:
        raise ValueError(f"no recipient of {notice.id} has an e-mail address")
    content = replace(content, text=printable(content.text), html=printable(content.html))
    content = fitting(content, most_bytes, see=_see(notice))
    mail = EmailMessage(_POLICY)
    _address(mail, sender, to)
    mail["Subject"] = one_line(content.subject) or "[labq]"
    mail["Date"] = format_datetime(sent_at)
    mail["Message-ID"] = notice.message_id
    if root and root != notice.message_id:
        mail["In-Reply-To"] = root
        mail["References"] = root
    _say_who_made_it(mail, notice)
    _fill(mail, content)
    return mail


def as_bytes(mail: EmailMessage, *, utf8: bool = False, only: Sequence[str] | None = None) -> bytes:
    """For the wire. `utf8`: headers as they are, for servers with SMTPUTF8. `only`: of the recipients name these alone.

    An address with another alphabet before its @ has no place in an ASCII header.
    """
    if only is not None:
        mail = deepcopy(mail)
        mail.replace_header("To", [one for one in mail["To"].addresses if one.addr_spec in only])
    return mail.as_bytes(policy=_POLICY.clone(utf8=utf8))


def _address(mail: EmailMessage, sender: str, to: list[str]) -> None:
    name = _SPECIALS.sub(" ", one_line(sender).rpartition("<")[0])
    mail["From"] = _mailbox(sender_address(sender), " ".join(name.split())[:60])
    mail["To"] = [_mailbox(one) for one in to]


def sender_address(sender: str) -> str:
    """The address of `Name <address>`. Raises ValueError when there is none."""
    address = one_line(sender).rpartition("<")[2].removesuffix(">")
    if not is_address(address):
        raise ValueError(f"the sender {sender[:80]!r} is no e-mail address: set mail_from")
    return address


def can_be_mailed(recipient: str) -> bool:
    """Whether it can stand in a header."""
    try:
        return is_address(recipient) and bool(on_the_wire(recipient))
    except ValueError:
        return False


def _mailbox(address: str, name: str = "") -> Address:
    user, _, domain = on_the_wire(address).rpartition("@")
    return Address(display_name=name, username=user, domain=domain)


def _say_who_made_it(mail: EmailMessage, notice: Notice) -> None:
    """For filters, and against answers by machines on holiday (Auto-Submitted, Exchange's own)."""
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Auto-Response-Suppress"] = "All"
    labels = [_LABEL.sub("-", notice.experiment).strip("-")[:24].strip("-"), "labq", mail["From"].addresses[0].domain]
    mail["List-Id"] = f"<{'.'.join(label for label in labels if label)}>"
    for name in ("about", "experiment", "run", "worker", "metric", "rule"):
        if value := one_line(str(getattr(notice, name))):
            mail[f"X-labq-{name.capitalize()}"] = value


def _fill(mail: EmailMessage, content: Content) -> None:
    mail.set_content(content.text)
    if content.html:
        mail.add_alternative(content.html, subtype="html")
        page = mail.get_payload()[-1]  # type: ignore[index]
        for image in content.images:
            _add_image(page, image)  # type: ignore[arg-type]
    for attachment in content.attachments:
        _attach(mail, attachment)


def _add_image(page: EmailMessage, image: Image) -> None:
    name = file_name(image.name or f"{image.cid}.png", "picture.png")
    page.add_related(image.png, "image", "png", cid=f"<{image.cid}>", filename=name, disposition="inline")


def _attach(mail: EmailMessage, attachment: Attachment) -> None:
    main, _, sub = attachment.mime.partition("/")
    mail.add_attachment(attachment.data, main, sub or "octet-stream", filename=file_name(attachment.name, "attachment"))


def _see(notice: Notice) -> str:
    """The command that shows what a message had no room for."""
    if notice.run:
        return f"labq show {notice.run}"
    return f"labq results {notice.experiment}" if notice.experiment else "labq ls"
