"""What a picture shows, before anybody draws it: plain data. NaN is a gap in a line."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ticks = tuple[tuple[float, str], ...]
NONE: Floats = np.empty(0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stroke:
    """A line. `bad`: the x of values that are not finite. `raw`: what lies behind a smoothed line. `dots`: no line."""

    xs: Floats
    ys: Floats
    colour: str
    name: str = ""
    bad: Floats = field(default_factory=lambda: NONE)
    width: float = 1.5
    dashed: bool = False
    raw: bool = False
    dots: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Area:
    """The area between two lines."""

    xs: Floats
    low: Floats
    high: Floats
    colour: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """`log` None: as the values want it. `ticks`: in place of numbers. `ends`: least, most."""

    label: str = ""
    log: bool | None = False
    ticks: Ticks = ()
    ends: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Panel:
    """Lines and dots over one pair of axes. `corner`: the number in its corner; `best`: the best of all panels."""

    title: str = ""
    x: Axis = field(default_factory=Axis)
    y: Axis = field(default_factory=Axis)
    strokes: tuple[Stroke, ...] = ()
    areas: tuple[Area, ...] = ()
    corner: float | None = None
    best: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Heat:
    """A number for each pair of values. NaN: there is none. `greatest`: more is better; None: dark is much."""

    title: str = ""
    x_label: str
    y_label: str
    columns: tuple[str, ...]
    rows: tuple[str, ...]
    values: Floats  # (rows, columns)
    shades: Floats | None = None  # (rows, columns), 0 … 1, where not the values decide
    greatest: bool | None = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar; the thin line reaches from `low` to `high`."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """Lying bars."""

    title: str = ""
    label: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Thread:
    """One run in parallel coordinates: where it crosses each axis, 0 … 1; NaN: it has no such value."""

    name: str
    places: tuple[float, ...]
    colour: str
    width: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Parallel:
    """Axes side by side, each with its name and its ticks at 0 … 1."""

    title: str = ""
    axes: tuple[tuple[str, Ticks], ...]
    threads: tuple[Thread, ...]


Piece = Panel | Heat | Bars | Parallel


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A line of the legend. `thick`: an area."""

    text: str
    colour: str
    dashed: bool = False
    thick: bool = False
    dot: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Picture:
    """Pieces in rows. `shared`: panels have the same axes, whose numbers stand at the edges alone, and `row_labels`,
    `column_labels`, `row_name`, `column_name` tell what they are of. `notes`: what is missing, what a band is.
    """

    title: str
    rows: tuple[tuple[Piece | None, ...], ...]
    entries: tuple[Entry, ...] = ()
    shared: bool = False
    row_name: str = ""
    column_name: str = ""
    row_labels: tuple[str, ...] = ()
    column_labels: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def pieces(self) -> list[Piece]:
        """Row by row."""
        return [piece for row in self.rows for piece in row if piece is not None]


def array(values: Any) -> Floats:
    """As floats."""
    return np.asarray(values, dtype=np.float64)
