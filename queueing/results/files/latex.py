"""LaTeX: `tabular` with the rules of booktabs, to be taken in by `\\input`."""

import math
import re
from collections.abc import Sequence
from typing import IO, Any

from queueing.results.table import Column, Kind, Table, flattened
from queueing.results.words import Numeral, cell_words, is_numeric, numeral

_SPECIAL = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
    "±": r"$\pm$", "–": "--", "→": r"$\rightarrow$", '"': "''",
}  # fmt: skip
_POWER = re.compile(r"(-?[0-9.]+)e([+-]?[0-9]+)")


def write_latex(tables: Sequence[Table], file: IO[str], digits: int) -> None:
    """Numbers with so many significant digits, powers of ten as such; the caption is a comment."""
    number = latex_numeral(numeral(digits))
    file.write("% \\usepackage{booktabs}\n")
    for table in tables:
        flat = flattened(table, [Kind.MEASURED])
        file.write(f"% {' '.join(flat.caption.split())}\n" if flat.caption else "")
        sides = "".join("r" if is_numeric(column.kind) else "l" for column in flat.columns)
        file.write(f"\\begin{{tabular}}{{{sides}}}\n\\toprule\n")
        file.write(_line([_head(column, number, pivot=flat.pivot) for column in flat.columns]) + "\\midrule\n")
        for place, row in enumerate(flat.rows()):
            cells = [_cell(value, column, number) for column, value in zip(flat.columns, row, strict=True)]
            file.write(_line([f"\\textbf{{{c}}}" if (place, i) in flat.marked else c for i, c in enumerate(cells)]))
        file.write("\\bottomrule\n\\end{tabular}\n")


def escaped(text: str) -> str:
    """On one line, and every character means itself."""
    return "".join(_SPECIAL.get(character, character) for character in " ".join(text.split()))


def latex_numeral(plain: Numeral) -> Numeral:
    """`0.1789`, `$2.5\\times10^{-5}$`, `$-3$`, `$\\infty$`, `NaN`."""

    def written(value: float) -> str:
        if math.isnan(value):
            return "NaN"
        if math.isinf(value):
            return r"$\infty$" if value > 0 else r"$-\infty$"
        text = plain(value)
        if found := _POWER.fullmatch(text):
            times = {"1": "", "-1": "-"}.get(found[1], rf"{found[1]}\times")
            return f"${times}10^{{{int(found[2])}}}$"
        return f"${text}$" if text.startswith("-") else text

    return written


def _head(column: Column, number: Numeral, *, pivot: bool) -> str:
    """The head of a column of a pivot is a value."""
    try:
        return number(float(column.name)) if pivot else escaped(column.name)
    except ValueError:
        return escaped(column.name)


def _cell(value: Any, column: Column, number: Numeral) -> str:
    if isinstance(value, str):
        return escaped(value)
    if isinstance(value, int) and not isinstance(value, bool) and value < 0:
        return f"${value}$"
    return cell_words(value, column.kind, number).replace("–", "--").replace("±", r"$\pm$")


def _line(cells: Sequence[str]) -> str:
    return f"{' & '.join(cells)} \\\\\n"
