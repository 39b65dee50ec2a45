"""Figures, files and limits: what is the same for every picture."""

import io
import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from notify.pictures.palette import PAPER

WIDTH_PX = 600
"""As the message shows it; drawn SCALE times as fine, for dense screens."""
SCALE = 2
DPI = 100
_FAR_APART = 20.0
_MARGIN = 0.06
_LARGEST = 1e300
_COLOURS = 256
"""A palette makes the file a third as large, and faster to write; no eye can tell the difference."""

Floats = npt.NDArray[np.float64]
Ends = tuple[float, float, bool]
"""Least and greatest value of an axis, and whether it is logarithmic."""


def figure(width_px: float, height_px: float) -> Any:
    """An empty figure, `SCALE * width_px` pixels wide in the end."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    made = Figure(figsize=(width_px / DPI, height_px / DPI), dpi=DPI * SCALE, facecolor=PAPER)
    FigureCanvasAgg(made)
    return made


def png(made: Any) -> bytes:
    """The finished picture. The figure is emptied: Matplotlib's cycles would keep its memory for a while."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # letters that no font has are drawn as boxes
        made.canvas.draw()
    drawn = np.ascontiguousarray(np.asarray(made.canvas.buffer_rgba())[:, :, :3])
    made.clear()
    made.canvas.renderer = None  # some megabytes of pixels, which would wait for the collector of cycles
    few = Image.fromarray(drawn).quantize(_COLOURS, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    buffer = io.BytesIO()
    few.save(buffer, format="png", compress_level=4)
    return buffer.getvalue()


def vector(made: Any, kind: str) -> bytes:
    """The finished picture as `svg` or `pdf`: it needs no fonts. The figure is emptied."""
    import matplotlib as mpl

    dates = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    buffer = io.BytesIO()
    with warnings.catch_warnings(), mpl.rc_context({"svg.hashsalt": "labq", "pdf.fonttype": 42}):
        warnings.simplefilter("ignore", UserWarning)
        made.savefig(buffer, format=kind, metadata=dates[kind])
    made.clear()
    return buffer.getvalue()


def limits(values: Iterable[float], hints: Iterable[float] = (), whole: Iterable[float] = ()) -> Ends:
    """The ends of an axis. `values` decide whether it is logarithmic; they and `whole` are shown whole.

    `hints` (a band, other runs) may be cut where they would press the values flat.
    """
    own, others, rest = finite(values), finite(hints), finite(whole)
    seen = np.concatenate([own, others, rest])
    if not len(seen):
        return 0.0, 1.0, False
    first = own if len(own) else seen
    if float(seen.min()) > 0 and float(first.max()) / float(first.min()) > _FAR_APART:
        return float(seen.min()) / 1.15, float(seen.max()) * 1.15, True
    least, most = float(seen.min()), float(seen.max())
    if len(own) and len(others):
        room = max(float(own.max() - own.min()), 1e-12)
        inner = np.concatenate([own, rest])
        least = max(least, min(float(inner.min()), float(own.min()) - 2 * room))
        most = min(most, max(float(inner.max()), float(own.max()) + 2 * room))
    edge = _MARGIN * (most - least) or max(abs(most), 1e-9) * 0.05
    return least - edge, most + edge, False


def plain(text: str, longest: int = 60) -> str:
    """A name as a picture can show it: one line, not too long, no half characters."""
    line = " ".join(text.encode("utf-8", "replace").decode().split())
    line = "".join(letter if letter.isprintable() else "�" for letter in line)
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def short_number(value: float) -> str:
    """`1500`, `20k`, `3M`"""
    for size, divisor, unit in ((1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if abs(value) >= size:
            return f"{value / divisor:.4g}{unit}"
    return f"{value:.4g}"


def as_drawn(values: Iterable[float]) -> Floats:
    """What is not finite, or too large for any picture, is a gap."""
    found = np.array(list(values), dtype=np.float64)
    found[~np.isfinite(found) | (np.abs(found) > _LARGEST)] = np.nan
    return found


def finite(values: Iterable[float]) -> Floats:
    """Those that are drawn."""
    found = as_drawn(values)
    known: Floats = found[np.isfinite(found)]
    return known
