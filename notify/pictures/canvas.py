"""Panels on one canvas, in pixels: Matplotlib draws lines and letters; axes of its own would cost 30 ms each."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from notify.pictures import paper
from notify.pictures.palette import FAINT, INK, SOFT
from notify.pictures.paper import Ends

TINY, SMALL, NORMAL = 7.8, 8.8, 9.8
_LETTER = {TINY: 5.2, SMALL: 5.9, NORMAL: 7.4}
"""About how many pixels a letter takes."""
_HALO = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A panel: its place in pixels from the upper left corner, and what its sides mean."""

    left: float
    top: float
    width: float
    height: float
    x: Ends = (0.0, 1.0, False)
    y: Ends = (0.0, 1.0, False)

    @property
    def right(self) -> float:
        """The right side."""
        return self.left + self.width

    @property
    def bottom(self) -> float:
        """The lower side."""
        return self.top + self.height

    def across(self, values: Iterable[float]) -> Any:
        """x in pixels; what lies outside is NaN."""
        return self.left + self.width * _share(values, self.x)

    def down(self, values: Iterable[float]) -> Any:
        """y in pixels; what lies outside is NaN."""
        return self.bottom - self.height * _share(values, self.y)

    def clipped(self, values: Iterable[float]) -> Any:
        """y in pixels; what lies outside lies on the edge."""
        least, most, _ = self.y
        return self.down(np.clip(paper.as_drawn(values), least, most))


class Canvas:
    """A figure in pixels from the upper left corner. What comes first lies below."""

    def __init__(self, width_px: float, height_px: float) -> None:
        from matplotlib.transforms import Affine2D

        self._made = paper.figure(width_px, height_px)
        flipped = Affine2D().scale(1 / paper.DPI, -1 / paper.DPI).translate(0, height_px / paper.DPI)
        self._pixels = flipped + self._made.dpi_scale_trans

    def png(self) -> bytes:
        """The finished picture. The canvas is empty then."""
        return paper.png(self._made)

    def vector(self, kind: str) -> bytes:
        """The finished picture as `svg` or `pdf`. The canvas is empty then."""
        return paper.vector(self._made, kind)

    def page_of(self, pages: Any) -> None:
        """One more page of Matplotlib's PdfPages. The canvas is empty then."""
        pages.savefig(self._made)
        self._made.clear()

    def lines(self, many: Sequence[tuple[Any, Any]], **style: Any) -> None:
        """All of one colour in one stroke, with gaps between them."""
        from matplotlib.lines import Line2D

        if not many:
            return
        xs = np.concatenate([np.append(x, np.nan) for x, _ in many])
        ys = np.concatenate([np.append(y, np.nan) for _, y in many])
        style = {"solid_capstyle": "round", "solid_joinstyle": "round", **style}
        dashes = style.pop("dashes", None)
        line = Line2D(xs, ys, transform=self._pixels, **style)
        if dashes is not None:
            line.set_dashes(dashes)
        self._made.add_artist(line)

    def box(self, place: Box, **style: Any) -> None:
        """The paper of a panel."""
        from matplotlib.patches import Rectangle

        corner, size = (place.left, place.top), (place.width, place.height)
        self._made.add_artist(Rectangle(corner, *size, transform=self._pixels, **style))

    def between(self, xs: Any, lower: Any, upper: Any, **style: Any) -> None:
        """The area between two lines, where both are known."""
        from matplotlib.patches import Polygon

        known = np.isfinite(xs) & np.isfinite(lower) & np.isfinite(upper)
        edges = np.flatnonzero(np.diff(np.concatenate([[False], known, [False]]).astype(int)))
        for start, stop in edges.reshape(-1, 2).tolist():
            there = np.column_stack([xs[start:stop], lower[start:stop]])
            back = np.column_stack([xs[start:stop], upper[start:stop]])[::-1]
            self._made.add_artist(Polygon(np.vstack([there, back]), transform=self._pixels, **style))

    def write(
        self, x: float, y: float, text: str, *, halo: bool = False, longest: int = 60, as_is: bool = False, **style: Any
    ) -> None:
        """Text at a place. `halo`: readable on lines. Cut after `longest` letters; `as_is`: with all its blanks."""
        from matplotlib.text import Text

        style = {"va": "center", "ha": "left", "fontsize": SMALL, "color": SOFT, "zorder": 10, **style}
        drawn = Text(
            x, y, text if as_is else paper.plain(text, longest), transform=self._pixels, parse_math=False, **style
        )
        if halo:
            from matplotlib.patheffects import withStroke

            drawn.set_path_effects([withStroke(linewidth=_HALO, foreground="white")])
        self._made.add_artist(drawn)


def frame(on: Canvas, place: Box, *, x_label: str = "", with_x: bool = True) -> None:
    """Lines at round values, with the numbers beside them; the x axis with its numbers."""
    for value in ticks(place.y, place.height / 30):
        y = float(place.down([value])[0])
        on.lines([([place.left, place.right], [y, y])], color=FAINT, linewidth=0.8, zorder=1)
        on.write(place.left - 6, y, f"{value:.4g}", ha="right")
    on.lines([([place.left, place.right], [place.bottom] * 2)], color=SOFT, linewidth=0.9, zorder=1)
    for value in ticks(place.x, place.width / 75) if with_x else ():
        x = float(place.across([value])[0])
        on.lines([([x, x], [place.bottom, place.bottom + 4])], color=SOFT, linewidth=0.9, zorder=1)
        on.write(x, place.bottom + 13, paper.short_number(value), ha="center")
    if x_label:
        on.write((place.left + place.right) / 2, place.bottom + 29, x_label, ha="center")


def heading(
    on: Canvas, x: float, y: float, title: str, entries: Iterable[tuple[str, dict[str, Any]]], right: float
) -> None:
    """A title, and beside it samples of lines with their names; what does not fit is not named."""
    title = paper.plain(title, 40)
    on.write(x, y, title, fontsize=NORMAL, color=INK, weight="bold")
    x += _LETTER[NORMAL] * len(title) + 20
    for text, style in entries:
        text = paper.plain(text, 40)
        needed = 22 + _LETTER[SMALL] * len(text) + 14
        if x + needed - 14 > right:
            return
        on.lines([([x, x + 16], [y, y])], zorder=9, **style)
        on.write(x + 22, y, text)
        x += needed


def ticks(ends: Ends, most: float = 3) -> list[float]:
    """Round values between the ends, about so many at most."""
    least, greatest, is_log = ends
    return _log_ticks(least, greatest, most) if is_log else _ticks(least, greatest, max(most, 2))


def whole_ends(values: Iterable[float]) -> Ends:
    """From the least to the greatest, without an edge."""
    known = paper.finite(values)
    if not len(known):
        return 0.0, 1.0, False
    least, most = float(known.min()), float(known.max())
    return (least, most, False) if most > least else (least - 0.5, most + 0.5, False)


def _log_ticks(least: float, greatest: float, most: float) -> list[float]:
    low, high = math.ceil(math.log10(least) - 1e-9), math.floor(math.log10(greatest) + 1e-9)
    powers = list(range(low, high + 1))
    if len(powers) > most:
        powers = powers[:: -(-len(powers) // max(1, int(most)))]
    if len(powers) * 3 <= most:
        return [t * 10.0**p for p in range(low - 1, high + 1) for t in (1, 2, 5) if least <= t * 10.0**p <= greatest]
    return [10.0**power for power in powers]


def _ticks(least: float, greatest: float, most: float) -> list[float]:
    room = greatest - least
    if not room > 0 or not math.isfinite(room):
        return []
    unit = 10.0 ** math.floor(math.log10(room / most))
    width = next((unit * times for times in (1, 2, 2.5, 5, 10) if room / (unit * times) <= most), unit * 10)
    first = math.ceil(least / width - 1e-9)
    found = [(first + place) * width for place in range(int(most) + 2)]
    return [value for value in found if value <= greatest + 1e-9 * room]


def _share(values: Iterable[float], ends: Ends) -> Any:
    least, most, is_log = ends
    found = paper.as_drawn(values)
    with np.errstate(all="ignore"):
        if is_log:
            found = np.log(np.where(found > 0, found, np.nan))
            least, most = math.log(least), math.log(most)
        shares = (found - least) / ((most - least) or 1.0)
        shares[(shares < -0.001) | (shares > 1.001)] = np.nan
    return shares
