"""What a parameter may be: a rule turns a JSON value into a Python one or says what is allowed. No NumPy here."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise
from typing import Any

_INF = math.inf


class Refused(Exception):
    """The value is not allowed."""


@dataclass(frozen=True, slots=True)
class Rule:
    """`parse` returns the value to keep or raises Refused; `allowed` completes the sentence `allowed: …`."""

    allowed: str
    parse: Callable[[object], Any]


def whole(low: int, high: int | None = None) -> Rule:
    """An integer from low to high, both included; 32.0 counts as 32, true does not count as 1."""

    def parse(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value or math.isinf(value):
            raise Refused
        if value != int(value) or value < low or (high is not None and value > high):
            raise Refused
        return int(value)

    return Rule(f"a whole number >= {low}" + (f" and <= {high}" if high is not None else ""), parse)


def real(*, above: float = -_INF, least: float = -_INF, below: float = _INF, most: float = _INF) -> Rule:
    """A finite number with above < x, least <= x, x < below, x <= most."""

    def parse(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise Refused
        if not (above < value < below and least <= value <= most):
            raise Refused
        return float(value)

    bounds = (("> ", above), (">= ", least), ("< ", below), ("<= ", most))
    said = " and ".join(f"{sign}{bound:g}" for sign, bound in bounds if math.isfinite(bound))
    return Rule(f"a number {said}".strip(), parse)


def flag() -> Rule:
    """true or false."""

    def parse(value: object) -> bool:
        if not isinstance(value, bool):
            raise Refused
        return value

    return Rule("true or false", parse)


def choice(kind: type[Enum]) -> Rule:
    """One of the values of an enumeration."""

    def parse(value: object) -> Enum:
        for member in kind:
            if value == member.value:
                return member
        raise Refused

    return Rule("one of " + ", ".join(str(member.value) for member in kind), parse)


def text() -> Rule:
    """A string that is not empty."""

    def parse(value: object) -> str:
        if not isinstance(value, str) or not value.strip():
            raise Refused
        return value

    return Rule("a text that is not empty", parse)


def rising() -> Rule:
    """At least one finite number, each greater than the one before."""

    def parse(value: object) -> tuple[float, ...]:
        if not isinstance(value, list) or not value:
            raise Refused
        numbers = tuple(real().parse(item) for item in value)
        if any(b <= a for a, b in pairwise(numbers)):
            raise Refused
        return numbers

    return Rule("a list of rising numbers", parse)


def several(kind: type[Enum]) -> Rule:
    """A list of values of an enumeration, each once, in the order of the enumeration."""
    one = choice(kind)

    def parse(value: object) -> tuple[Enum, ...]:
        if not isinstance(value, list):
            raise Refused
        found = {one.parse(item) for item in value}
        return tuple(member for member in kind if member in found)

    return Rule("a list of some of " + one.allowed.removeprefix("one of "), parse)


def span() -> Rule:
    """Two whole numbers first < end: the items first … end-1, counted from 0."""

    def parse(value: object) -> tuple[int, int]:
        if not isinstance(value, list) or len(value) != 2:
            raise Refused
        first, end = (whole(0).parse(item) for item in value)
        if first >= end:
            raise Refused
        return first, end

    return Rule("two whole numbers [first, end] with 0 <= first < end", parse)


def names(least: int) -> Rule:
    """At least so many different texts."""

    def parse(value: object) -> tuple[str, ...]:
        if not isinstance(value, list) or len(value) < least:
            raise Refused
        found = tuple(text().parse(item) for item in value)
        if len(set(found)) < len(found):
            raise Refused
        return found

    return Rule(f"a list of at least {least} different texts", parse)


def columns() -> Rule:
    """Names of columns, or one text: a name, or a range `first:last` over the header."""

    def parse(value: object) -> tuple[str, ...]:
        return (text().parse(value),) if isinstance(value, str) else names(1).parse(value)

    return Rule('a list of different column names, or a range such as "s1:s5"', parse)


def character() -> Rule:
    """One character that can part cells."""

    def parse(value: object) -> str:
        if not isinstance(value, str) or len(value) != 1 or value in '\r\n"':
            raise Refused
        return value

    return Rule("one character", parse)


def optional(rule: Rule) -> Rule:
    """The rule, or null."""
    return Rule(rule.allowed + ", or null", lambda value: None if value is None else rule.parse(value))
