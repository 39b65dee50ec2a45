"""The query of a threshold. Names that are neither fields nor parameters are metrics: none may be reported yet."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime

from queueing.query.fields import ALIASES
from queueing.query.meaning import condition
from queueing.query.mistake import mistake
from queueing.query.parser import parse
from queueing.query.syntax import Absence, Alone, Comparison, Joined, Membership, Name, Negation, Span, Syntax
from queueing.query.values import Context
from queueing.units import parse_duration
from store.errors import BadQuery
from store.identity import user_name
from store.query import Compared, Condition, Metric, Names, Op, RunField, both, walk

_AFTER = re.compile(r"\s+after\s+(?P<time>[0-9][0-9a-z. ]*)\s*$", re.IGNORECASE)


def condition_of(when: str, params: frozenset[str], now: datetime | None = None) -> Condition:
    """What the query asks; `… after 10m` is `… and running_time >= 10m`. Raises BadQuery."""
    text, running = _cut(when)
    tree = parse(text)
    if tree is None:
        raise BadQuery("the query is empty; it would stop every run")
    found = [name for name in names_in(tree) if name.text.lower() not in ALIASES and name.text not in params]
    metrics = frozenset("/".join(name.parts) for name in found)
    names = Names(metrics=metrics, params=params, complete=False)
    context = Context(now=now or datetime.now(UTC), me=user_name(), zone=None)
    return both(condition(text, tree, names, context), running)


def metrics_in(condition: Condition) -> set[str]:
    """The metrics that a condition is about."""
    fields = (getattr(part, "field", None) for part in walk(condition))
    return {field.name for field in fields if isinstance(field, Metric)}


def _cut(when: str) -> tuple[str, Condition | None]:
    found = _AFTER.search(when)
    if found is None:
        return when, None
    try:
        seconds = parse_duration(found["time"])
    except ValueError as error:
        raise mistake(when, Span(found.start("time"), found.end("time")), str(error)) from error
    return when[: found.start()], Compared(field=RunField.RUNNING_TIME, op=Op.AT_LEAST, value=seconds)


def names_in(tree: Syntax) -> Iterator[Name]:
    """The names of fields, metrics and parameters in a query."""
    match tree:
        case Joined(parts=parts):
            for part in parts:
                yield from names_in(part)
        case Negation(part=part):
            yield from names_in(part)
        case Absence(name=name) | Comparison(name=name) | Membership(name=name):
            yield name
        case Alone():
            return
