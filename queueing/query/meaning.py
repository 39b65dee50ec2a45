"""From what was written to what is asked: names become fields, texts become values of the right kind. Pure."""

import math
from collections.abc import Callable
from enum import StrEnum
from typing import TypeVar

from queueing.query.fields import ALIASES, field_of
from queueing.query.mistake import guess, mistake
from queueing.query.scanner import STAR
from queueing.query.syntax import Absence, Alone, Comparison, Joined, Literal, Membership, Name, Negation, Span, Syntax
from queueing.query.values import (
    Context,
    duration_s,
    flag,
    is_null,
    is_number,
    moment,
    number,
    plain,
    size_bytes,
)
from store.errors import BadQuery
from store.findings import Disease
from store.query import (
    EVERYTHING,
    KINDS,
    All,
    Among,
    Compared,
    Condition,
    Contains,
    Field,
    Kind,
    Like,
    Metric,
    Missing,
    Names,
    Not,
    Op,
    Param,
    RunField,
    Some,
    Value,
)
from store.states import Reason, State

T = TypeVar("T")
MOST_VALUES = 1000
_CHOICES: dict[Kind, type[StrEnum]] = {Kind.STATE: State, Kind.REASON: Reason, Kind.FINDING: Disease}
_OTHER_WORDS = {"diverged": Disease.DIVERGENCE.value, "nan": Disease.NOT_FINITE.value}
_ORDERED = frozenset({Kind.NUMBER, Kind.SIZE, Kind.DURATION, Kind.TIME})


def experiments_in(tree: Syntax | None) -> tuple[str, ...]:
    """The experiments to which a query restricts itself: only their metrics and parameters count. () for all."""
    match tree:
        case Joined(word="and", parts=parts):
            return next((found for part in parts if (found := experiments_in(part))), ())
        case Comparison(name=name, op="=", value=value) if _names_experiment(name):
            return _plain_names((value,))
        case Membership(name=name, values=values, negated=False) if _names_experiment(name):
            return _plain_names(values)
        case Alone(value=value):
            return _plain_names((value,))
    return ()


def condition(text: str, tree: Syntax | None, names: Names, context: Context) -> Condition:
    """What the tree of `text` asks. Raises BadQuery."""
    return EVERYTHING if tree is None else _Reader(text, names, context).meaning(tree)


class _Reader:
    """One query and what it may refer to."""

    def __init__(self, text: str, names: Names, context: Context) -> None:
        self.text = text
        self.names = names
        self.context = context

    def meaning(self, tree: Syntax) -> Condition:
        match tree:
            case Joined(word=word, parts=parts):
                inner = tuple(self.meaning(part) for part in parts)
                return All(parts=inner) if word == "and" else Some(parts=inner)
            case Negation(part=part):
                return Not(part=self.meaning(part))
            case Absence(name=name):
                return Missing(field=field_of(name, self.names, self.text))
            case Alone(value=value):
                return self._experiment(value)
            case Membership(name=name, values=values, negated=negated):
                found = self._among(field_of(name, self.names, self.text), values)
                return Not(part=found) if negated else found
            case Comparison(op="!=" | "!~" as op, name=name, op_span=span, value=value):
                return Not(part=self._compared(name, op[1:], span, value))
            case Comparison(name=name, op=op, op_span=span, value=value):
                return self._compared(name, op, span, value)

    def _experiment(self, value: Literal) -> Condition:
        """A word alone: but one that is plainly a field lacks its operator."""
        is_field = value.text.lower() in ALIASES or value.text in self.names.metrics | self.names.params
        if is_field and not value.quoted:
            raise self._wrong(value.span, f"expected =, !=, <, >, ~ or in after {value.text!r}")
        return self._text(RunField.EXPERIMENT, value)

    def _compared(self, name: Name, op: str, span: Span, value: Literal) -> Condition:
        field = field_of(name, self.names, self.text)
        if op == "~":
            return self._contains(field, name, span, value)
        if is_null(value):
            if op != "=":
                raise self._wrong(span, f"{op!r} cannot compare with null; write {name.text} = null")
            return Missing(field=field)
        return self._equal(field, value) if op == "=" else self._ordered(field, name, Op(op), span, value)

    def _contains(self, field: Field, name: Name, span: Span, value: Literal) -> Condition:
        if isinstance(field, Metric) or (isinstance(field, RunField) and KINDS.get(field, Kind.TEXT) is not Kind.TEXT):
            raise self._wrong(span, f"'~' looks into texts; {name.text} is {_kind_words(field)}")
        return Contains(field=field, text=plain(value))

    def _equal(self, field: Field, value: Literal) -> Condition:
        kind = _kind(field)
        if kind is Kind.TIME:
            span = self._read(value, lambda one: moment(one, self.context))
            upper = Op.AT_MOST if span.end == span.start else Op.LESS
            return All(parts=(Compared(field=field, op=Op.AT_LEAST, value=span.start),
                              Compared(field=field, op=upper, value=span.end)))  # fmt: skip
        if kind is Kind.TEXT or (kind is None and not _is_plain_value(value)):
            return self._text(field, value)
        return Compared(field=field, op=Op.EQUAL, value=self._value(field, value))

    def _ordered(self, field: Field, name: Name, op: Op, span: Span, value: Literal) -> Condition:
        kind = _kind(field)
        if kind is not None and kind not in _ORDERED:
            allowed = f"; allowed values: {', '.join(_choices(kind))}" if _choices(kind) else ""
            raise self._wrong(span, f"{name.text} is {_kind_words(field)}: {op.value!r} has no meaning for it{allowed}")
        if kind is Kind.TIME:
            found = self._read(value, lambda one: moment(one, self.context))
            edge = found.start if op in (Op.LESS, Op.AT_LEAST) or found.start == found.end else found.end
            exclusive = {Op.AT_MOST: Op.LESS, Op.GREATER: Op.AT_LEAST}
            return Compared(field=field, op=op if edge == found.start else exclusive[op], value=edge)
        wanted = self._value(field, value) if kind is not None else self._read(value, number)
        if isinstance(wanted, float) and math.isnan(wanted):
            raise self._wrong(value.span, f"nothing is less or more than nan; write {name.text} = nan")
        return Compared(field=field, op=op, value=wanted)

    def _among(self, field: Field, values: tuple[Literal, ...]) -> Condition:
        """Texts with stars, dates and null are conditions of their own; the others one list."""
        if len(values) > MOST_VALUES:
            span = Span(values[0].span.start, values[-1].span.end)
            raise self._wrong(span, f"a list of {len(values)} values; allowed: {MOST_VALUES}")
        each = [Missing(field=field) if is_null(value) else self._equal(field, value) for value in values]
        plain_ones = tuple(one.value for one in each if isinstance(one, Compared))
        rest = tuple(one for one in each if not isinstance(one, Compared))
        among = (Among(field=field, values=plain_ones),) if plain_ones else ()
        parts = among + rest
        return parts[0] if len(parts) == 1 else Some(parts=parts)

    def _text(self, field: Field, value: Literal) -> Condition:
        if STAR in value.text:
            return Like(field=field, pieces=tuple(value.text.split(STAR)))
        is_me = field is RunField.OWNER and value.text == "me" and not value.quoted and self.context.me
        return Compared(field=field, op=Op.EQUAL, value=self.context.me if is_me else plain(value))

    def _value(self, field: Field, value: Literal) -> Value:
        kind = _kind(field)
        if kind is None:
            words = {"true": True, "false": False}
            word = value.text.lower()
            return words[word] if word in words and not value.quoted else number(value)
        if kind in _CHOICES:
            return self._choice(kind, value)
        if kind is Kind.ID:
            return self._id(value)
        if kind is Kind.NUMBER:
            return self._number(field, value)
        readers: dict[Kind, Callable[[Literal], Value]] = {
            Kind.SIZE: size_bytes, Kind.DURATION: duration_s, Kind.FLAG: flag,
        }  # fmt: skip
        return self._read(value, readers[kind])

    def _number(self, field: Field, value: Literal) -> int | float:
        found = self._read(value, lambda one: number(one, percent=field is RunField.PROGRESS))
        if isinstance(field, RunField) and isinstance(found, float) and not math.isfinite(found):
            raise self._wrong(value.span, f"expected a finite number; only metrics can be {value.text}")
        return found

    def _choice(self, kind: Kind, value: Literal) -> str:
        allowed, found = _choices(kind), _OTHER_WORDS.get(plain(value).lower(), plain(value).lower())
        if found not in allowed:
            near = guess(found, allowed)
            also = f"; allowed: {', '.join(allowed)}"
            raise self._wrong(value.span, f"{plain(value)!r} is no {kind}{near if 'mean' in near else ''}{also}")
        return found

    def _id(self, value: Literal) -> str:
        found = plain(value).rstrip("*").lower()
        if not found or not found.isalnum():
            raise self._wrong(value.span, f"expected an id or its first characters, found {plain(value)!r}")
        return found

    def _read(self, value: Literal, reader: Callable[[Literal], T]) -> T:
        try:
            return reader(value)
        except ValueError as error:
            raise self._wrong(value.span, str(error)) from error

    def _wrong(self, span: Span, said: str) -> BadQuery:
        return mistake(self.text, span, said)


def _kind(field: Field) -> Kind | None:
    """None for a parameter, which may be anything."""
    if isinstance(field, Param):
        return None
    return Kind.NUMBER if isinstance(field, Metric) else KINDS.get(field, Kind.TEXT)


def _kind_words(field: Field) -> str:
    words = {
        Kind.ID: "an id", Kind.TEXT: "a text", Kind.STATE: "a state", Kind.REASON: "a reason",
        Kind.FINDING: "a finding", Kind.NUMBER: "a number",
        Kind.SIZE: "a size", Kind.DURATION: "a duration", Kind.TIME: "a time", Kind.FLAG: "true or false",
    }  # fmt: skip
    kind = _kind(field)
    return "a parameter" if kind is None else words[kind]


def _choices(kind: Kind) -> list[str]:
    return [choice.value for choice in _CHOICES[kind]] if kind in _CHOICES else []


def _is_plain_value(value: Literal) -> bool:
    """Whether a parameter's value is a number or a flag; everything else is text."""
    return is_number(value) or (not value.quoted and value.text.lower() in ("true", "false"))


def _names_experiment(name: Name) -> bool:
    return ALIASES.get(name.text.lower()) is RunField.EXPERIMENT


def _plain_names(values: tuple[Literal, ...]) -> tuple[str, ...]:
    return () if any(STAR in value.text for value in values) else tuple(value.text for value in values)
