"""A message as chat services take it, and what their answers mean. Pure."""

import re
from dataclasses import dataclass
from urllib.parse import unquote

from notify.content import Content
from notify.plain import one_line, printable

MOST_CHARS = 1500
MOST_LINES = 25
_LATER = frozenset({408, 421, 423, 425, 429})
"""HTTP: of the 4xx these say "not now"."""
_CODE = re.compile(r"\berror=(\d{3})\b")
_LEAST_SECRET = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """`code`: of HTTP; None when there was no answer."""

    words: str
    code: int | None

    @property
    def is_good(self) -> bool:
        """Taken."""
        return self.code is not None and 200 <= self.code < 300

    @property
    def is_for_ever(self) -> bool:
        """Trying again is useless until somebody mends the target or drops the message."""
        return self.code is not None and 400 <= self.code < 500 and self.code not in _LATER


def answer_in(log: str) -> Answer:
    """What Apprise's log says about a failure."""
    lines = [one_line(line) for line in log.splitlines() if line.strip()]
    codes = _CODE.findall(log)
    return Answer(words=(lines[-1] if lines else "no answer")[:500], code=int(codes[-1]) if codes else None)


def title_of(content: Content, most_chars: int) -> str:
    """The subject; without room for a title Apprise puts it above the text."""
    return _cut(one_line(content.subject), most_chars or 250)


def body_of(content: Content, most_chars: int) -> str:
    """The first lines of the text, without the subject that stands above them."""
    lines = printable(content.text).strip().split("\n")
    if lines and one_line(lines[0]) == one_line(content.subject):
        lines = lines[1:]
    kept = "\n".join(line.rstrip() for line in lines).strip("\n").split("\n")
    short = "\n".join([*kept[:MOST_LINES], *(["…"] if len(kept) > MOST_LINES else [])])
    return _cut(short, min(most_chars or MOST_CHARS, MOST_CHARS)) or one_line(content.subject)


def scrubbed(words: str, url: str) -> str:
    """Without the tokens of the URL, wherever a service repeats them."""
    for secret in sorted(_secrets(url), key=len, reverse=True):
        words = words.replace(secret, "…")
    return words


def _secrets(url: str) -> set[str]:
    """Everything but scheme, server and port; a host without a dot is a token (`slack://TOKEN/…`)."""
    _, _, rest = url.partition("://")
    host = re.split(r"[/?#]", rest)[0].rpartition("@")[2].partition(":")[0]
    pieces = {form for piece in re.split(r"[/?&=#:@]", rest) for form in (piece, unquote(piece))}
    is_server = "." in host or host == "localhost"
    return {piece for piece in pieces if len(piece) >= _LEAST_SECRET and not (is_server and piece == host)}


def _cut(text: str, most_chars: int) -> str:
    return text if len(text) <= most_chars else text[: max(most_chars - 1, 0)] + "…"
