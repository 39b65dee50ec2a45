"""Runs in the order of a field: pure, and the same as `store.mongo.ordered_pages`.

Numbers, then times, texts, true and false; NaN after them; last, in both directions, those without a value, for which a
list or a table counts too. Runs with the same value come newest first.
"""

import math
from collections.abc import Iterable
from datetime import datetime
from enum import IntEnum
from typing import Any

from store.matching import values
from store.query import KINDS, Field, Kind, Metric, Order, Param, RunField
from store.runs import Run


class Section(IntEnum):
    """What of an ordered list comes first, whatever the direction."""

    NUMBERS = 0
    TIMES = 1
    TEXTS = 2
    FLAGS = 3
    NAN = 4
    REST = 5


UNORDERED = frozenset({RunField.TAG, RunField.FINDING, RunField.HOST, RunField.WORKER, RunField.COMMAND})
"""A run has several of them: there is no order by them."""

AFTER_OR_SKIP = "in the order of a field a page begins after a run or at an offset, not both"

_SECTIONS: dict[Kind, tuple[Section, ...]] = {
    Kind.TIME: (Section.TIMES, Section.REST),
    Kind.FLAG: (Section.FLAGS, Section.REST),
    **dict.fromkeys((Kind.ID, Kind.TEXT, Kind.STATE, Kind.REASON, Kind.FINDING), (Section.TEXTS, Section.REST)),
    **dict.fromkeys((Kind.NUMBER, Kind.SIZE, Kind.DURATION), (Section.NUMBERS, Section.NAN, Section.REST)),
}


def sections(field: Field) -> tuple[Section, ...]:
    """Those that a field can have."""
    if isinstance(field, Param):
        return tuple(Section)
    return _SECTIONS[Kind.NUMBER if isinstance(field, Metric) else KINDS.get(field, Kind.TEXT)]


def placed(run: Run, field: Field, now: datetime) -> tuple[Section, Any]:
    """The section a run belongs to, and its value there (None where the section has only one)."""
    if isinstance(field, Param) and is_in_list(run.params, field.path):
        return Section.REST, None
    found = values(run, field, now)
    value = found[0] if found else None
    if isinstance(value, bool):
        return Section.FLAGS, value
    if isinstance(value, int | float):
        return (Section.NAN, None) if math.isnan(value) else (Section.NUMBERS, value)
    if isinstance(value, datetime):
        return Section.TIMES, value
    return (Section.TEXTS, value) if isinstance(value, str) else (Section.REST, None)


def ordered(runs: Iterable[Run], order: Order, now: datetime) -> list[Run]:
    """All of them, in order."""
    newest_first = sorted(runs, key=age, reverse=True)
    by_section: dict[Section, list[tuple[Any, Run]]] = {section: [] for section in Section}
    for run in newest_first:
        section, value = placed(run, order.field, now)
        by_section[section].append((value, run))
    found: list[Run] = []
    for section, members in by_section.items():
        if section not in (Section.NAN, Section.REST):
            # Sorting keeps the order of equal values, in reverse too.
            members.sort(key=lambda pair: pair[0], reverse=order.descending)
        found += [run for _, run in members]
    return found


def age(run: Run) -> tuple[datetime, int, str]:
    """By this, oldest first, no two runs are equal."""
    return run.queued_at, run.index, run.id


def is_in_list(params: Any, path: tuple[str, ...]) -> bool:
    """Whether a list lies at the path or on the way."""
    for part in path:
        params = params.get(part) if isinstance(params, dict) else None
        if isinstance(params, list | tuple):
            return True
    return False
