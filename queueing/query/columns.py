"""Fields that are named outside a query: the columns of a table, what it is sorted by, what it is grouped by. Pure."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from queueing.query.fields import field_of
from queueing.query.mistake import mistake
from queueing.query.scanner import STAR, Scanner, Token
from queueing.query.syntax import Name
from store.directions import greater_is_better
from store.errors import BadQuery
from store.grouping import Extreme
from store.matching import values
from store.ordering import UNORDERED
from store.query import Field, Metric, Names, Order, Stat
from store.runs import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A field under the name it was asked for."""

    title: str
    field: Field

    def value(self, run: Run, now: datetime) -> Any:
        """None when the run has none, a list for what a run may have several of."""
        found = values(run, self.field, now)
        if self.field in UNORDERED:
            return found or None
        return found[0] if found else None


def columns(text: str, names: Names) -> tuple[Column, ...]:
    """`val_loss,params.lr,best.val_loss`. Raises BadQuery."""
    return tuple(Column(title=name.text, field=field_of(name, names, text)) for name in _names(text))


def order(text: str, names: Names) -> Order | None:
    """`val_loss`, or `-val_loss` for the greatest first; None for an empty text. Raises BadQuery."""
    if not text.strip():
        return None
    descending = text.strip().startswith("-")
    bare = text.strip().removeprefix("-")
    field = _single(bare, names)
    if field in UNORDERED:
        raise BadQuery(f"runs cannot be sorted by {bare}: a run may have several")
    return Order(field=field, descending=descending)


def group(text: str, names: Names) -> Field:
    """`experiment`, `state`, `params.lr`. Raises BadQuery."""
    field = _single(text, names)
    if field in UNORDERED:
        raise BadQuery(f"runs cannot be grouped by {text}: a run may have several")
    return field


def extreme(column: Column) -> Extreme:
    """What a column says of a group: the least of a metric, or its greatest where that is better. Raises BadQuery."""
    if not isinstance(column.field, Metric):
        raise BadQuery(f"{column.title}: of a group only numbers of metrics can be told, such as best.val_loss")
    stat, name = column.field.stat, column.field.name
    greatest = stat is Stat.MAX or (stat is Stat.LAST and greater_is_better(name))
    return Extreme(metric=column.field, greatest=greatest)


def _single(text: str, names: Names) -> Field:
    found = _names(text)
    if len(found) != 1:
        raise BadQuery(f"{text!r} are several fields; allowed: one, such as val_loss")
    return field_of(found[0], names, text)


def _names(text: str) -> list[Name]:
    scanner, found = Scanner(text), []
    while True:
        word = scanner.take()
        if word.token is not Token.WORD:
            raise mistake(text, word.span, "expected fields with commas between them, such as val_loss,params.lr")
        parts = tuple(part.replace(STAR, "*") for part in word.parts)
        found.append(Name(parts=parts, span=word.span))
        comma = scanner.take()
        if comma.token is Token.END:
            return found
        if comma.text != ",":
            raise mistake(text, comma.span, f"expected ',' between fields, found {comma.text!r}")
