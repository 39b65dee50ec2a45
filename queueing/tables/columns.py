"""The header of a table, and what kind of values each column holds."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from queueing.space.names import clash
from queueing.tables.cells import Kind, Trouble, kind_of

SPECIAL = ("enabled", "priority", "tags")
REMARK = "#"
MOST_COLUMNS = 500
_KEPT = 21
_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_COMMA = re.compile(r"[+-]?[0-9]+,[0-9]+(?:[eE][+-]?[0-9]+)?")
_YES = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A named column; `position` counts from 0."""

    name: str
    position: int


def read_header(cells: Sequence[Any], reserved: Sequence[str]) -> tuple[list[Column], list[tuple[int, str]]]:
    """The columns, remarks left out, and (position, what is wrong)."""
    columns: list[Column] = []
    wrong: list[tuple[int, str]] = []
    for position, cell in enumerate(cells):
        name = "" if cell is None else str(cell).strip()
        if not name or name.startswith(REMARK):
            continue
        if isinstance(cell, Trouble):
            wrong.append((position, cell.said))
        elif said := _wrong_name(name, [column.name for column in columns], reserved):
            wrong.append((position, said))
        else:
            columns.append(Column(name=name, position=position))
    if len(columns) > MOST_COLUMNS:
        wrong.append((MOST_COLUMNS, f"is one column too many; allowed: {MOST_COLUMNS}"))
    if not wrong and all(column.name in SPECIAL for column in columns):
        wrong.append((0, "the first row names no parameter; it must hold their names"))
    return columns, wrong


def _wrong_name(name: str, others: Sequence[str], reserved: Sequence[str]) -> str:
    if not all(part.isidentifier() for part in name.split(".")):
        return (
            f"{name[:60]!r} is no parameter name; allowed: letters, digits and _, no digit in front; # begins a remark"
        )
    if name in others:
        return f"a second column is named {name!r}"
    if name.split(".")[0] in reserved:
        return f"the name {name!r} is reserved"
    if (other := clash(name, others)) is not None:
        return f"{name!r} cannot stand beside {other!r}: one would lie in the other"
    return ""


@dataclass(slots=True)
class Census:
    """How many cells of a column are of which kind, and where the first of each stand (their rows)."""

    counts: Counter[Kind] = field(default_factory=Counter)
    first: dict[Kind, list[tuple[int, Any]]] = field(default_factory=dict)

    def add(self, value: Any, row: int) -> None:
        """One more cell that is not empty."""
        kind = kind_of(value)
        self.counts[kind] += 1
        kept = self.first.setdefault(kind, [])
        if len(kept) < _KEPT:
            kept.append((row, value))

    def kind(self) -> Kind:
        """That of at least half the cells; in doubt numbers, then true and false."""
        order = [Kind.NUMBER, Kind.BOOL, Kind.TEXT]
        return max(order, key=lambda kind: (self.counts[kind], -order.index(kind)))

    def strangers(self, kind: Kind) -> list[tuple[int, Any]]:
        """(row, value) of cells that do not fit; a column of texts takes all, each as it is written."""
        if kind in (Kind.TEXT, Kind.ANY):
            return []
        return sorted(one for other, found in self.first.items() if other is not kind for one in found)

    def with_comma(self) -> list[tuple[int, Any]]:
        """(row, text) of numbers as some countries write them: no guess is safe, so nobody makes one."""
        return [one for one in self.first.get(Kind.TEXT, []) if _COMMA.fullmatch(one[1])]


WORDS: Mapping[Kind, str] = {Kind.NUMBER: "a number", Kind.BOOL: "true or false"}


# ── what the special columns say ──
def enabled(value: Any) -> bool:
    """Empty means true. Raises ValueError."""
    if value is None or isinstance(value, bool):
        return value is not False
    try:
        return _YES[str(value).lower()]
    except KeyError:
        raise ValueError(f"{value!r} is not true or false") from None


def priority(value: Any) -> int | None:
    """Raises ValueError."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value) or abs(value) > 1_000_000:
        raise ValueError(f"{value!r} is no whole number from -1000000 to 1000000")
    return int(value)


def tags(value: Any) -> tuple[str, ...]:
    """Separated by commas or blanks. Raises ValueError."""
    words = [] if value is None else re.split(r"[\s,;]+", str(value).strip())
    if bad := [word for word in words if not _TAG.fullmatch(word)]:
        raise ValueError(f"{bad[0][:60]!r} is no tag; allowed: letters, digits, '.', '_' and '-'")
    return tuple(dict.fromkeys(words))
