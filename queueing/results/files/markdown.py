"""Markdown tables, as GitHub and pandoc read them."""

from collections.abc import Sequence
from typing import IO

from queueing.results.table import Kind, Table, flattened
from queueing.results.words import cell_words, is_numeric, numeral


def write_markdown(tables: Sequence[Table], file: IO[str], digits: int) -> None:
    """Numbers with so many significant digits; several tables one below the other, each under its caption."""
    number = numeral(digits)
    for position, table in enumerate(tables):
        flat = flattened(table, [Kind.MEASURED])
        file.write("\n" if position else "")
        if flat.caption:
            file.write(f"{escaped(flat.caption)}\n\n")
        file.write(_line([escaped(column.name) for column in flat.columns]))
        file.write(_line(["---:" if is_numeric(column.kind) else "---" for column in flat.columns]))
        for place, row in enumerate(flat.rows()):
            pairs = zip(flat.columns, row, strict=True)
            cells = [escaped(v) if isinstance(v, str) else cell_words(v, column.kind, number) for column, v in pairs]
            file.write(_line([f"**{c}**" if (place, i) in flat.marked else c for i, c in enumerate(cells)]))


def escaped(text: str) -> str:
    """On one line, and nothing in it means anything to Markdown."""
    for special in ("\\", "|", "*", "`", "<", "["):
        text = text.replace(special, f"\\{special}")
    return " ".join(text.split())


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |\n"
