"""A query as a syntax tree: `or` binds less than `and`, `and` less than `not`. Pure.

Written by hand: the grammar is a page, the sentences about mistakes are the point, and a parser library would take
longer to import (lark: 80 ms) than the whole of `labq ls`.
"""

from queueing.query.mistake import mistake
from queueing.query.scanner import KEYWORDS, STAR, Found, Scanner, Token
from queueing.query.syntax import (
    Absence,
    Alone,
    Comparison,
    Joined,
    Literal,
    Membership,
    Name,
    Negation,
    Span,
    Syntax,
)
from store.errors import BadQuery

LONGEST = 10_000
DEEPEST = 50
_OPERATORS = "=, !=, <, <=, >, >=, ~, !~, in"


def parse(text: str) -> Syntax | None:
    """The tree; None for an empty query, which asks for every run. Raises BadQuery."""
    if len(text) > LONGEST:
        raise BadQuery(f"the query has {len(text)} characters; allowed: {LONGEST}")
    if (zero := text.find("\0")) >= 0:
        raise mistake(text, Span(zero, zero + 1), "a NUL character means nothing here")
    return _Parser(text).whole()


class _Parser:
    """One parse."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._scanner = Scanner(text)
        self._depth = 0

    def whole(self) -> Syntax | None:
        if self._scanner.look().token is Token.END:
            return None
        tree = self._joined("or")
        rest = self._scanner.look()
        if rest.token is not Token.END:
            closing = "; a '(' before it is missing" if rest.text == ")" else ""
            raise self._wrong(rest, f"expected 'and', 'or' or the end, found {_said(rest)}{closing}")
        return tree

    def _joined(self, word: str) -> Syntax:
        """`a or b or c`, `a and b and c`."""
        parts = [self._part_of(word)]
        while _is(self._scanner.look(), word):
            self._scanner.take()
            parts.append(self._part_of(word))
        return parts[0] if len(parts) == 1 else Joined(word=word, parts=tuple(parts))

    def _part_of(self, word: str) -> Syntax:
        return self._joined("and") if word == "or" else self._one()

    def _one(self) -> Syntax:
        found = self._scanner.look()
        if _is(found, "not") or found.text == "(":
            self._scanner.take()
            return self._deeper(found)
        if _is(found, "missing"):
            self._scanner.take()
            return Absence(name=self._in_parentheses())
        if found.token is not Token.WORD or any(_is(found, word) for word in KEYWORDS):
            raise self._wrong(found, f"expected a field such as state or val_loss, found {_said(found)}")
        return self._condition(self._scanner.take())

    def _deeper(self, opening: Found) -> Syntax:
        self._depth += 1
        if self._depth > DEEPEST:
            raise self._wrong(opening, f"nested too deeply; allowed: {DEEPEST} levels")
        inner = Negation(part=self._one()) if opening.text != "(" else self._closed(opening)
        self._depth -= 1
        return inner

    def _closed(self, opening: Found) -> Syntax:
        inner = self._joined("or")
        closing = self._scanner.look()
        if closing.text != ")" or closing.token is not Token.PUNCTUATION:
            if closing.token is Token.END:
                raise self._wrong(opening, "this '(' is never closed")
            raise self._wrong(closing, f"expected 'and', 'or' or ')', found {_said(closing)}")
        self._scanner.take()
        return inner

    def _in_parentheses(self) -> Name:
        self._punctuation("(", "expected '(' and a field, as in missing(val_loss)")
        name = self._scanner.take()
        if name.token is not Token.WORD:
            raise self._wrong(name, f"expected a field, as in missing(val_loss), found {_said(name)}")
        self._punctuation(")", "expected ')'")
        return _name(name)

    def _condition(self, word: Found) -> Syntax:
        """What follows a field: an operator and a value, `in` and a list; or nothing, then it names an experiment."""
        found = self._scanner.look()
        if found.token is Token.OPERATOR:
            self._scanner.take()
            op = "=" if found.text == ":" else found.text
            return Comparison(name=_name(word), op=op, op_span=found.span, value=self._value(found.text))
        negated = _is(found, "not")
        if negated:
            self._scanner.take()
            found = self._scanner.look()
            if not _is(found, "in"):
                raise self._wrong(found, f"expected 'in' after 'not', found {_said(found)}")
        if _is(found, "in"):
            self._scanner.take()
            return Membership(name=_name(word), values=self._list(), negated=negated)
        if found.token is Token.END or found.text == ")" or any(_is(found, one) for one in ("and", "or")):
            return Alone(value=Literal(text=word.text, quoted=word.quoted, span=word.span))
        raise self._wrong(found, f"expected one of {_OPERATORS} after {_plain(word.text)!r}, found {_said(found)}")

    def _value(self, after: str) -> Literal:
        found = self._scanner.look(value=True)
        if found.token is not Token.WORD:
            hint = "; a list follows 'in'" if found.text == "[" else ""
            raise self._wrong(found, f"expected a value after {after!r}, found {_said(found)}{hint}")
        self._scanner.take(value=True)
        return Literal(text=found.text, quoted=found.quoted, span=found.span)

    def _list(self) -> tuple[Literal, ...]:
        self._punctuation("[", "expected a list in brackets, as in [50, 150]")
        values: list[Literal] = []
        while True:
            values.append(self._value("," if values else "["))
            found = self._scanner.take()
            if found.text == "]" and found.token is Token.PUNCTUATION:
                return tuple(values)
            if found.text != ",":
                raise self._wrong(found, f"expected ',' or ']', found {_said(found)}")

    def _punctuation(self, character: str, said: str) -> None:
        found = self._scanner.look()
        if found.text != character or found.token is not Token.PUNCTUATION:
            raise self._wrong(found, f"{said}, found {_said(found)}")
        self._scanner.take()

    def _wrong(self, found: Found, said: str) -> BadQuery:
        return mistake(self.text, found.span, said)


def _is(found: Found, word: str) -> bool:
    return found.token is Token.WORD and not found.quoted and found.text.lower() == word


def _name(word: Found) -> Name:
    return Name(parts=tuple(_plain(part) for part in word.parts), span=word.span)


def _plain(text: str) -> str:
    return text.replace(STAR, "*")


def _said(found: Found) -> str:
    return "the end" if found.token is Token.END else repr(_plain(found.text))
