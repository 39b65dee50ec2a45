"""Tables on the terminal: as much as fits, and what was left out is said."""

from collections.abc import Sequence
from itertools import islice

from queueing.results.record import How
from queueing.results.table import PARTS, Column, Kind, Table
from queueing.results.words import cell_words, id_words, is_numeric, numeral

MOST_SHOWN = 200
_GAP = 2
_HEADS = {Kind.MEASURED: "{}: best → last", Kind.MEAN: "{}: mean ± ci", Kind.MEDIAN: "{}: median [quartiles]"}
_FIRST_TO_GO = ("attempts", "seed", "reason", "duration_s", "repeat")


def print_tables(tables: Sequence[Table], digits: int, *, fit: bool) -> None:
    """Each above its caption; of a long one the first rows. With `fit`, columns that find no place are left out."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    for position, table in enumerate(tables):
        if position:
            console.print()
        heads = [_head(column, table) for column in table.columns]
        cells = _cells(table, digits)
        shown = fitting(table.columns, [heads, *cells], console.width) if fit and not table.pivot else range(len(heads))
        _print(console, table, heads, cells, shown)
        if table.size > MOST_SHOWN:
            console.print(f"… and {table.size - MOST_SHOWN} more: --best N, or all into a file: -o results.csv")
        console.print(Text(table.caption))
        if left := [column.name for i, column in enumerate(table.columns) if i not in shown]:
            console.print(Text(f"also: {', '.join(left)} (--columns, -o results.csv)"))


def fitting(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> list[int]:
    """Which columns have room: the last metrics go first, then what says least."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(columns))]
    shown = list(range(len(columns)))
    figures = [i for i in shown if columns[i].kind in PARTS or columns[i].name.startswith(How.AT_BEST)]
    go = figures[:0:-1] + [i for name in _FIRST_TO_GO for i in shown if columns[i].name == name]
    while go and sum(widths[i] + _GAP for i in shown) - _GAP > width:
        shown.remove(go.pop(0))
    return shown


def _head(column: Column, table: Table) -> str:
    return column.name if table.pivot else _HEADS.get(column.kind, "{}").format(column.name)


def _cells(table: Table, digits: int) -> list[list[str]]:
    number = numeral(digits)
    return [
        [cell_words(id_words(c.name, value), c.kind, number) for c, value in zip(table.columns, row, strict=True)]
        for row in islice(table.rows(), MOST_SHOWN)
    ]


def _print(console: object, table: Table, heads: list[str], cells: list[list[str]], shown: Sequence[int]) -> None:
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    assert isinstance(console, Console)
    rich = RichTable(box=None, pad_edge=False)
    for i in shown:
        rich.add_column(Text(heads[i]), justify="right" if is_numeric(table.columns[i].kind) else "left")
    for place, row in enumerate(cells):
        rich.add_row(*(Text(row[i], style="bold" if (place, i) in table.marked else "") for i in shown))
    console.print(rich)
