"""Tables that share the height of a page. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.text import Text

from queueing.live.words import harmless

_LEAST = 3
"""Columns are not made narrower than this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """`from_width`: shown on terminals that are at least so wide. `share`: it may shrink, and takes what is left."""

    title: str
    cell: Callable[..., str | Text]
    from_width: int = 0
    right: bool = False
    share: int = 0


def allot(wanted: Sequence[int], weights: Sequence[int], height: int) -> list[int]:
    """How many rows each gets: a title and one line first, then by weight, none more than it wants."""
    rows = [0] * len(wanted)
    left = height
    for i, want in enumerate(wanted):
        rows[i] = min(2, want) if left >= 2 else 0
        left -= rows[i]
    while left > 0 and (hungry := [i for i, want in enumerate(wanted) if 0 < rows[i] < want]):
        i = min(hungry, key=lambda one: (rows[one] / weights[one], one))
        rows[i] += 1
        left -= 1
    return rows


def table(columns: Sequence[Column], lines: Sequence[object], width: int, selected: int | None = None) -> list[Text]:
    """A title and one row for each line; those columns that have a place in this width.

    rich's own table takes 40 ms for 25 rows, as it asks each cell anew how wide it is; this one takes three.
    """
    shown = [column for column in columns if width >= column.from_width]
    rows = [[_cell(column.cell(line)) for column in shown] for line in lines]
    titles = [Text(column.title) for column in shown]
    widths = _widths(shown, [titles, *rows], width)
    made = [_row(row, shown, widths, width) for row in [titles, *rows]]
    made[0].stylize("reverse")
    if selected is not None and 0 <= selected < len(rows):
        made[selected + 1].stylize("reverse")
    return made


def _cell(cell: str | Text) -> Text:
    """A text with a style is our own; a plain one is no markup, whatever brackets are in it."""
    return Text(harmless(cell)) if isinstance(cell, str) else cell


def _row(cells: Sequence[Text], columns: Sequence[Column], widths: Sequence[int], width: int) -> Text:
    row = Text(no_wrap=True)
    for cell, column, room in zip(cells, columns, widths, strict=True):
        row.append_text(_fitted(cell, room, right=column.right)).append(" ")
    row.truncate(width)
    return row


def _fitted(cell: Text, room: int, *, right: bool) -> Text:
    left = room - cell.cell_len
    if left < 0:
        cell.truncate(room, overflow="ellipsis")
        left = room - cell.cell_len
    return Text(" " * left) + cell if right else cell + Text(" " * left)


def _widths(columns: Sequence[Column], rows: Sequence[Sequence[Text]], width: int) -> list[int]:
    """What each column takes; where that is too much, those that may shrink have what the others leave."""
    natural = [max(row[at].cell_len for row in rows) for at in range(len(columns))]
    over = sum(natural) + len(natural) - width
    shrinking = [at for at, column in enumerate(columns) if column.share]
    while (
        over > 0
        and (widest := max(shrinking, key=lambda at: natural[at] / columns[at].share, default=None)) is not None
    ):
        if natural[widest] <= _LEAST:
            break
        natural[widest] -= 1
        over -= 1
    return natural
