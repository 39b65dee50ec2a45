"""Facts, tables and sentences as lines of text, for a terminal mail reader. Pure."""

import textwrap
import unicodedata
from collections.abc import Collection, Sequence

_GAP = 2
_LEAST_COLUMN = 8


def sentence_lines(text: str, width: int, indent: str = "", first: str | None = None) -> str:
    """Wrapped at blanks; what has none, such as a path, is left whole."""
    lines = textwrap.wrap(
        text, width, initial_indent=indent if first is None else first, subsequent_indent=indent,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
    return "\n".join(lines)


def facts_lines(rows: Sequence[tuple[str, str]], width: int, *, wrap: bool = True) -> str:
    """Names in one column, what they are in the other. Commands are not wrapped: they are to be copied."""
    left = max((wide(name) for name, _ in rows), default=0) + _GAP
    lines = []
    for name, text in rows:
        head = "  " + padded(name, left)
        room = max(width - left - 2, 20)
        parts = textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False) if wrap else [text]
        lines += [
            f"{head}{part}" if place == 0 else " " * (left + 2) + part for place, part in enumerate(parts or [""])
        ]
    return "\n".join(line.rstrip() for line in lines)


def table_lines(head: Sequence[str], rows: Sequence[Sequence[str]], width: int, numeric: Collection[int] = ()) -> str:
    """Columns as wide as needed; where that is too much, the widest are wrapped."""
    many = [list(head), *(list(row) for row in rows)]
    widths = _fitting([max(wide(row[place]) for row in many) for place in range(len(head))], width - 2)
    lines = []
    for number, row in enumerate(many):
        lines += _row_lines(row, widths, numeric)
        if number == 0:
            lines.append("  ".join("-" * one for one in widths))
    return "\n".join(f"  {line}".rstrip() for line in lines)


def wide(text: str) -> int:
    """How many columns of a terminal it takes."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def padded(text: str, width: int, *, right: bool = False) -> str:
    """With blanks up to that width."""
    blanks = " " * max(0, width - wide(text))
    return blanks + text if right else text + blanks


def _row_lines(row: Sequence[str], widths: Sequence[int], numeric: Collection[int]) -> list[str]:
    cells = [_broken(text, width) for text, width in zip(row, widths, strict=True)]
    return [
        (" " * _GAP).join(
            padded(cell[line] if line < len(cell) else "", width, right=place in numeric)
            for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        for line in range(max(map(len, cells)))
    ]


def _broken(text: str, width: int) -> list[str]:
    """Lines of a cell, anywhere if need be. Letters of other scripts may take two columns, or none."""
    lines = textwrap.wrap(text, width, break_on_hyphens=False) or [""]
    return [part for line in lines for part in (_cut(line, width) if wide(line) > width else [line])]


def _cut(line: str, width: int) -> list[str]:
    parts = [""]
    for letter in line:
        if wide(parts[-1] + letter) > width and parts[-1]:
            parts.append("")
        parts[-1] += letter
    return parts


def _fitting(widths: list[int], room: int) -> list[int]:
    """The widest column gives way first, down to a least width."""
    found = [max(one, 1) for one in widths]
    while sum(found) + _GAP * (len(found) - 1) > room and max(found) > _LEAST_COLUMN:
        found[found.index(max(found))] -= 1
    return found
