"""Panels on one canvas: one axes in pixels for all of them, for each axes of Matplotlib's own costs 30 ms."""

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


def canvas(made: Any) -> Any:
    """Axes over the whole figure, in pixels from the upper left corner."""
    width, height = made.get_size_inches() * paper.DPI
    axis = made.add_axes((0, 0, 1, 1))
    axis.set_xlim(0, width)
    axis.set_ylim(height, 0)
    axis.axis("off")
    return axis


def lines(axis: Any, many: Sequence[tuple[Any, Any]], **style: Any) -> None:
    """All of one colour in one stroke, with gaps between them."""
    if not many:
        return
    xs = np.concatenate([np.append(x, np.nan) for x, _ in many])
    ys = np.concatenate([np.append(y, np.nan) for _, y in many])
    axis.plot(xs, ys, **{"solid_capstyle": "round", "solid_joinstyle": "round", **style})


def box(axis: Any, place: Box, **style: Any) -> None:
    """Its paper."""
    from matplotlib.patches import Rectangle

    axis.add_patch(Rectangle((place.left, place.top), place.width, place.height, **style))


def write(axis: Any, x: float, y: float, text: str, *, halo: bool = False, **style: Any) -> None:
    """Text at a place. `halo`: readable on lines."""
    style = {"va": "center", "ha": "left", "fontsize": SMALL, "color": SOFT, "zorder": 10, **style}
    drawn = axis.text(x, y, paper.plain(text), parse_math=False, **style)
    if halo:
        from matplotlib.patheffects import withStroke

        drawn.set_path_effects([withStroke(linewidth=_HALO, foreground="white")])


def frame(axis: Any, place: Box, *, x_label: str = "", with_x: bool = True) -> None:
    """Lines at round values, with the numbers beside them; the x axis with its numbers."""
    for value in ticks(place.y, place.height / 30):
        y = float(place.down([value])[0])
        lines(axis, [([place.left, place.right], [y, y])], color=FAINT, linewidth=0.8, zorder=1)
        write(axis, place.left - 6, y, f"{value:.4g}", ha="right")
    lines(axis, [([place.left, place.right], [place.bottom] * 2)], color=SOFT, linewidth=0.9, zorder=1)
    for value in ticks(place.x, place.width / 75) if with_x else ():
        x = float(place.across([value])[0])
        lines(axis, [([x, x], [place.bottom, place.bottom + 4])], color=SOFT, linewidth=0.9, zorder=1)
        write(axis, x, place.bottom + 13, paper.short_number(value), ha="center")
    if x_label:
        write(axis, (place.left + place.right) / 2, place.bottom + 29, x_label, ha="center")


def heading(
    axis: Any, x: float, y: float, title: str, entries: Iterable[tuple[str, dict[str, Any]]], right: float
) -> None:
    """A title, and beside it samples of lines with their names; what does not fit is not named."""
    title = paper.plain(title, 40)
    write(axis, x, y, title, fontsize=NORMAL, color=INK, weight="bold")
    x += _LETTER[NORMAL] * len(title) + 20
    for text, style in entries:
        text = paper.plain(text, 40)
        needed = 22 + _LETTER[SMALL] * len(text) + 14
        if x + needed - 14 > right:
            return
        lines(axis, [([x, x + 16], [y, y])], zorder=9, **style)
        write(axis, x + 22, y, text)
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
