"""Text of strangers (names, errors, output) made fit for headers and bodies."""

import re

_ENDS_LINES = re.compile(r"[\x00-\x20\x7f-\x9f\u2028\u2029]+")
_TURNS_TEXT = re.compile(r"[\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
"""Marks that turn the direction of what follows: a subject could be made to read as another one."""
_NOT_IN_NAMES = re.compile(r"[^\w.+ -]+")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def one_line(text: str) -> str:
    """Without anything that could end a header or turn its text; blanks are single.

    What looks like an encoded word of RFC 2047 is broken up: mail libraries decode it, line ends inside included.
    """
    return _ENDS_LINES.sub(" ", _TURNS_TEXT.sub("", whole(text))).replace("=?", "= ?").strip()


def file_name(text: str, otherwise: str) -> str:
    """A name that every system takes."""
    return _NOT_IN_NAMES.sub("-", one_line(text)).strip("-. ")[:100] or otherwise


def printable(text: str) -> str:
    """Lines and tabs stay, other control characters go."""
    return _CONTROLS.sub("", whole(text).replace("\r\n", "\n").replace("\r", "\n"))


def whole(text: str) -> str:
    """Halves of characters, as file names of other systems may have them, become question marks."""
    return text.encode("utf-8", "replace").decode()
