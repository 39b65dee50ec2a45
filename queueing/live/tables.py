"""Tables that share the height of a page. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import JustifyMethod
from rich.table import Table
from rich.text import Text

from queueing.live.words import harmless


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


def table(columns: Sequence[Column], lines: Sequence[object], width: int, selected: int | None = None) -> Table:
    """A title and one row for each line; those columns that have a place in this width."""
    shown = [column for column in columns if width >= column.from_width]
    rows = [[_cell(column.cell(line)) for column in shown] for line in lines]
    is_wide = _natural_width(shown, rows) > width
    made = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), width=width if is_wide else None)
    made.header_style = "reverse"
    for column in shown:
        justify: JustifyMethod = "right" if column.right else "left"
        share = column.share or None if is_wide else None
        made.add_column(column.title, justify=justify, no_wrap=True, overflow="ellipsis", ratio=share)
    for number, row in enumerate(rows):
        made.add_row(*row, style="reverse" if number == selected else None)
    return made


def _cell(cell: str | Text) -> str | Text:
    """A text with a style is our own; a plain one is no markup, whatever brackets are in it."""
    return Text(harmless(cell)) if isinstance(cell, str) else cell


def _natural_width(columns: Sequence[Column], rows: Sequence[Sequence[str | Text]]) -> int:
    """What the table would take if it could."""
    titles = [column.title for column in columns]
    return sum(max(cell_len(str(cell)) for cell in cells) + 1 for cells in zip(titles, *rows, strict=True))
