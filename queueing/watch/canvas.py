"""Lines as braille dots, two by four in a cell. Pure.

plotext draws the same, but takes 0.1 s for 25 curves of 200 points, point by point; a page that is drawn with every
key needs a hundredth of that.
"""

from collections.abc import Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray
from rich.text import Text

from queueing.watch.curves import Numbers

ACROSS, DOWN = 2, 4
_BLANK = 0x2800
_BITS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])


class Canvas:
    """`width` by `height` cells. Coordinates are 0 to 1, from left to right and from the bottom up."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self._bits: NDArray[np.int64] = np.zeros((height, width), dtype=np.int64)
        self._styles: NDArray[np.int64] = np.full((height, width), -1)
        self._marks: dict[tuple[int, int], tuple[str, str]] = {}
        self._known: list[str] = []

    def line(self, x: Numbers, y: Numbers, style: str) -> None:
        """A line through these points; one with NaN interrupts it, one outside is cut off at the edge."""
        columns = self.width * ACROSS
        low, high = np.full(columns, np.nan), np.full(columns, np.nan)
        known = np.isfinite(x) & np.isfinite(y)
        for start, end in _pieces(known):
            _span(x[start:end] * (columns - 1), np.clip(y[start:end], 0.0, 1.0), low, high)
        self._fill(low, high, style)

    def area(self, low: Numbers, high: Numbers, style: str) -> None:
        """Between these two, one value for each column of dots: every other dot, so that lines stand out."""
        self._fill(np.clip(low, 0.0, 1.0), np.clip(high, 0.0, 1.0), style, every=2)

    def mark(self, x: float, y: float, mark: str, style: str) -> None:
        """A letter in the cell of this place."""
        column = min(self.width - 1, max(0, int(x * self.width)))
        row = min(self.height - 1, max(0, int((1.0 - min(max(y, 0.0), 1.0)) * self.height)))
        self._marks[row, column] = (mark, style)

    def lines(self) -> list[Text]:
        """From top to bottom."""
        return [self._row(row) for row in range(self.height)]

    def _fill(self, low: Numbers, high: Numbers, style: str, every: int = 1) -> None:
        rows = self.height * DOWN
        known = np.isfinite(low) & np.isfinite(high)
        if not known.any():
            return
        first = np.where(known, np.rint((1.0 - high) * (rows - 1)), rows)
        last = np.where(known, np.rint((1.0 - low) * (rows - 1)), -1)
        row = np.arange(rows)[:, None]
        dots = (row >= first) & (row <= last)
        if every > 1:
            dots &= (row + np.arange(len(low))) % every == 0
        cells = dots.reshape(self.height, DOWN, self.width, ACROSS).transpose(0, 2, 1, 3)
        bits = (cells * _BITS).sum(axis=(2, 3))
        self._bits |= bits
        self._styles[bits > 0] = self._number(style)

    def _number(self, style: str) -> int:
        if style not in self._known:
            self._known.append(style)
        return self._known.index(style)

    def _row(self, row: int) -> Text:
        text = Text(no_wrap=True)
        cells = [self._cell(row, column) for column in range(self.width)]
        for style, some in groupby(cells, key=lambda cell: cell[1]):
            text.append("".join(character for character, _ in some), style or None)
        return text

    def _cell(self, row: int, column: int) -> tuple[str, str]:
        if (row, column) in self._marks:
            return self._marks[row, column]
        bits, style = int(self._bits[row, column]), int(self._styles[row, column])
        return (chr(_BLANK + bits), self._known[style]) if bits else (" ", "")


def _pieces(known: NDArray[np.bool_]) -> Sequence[tuple[int, int]]:
    """Where it begins to be known and where it ends."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], known, [False]]).astype(np.int8)))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]


def _span(at: Numbers, y: Numbers, low: Numbers, high: Numbers) -> None:
    """What the line through these points covers of each column: its own points, and the way to the next column."""
    order = np.argsort(at, kind="stable")
    at, y = at[order], y[order]
    inside = (at >= -0.5) & (at <= len(low) - 0.5)
    column = np.clip(np.rint(at[inside]), 0, len(low) - 1).astype(np.intp)
    np.fmin.at(low, column, y[inside])
    np.fmax.at(high, column, y[inside])
    edges: Numbers = np.interp(np.arange(len(low) + 1) - 0.5, at, y, left=np.nan, right=np.nan)
    for edge in (edges[:-1], edges[1:]):
        np.fmin(low, edge, out=low)
        np.fmax(high, edge, out=high)
