"""Figures, axes and files: everything about Matplotlib that is the same for every picture."""

import io
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from notify.pictures.palette import FAINT, INK, PAPER, SOFT

WIDTH_PX = 600
"""As the message shows it; drawn SCALE times as fine, for dense screens."""
SCALE = 2
_DPI = 100
SMALL, NORMAL = 8.5, 9.5
_FAR_APART = 50.0
_MARGIN = 0.06


def figure(width_px: int, height_px: int) -> Any:
    """An empty figure, `SCALE * width_px` pixels wide in the end."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    made = Figure(figsize=(width_px / _DPI, height_px / _DPI), dpi=_DPI * SCALE, facecolor=PAPER)
    FigureCanvasAgg(made)
    return made


def png(made: Any) -> bytes:
    """The finished picture. The figure is emptied: Matplotlib's cycles would keep its memory for a while."""
    buffer = io.BytesIO()
    made.savefig(buffer, format="png", metadata={"Software": "labq"}, pil_kwargs={"compress_level": 4})
    made.clear()
    return buffer.getvalue()


def axes(made: Any, left_px: float, top_px: float, width_px: float, height_px: float) -> Any:
    """Axes at a place in pixels from the upper left corner."""
    whole_width, whole_height = made.get_size_inches() * _DPI
    box = (
        left_px / whole_width,
        1 - (top_px + height_px) / whole_height,
        width_px / whole_width,
        height_px / whole_height,
    )
    axis = made.add_axes(box)
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)
    axis.spines["bottom"].set_color(SOFT)
    axis.tick_params(labelsize=SMALL, labelcolor=SOFT, color=SOFT, length=3, width=0.8)
    axis.tick_params(axis="y", length=0)
    axis.grid(axis="y", color=FAINT, linewidth=0.8)
    axis.set_axisbelow(True)
    return axis


def words(made: Any, left_px: float, top_px: float, text: str, **style: Any) -> Any:
    """Text at a place in pixels from the upper left corner."""
    width, height = made.get_size_inches() * _DPI
    style = {"fontsize": NORMAL, "color": INK, "ha": "left", "va": "center", "parse_math": False, **style}
    return made.text(left_px / width, 1 - top_px / height, plain(text), **style)


def legend(made: Any, left_px: float, top_px: float, entries: Iterable[tuple[str, dict[str, Any]]], right_px: float) -> None:  # fmt: skip
    """Samples of lines with their names, side by side; what does not fit is not named."""
    from matplotlib.lines import Line2D

    width, height = made.get_size_inches() * _DPI
    for text, style in entries:
        text = plain(text)
        needed = 22 + 5.6 * len(text) + 16
        if left_px + needed > right_px:
            return
        y = 1 - top_px / height
        made.add_artist(Line2D([left_px / width, (left_px + 16) / width], [y, y], **style))
        words(made, left_px + 22, top_px, text, fontsize=SMALL, color=SOFT)
        left_px += needed


def limits(values: Iterable[float], hints: Iterable[float] = ()) -> tuple[float, float, bool]:
    """Lower and upper end of a y axis, and whether it is logarithmic.

    `values` are shown whole; `hints` (a band, other runs) may be cut where they would press the values flat.
    """
    own = _finite(values)
    others = _finite(hints)
    if not len(own) and not len(others):
        return 0.0, 1.0, False
    seen = np.concatenate([own, others])
    least, most = float(seen.min()), float(seen.max())
    if least > 0 and most / least > _FAR_APART:
        return least / 1.15, most * 1.15, True
    if len(own) and len(others):
        room = max(float(own.max() - own.min()), 1e-12)
        least = max(least, float(own.min()) - 2 * room)
        most = min(most, float(own.max()) + 2 * room)
    if most - least > 1e300:
        least, most = max(least, -1e300), min(most, 1e300)
    edge = _MARGIN * (most - least) or max(abs(most), 1e-9) * 0.05
    return least - edge, most + edge, False


def scale(axis: Any, ends: tuple[float, float, bool]) -> None:
    """Put the limits in force, with few and plain ticks."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

    least, most, is_log = ends
    if is_log:
        axis.set_yscale("log")
        few = math.log10(most / least) < 2
        axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,), numticks=6))
        axis.yaxis.set_minor_locator(NullLocator())
        axis.yaxis.set_minor_formatter(NullFormatter())
        axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    else:
        axis.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
    axis.set_ylim(least, most)


def steps_axis(axis: Any, steps: Sequence[float], *, label: str = "step") -> None:
    """The x axis from the first to the last step."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    known = _finite(steps)
    first, last = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    room = 0.015 * (last - first) or max(abs(last), 1.0) * 0.05
    axis.set_xlim(first - room, last + room)
    axis.xaxis.set_major_locator(MaxNLocator(6, integer=True, steps=[1, 2, 2.5, 5, 10]))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short_number(value)))
    if label:
        axis.set_xlabel(label, fontsize=SMALL, color=SOFT, labelpad=2)


def short_number(value: float) -> str:
    """`1500`, `20k`, `3M`"""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{value / (1000 if unit == 'k' else size):g}{unit}"
    return f"{value:g}"


def plain(text: str) -> str:
    """A name as a picture can show it: one line, not too long, no formulas, no half characters."""
    line = " ".join(text.encode("utf-8", "replace").decode().split())
    line = "".join(letter if letter.isprintable() else "�" for letter in line)
    return line if len(line) <= 60 else f"{line[:59]}…"


def as_drawn(values: Iterable[float]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """What is not finite, or too large for any picture, is a gap."""
    found = np.asarray(list(values), dtype=np.float64)
    found[~np.isfinite(found) | (np.abs(found) > 1e300)] = np.nan
    return found


def _finite(values: Iterable[float]) -> np.ndarray[Any, np.dtype[np.float64]]:
    found = as_drawn(values)
    return found[np.isfinite(found)]
