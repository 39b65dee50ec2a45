"""Many small panels on one canvas: one axes in pixels for all, since axes of Matplotlib's own cost 5 ms each."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from notify.pictures import paper

Ends = tuple[float, float, bool]


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


def canvas(made: Any) -> Any:
    """Axes over the whole figure, in pixels from the upper left corner."""
    width, height = made.get_size_inches() * 100
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
    axis.plot(xs, ys, solid_capstyle="round", solid_joinstyle="round", **style)


def box(axis: Any, place: Box, **style: Any) -> None:
    """Its paper."""
    from matplotlib.patches import Rectangle

    axis.add_patch(Rectangle((place.left, place.top), place.width, place.height, **style))


def write(axis: Any, x: float, y: float, text: str, **style: Any) -> None:
    """Text at a place."""
    axis.text(x, y, paper.plain(text), parse_math=False, va="center", **style)


def ticks(ends: Ends) -> list[float]:
    """Two or three round values between the ends."""
    least, most, is_log = ends
    if is_log:
        powers = [10.0**p for p in range(math.ceil(math.log10(least)), math.floor(math.log10(most)) + 1)]
        return powers if len(powers) <= 3 else [powers[0], powers[len(powers) // 2], powers[-1]]
    room = most - least
    if not room > 0 or not math.isfinite(room):
        return []
    unit = 10.0 ** math.floor(math.log10(room / 2))
    width = next(unit * times for times in (1, 2, 5, 10) if room / (unit * times) <= 3)
    first = math.ceil(least / width)
    return [(first + place) * width for place in range(4) if (first + place) * width <= most]


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
