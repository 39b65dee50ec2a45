"""A query cut into tokens, one at a time: what a word may hold depends on whether a field or a value is expected."""

import re
from dataclasses import dataclass
from enum import Enum, auto

from queueing.query.mistake import mistake
from queueing.query.syntax import Span


class Token(Enum):
    """What was found."""

    WORD = auto()
    OPERATOR = auto()
    PUNCTUATION = auto()
    END = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A token. `parts` are those of a word; `quoted` when any of them was in quotes."""

    token: Token
    text: str
    span: Span
    parts: tuple[str, ...] = ()
    quoted: bool = False


KEYWORDS = ("and", "or", "not", "in", "missing")
OPERATORS = ("=", "!=", "<", "<=", ">", ">=", "~", "!~", ":")

STAR = "\0"
"""Stands for a `*` that means anything; one that was written `\\*` is a plain star."""

_SPACE = re.compile(r"\s*")
_OPERATOR = re.compile(r"==|!=|<=|>=|<>|!~|[=<>~:]")
_NAME = re.compile(r"[^\s()\[\],=<>!~:\"'&|]+")
_VALUE = re.compile(r"[^\s()\[\],=<>~\"'&|]+")
_QUOTES = "\"'"
_FOREIGN = {"<>": "!=", "&&": "and", "&": "and", "||": "or", "|": "or", "!": "not"}


class Scanner:
    """Where we are in a text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._at = 0

    def look(self, *, value: bool = False) -> Found:
        """The next token, left where it is."""
        start = _match(_SPACE, self.text, self._at)
        if start == len(self.text):
            return Found(token=Token.END, text="", span=Span(start, start))
        character = self.text[start]
        if character in "()[],":
            return Found(token=Token.PUNCTUATION, text=character, span=Span(start, start + 1))
        if (found := _OPERATOR.match(self.text, start)) and not (value and found[0] == ":"):
            return self._operator(found[0], start)
        return self._word(start, _VALUE if value else _NAME)

    def take(self, *, value: bool = False) -> Found:
        """The next token; the one after it is next."""
        found = self.look(value=value)
        self._at = found.span.end
        return found

    def _operator(self, text: str, start: int) -> Found:
        span = Span(start, start + len(text))
        if text in _FOREIGN:
            raise mistake(self.text, span, f"{text!r} is no operator; write {_FOREIGN[text]!r}")
        return Found(token=Token.OPERATOR, text="=" if text == "==" else text, span=span)

    def _word(self, start: int, bare: re.Pattern[str]) -> Found:
        """Bare and quoted pieces without a space between them: `best."val loss"`."""
        at, parts, quoted, glued = start, [""], False, True
        while at < len(self.text):
            if self.text[at] in _QUOTES:
                piece, at = self._quoted(at)
                parts[-1] += piece
                quoted = True
            elif (end := _match(bare, self.text, at)) > at:
                first, *rest = self.text[at:end].replace("*", STAR).split(".")
                parts[-1] += first
                parts += rest
                at = end
            else:
                break
            glued = False
        if glued:
            raise self._stranger(start)
        return Found(token=Token.WORD, text=".".join(parts), span=Span(start, at), parts=tuple(parts), quoted=quoted)

    def _quoted(self, start: int) -> tuple[str, int]:
        """What stands between quotes. A backslash takes its meaning from the next quote, backslash or star."""
        quote, text, at = self.text[start], "", start + 1
        while at < len(self.text) and self.text[at] != quote:
            if self.text[at] == "\\" and self.text[at + 1 : at + 2] in (quote, "\\", "*"):
                at += 1
                text += self.text[at]
            else:
                text += STAR if self.text[at] == "*" else self.text[at]
            at += 1
        if at >= len(self.text):
            raise mistake(self.text, Span(start, len(self.text)), f"the text that begins here has no closing {quote}")
        return text, at + 1

    def _stranger(self, start: int) -> Exception:
        text = self.text[start : start + 2] if self.text[start : start + 2] in _FOREIGN else self.text[start]
        instead = f"; write {_FOREIGN[text]!r}" if text in _FOREIGN else ""
        return mistake(self.text, Span(start, start + len(text)), f"{text!r} means nothing here{instead}")


def _match(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at
