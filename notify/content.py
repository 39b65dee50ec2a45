"""What a message says, whatever carries it: made by `compose`, sent by mail or chat."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A picture in the HTML part, which names it as `cid:CID`. `command` shows the same in a terminal."""

    cid: str
    png: bytes
    name: str = ""
    """Of the file, when it is saved; empty: CID.png"""
    command: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A file beside the message. `mime`: `text/csv`. `command` gets the same in a terminal."""

    name: str
    mime: str
    data: bytes
    command: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """One message. The text says everything; HTML and pictures say it more pleasantly. No HTML: text alone."""

    subject: str
    text: str
    html: str = ""
    images: tuple[Image, ...] = ()
    attachments: tuple[Attachment, ...] = ()
