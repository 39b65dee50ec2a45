"""What heat maps, bars and parallel coordinates look like."""

import math

import numpy as np

from notify.pictures import paper
from notify.pictures.canvas import SMALL, TINY, Box, Canvas, ticks
from notify.pictures.palette import BAD, FAINT, INK, PAPER, RUN, SOFT, along
from notify.words import number
from plots.drawing_panels import LETTER
from plots.picture import Bar, Bars, Floats, Heat, Parallel

_BAR_PX, _CELL_PX = 24, 30


# ── heat maps ──
def heat_height(heat: Heat, width: float) -> float:
    """With title and labels."""
    cell = min(_CELL_PX * 1.6, max(_CELL_PX * 0.8, width * 0.62 / max(len(heat.columns), 1)))
    return _heat_head(heat) + cell * len(heat.rows) + 46


def _heat_head(heat: Heat) -> float:
    return 34.0 if heat.title else 6.0


def draw_heat(on: Canvas, heat: Heat, left: float, top: float, width: float) -> None:
    """Dark is good, or much; the number stands in each cell."""
    margin = 42 + LETTER[TINY] * min(16, max(map(len, heat.rows), default=1))
    body = heat_height(heat, width - 66) - _heat_head(heat) - 46
    box = Box(left=left + margin, top=top + _heat_head(heat), width=width - margin - 24, height=body)
    wide, high = box.width / max(len(heat.columns), 1), box.height / max(len(heat.rows), 1)
    on.write(left + 14, top + 12, paper.plain(heat.title, int(width / LETTER[SMALL])), color=INK, weight="bold")
    shades = heat.shades if heat.shades is not None else _shades(heat.values, heat.greatest)
    best = _best(heat)
    for i, j in np.ndindex(*heat.values.shape):
        cell = Box(left=box.left + j * wide, top=box.top + i * high, width=wide, height=high)
        _heat_cell(on, cell, float(heat.values[i, j]), float(shades[i, j]), is_best=(i, j) == best)
    for j, text in enumerate(heat.columns):
        on.write(
            box.left + (j + 0.5) * wide,
            box.bottom + 11,
            paper.plain(text, max(3, int(wide / LETTER[TINY]))),
            ha="center",
            fontsize=TINY,
            color=INK,
        )
    for i, text in enumerate(heat.rows):
        on.write(box.left - 6, box.top + (i + 0.5) * high, paper.plain(text, 16), ha="right", fontsize=TINY, color=INK)
    on.write((box.left + box.right) / 2, box.bottom + 27, paper.plain(heat.x_label), ha="center", fontsize=TINY)
    on.write(
        left + 20,
        (box.top + box.bottom) / 2,
        paper.plain(heat.y_label, max(6, int(box.height / 5))),
        ha="center",
        fontsize=TINY,
        rotation=90,
    )


def _heat_cell(on: Canvas, cell: Box, value: float, shade: float, *, is_best: bool) -> None:
    if not math.isfinite(value):
        on.box(cell, facecolor="#fafafa", edgecolor=PAPER, linewidth=1.5, zorder=1)
        text, colour = ("–", SOFT) if value != value else (f"{value:g}", BAD)
    else:
        on.box(cell, facecolor=along(shade), edgecolor=PAPER, linewidth=1.5, zorder=1)
        text, colour = number(value), PAPER if shade > 0.35 else INK
    if is_best:
        on.box(cell, fill=False, edgecolor=INK, linewidth=1.8, zorder=3)
    size = TINY if cell.width > 32 else 6.0
    if cell.width > 20:
        on.write(
            (cell.left + cell.right) / 2,
            (cell.top + cell.bottom) / 2,
            text,
            ha="center",
            color=colour,
            fontsize=size,
            weight="bold" if is_best else "normal",
        )


def _shades(values: Floats, greatest: bool | None) -> Floats:
    """The rank among the values, as a share: one value that is far off would make all others look the same."""
    known = np.unique(values[np.isfinite(values)])
    found = np.searchsorted(known, np.where(np.isfinite(values), values, known[0] if len(known) else 0)) / max(
        len(known) - 1, 1
    )
    shades: Floats = 1 - found if greatest is False else found
    return shades


def _best(heat: Heat) -> tuple[int, int] | None:
    if heat.greatest is None or not np.isfinite(heat.values).any():
        return None
    filled = np.where(np.isfinite(heat.values), heat.values, -np.inf if heat.greatest else np.inf)
    place = int(filled.argmax() if heat.greatest else filled.argmin())
    return place // heat.values.shape[1], place % heat.values.shape[1]


# ── bars ──
def bars_height(bars: Bars) -> float:
    """With title and axis."""
    return _bars_head(bars) + _BAR_PX * len(bars.bars) + 48


def _bars_head(bars: Bars) -> float:
    return 26.0 if bars.title else 6.0


def draw_bars(on: Canvas, bars: Bars, left: float, top: float, width: float) -> None:
    """From nought; the thin line shows how far a value is uncertain."""
    margin = 24 + LETTER[SMALL] * min(26, max((len(bar.name) for bar in bars.bars), default=1))
    values = [
        value
        for bar in bars.bars
        for value in (bar.value, bar.low, bar.high)
        if value is not None and math.isfinite(value)
    ]
    least, most = min([0.0, *values]), max([0.0, *values]) or 1.0
    room = most - least
    box = Box(
        left=left + margin,
        top=top + _bars_head(bars),
        width=width - margin - 64,
        height=_BAR_PX * len(bars.bars),
        x=(least - 0.02 * room * (least < 0), most + 0.02 * room, False),
    )
    on.write(left + 14, top + 12, paper.plain(bars.title, int(width / LETTER[SMALL])), color=INK, weight="bold")
    for value in ticks(box.x, box.width / 80):
        x = float(box.across([value])[0])
        on.lines([([x, x], [box.top, box.bottom])], color=FAINT, linewidth=0.8, zorder=1)
        on.write(
            x,
            box.bottom + 11,
            paper.short_number(0.0 if abs(value) < 1e-9 * room else value),
            ha="center",
            fontsize=TINY,
        )
    on.write((box.left + box.right) / 2, box.bottom + 28, bars.label, ha="center", fontsize=TINY)
    zero = float(box.across([0.0])[0])
    on.lines([([zero, zero], [box.top, box.bottom])], color=SOFT, linewidth=0.9, zorder=2)
    for place, bar in enumerate(bars.bars):
        _draw_bar(on, bar, box, box.top + (place + 0.5) * _BAR_PX)


def _draw_bar(on: Canvas, bar: Bar, box: Box, y: float) -> None:
    zero = float(box.across([0.0])[0])
    on.write(box.left - 8, y, paper.plain(bar.name, 26), ha="right", color=INK)
    if not math.isfinite(bar.value):
        on.write(zero + 4, y, f"{bar.value:g}", color=BAD)
        return
    end = float(box.across([bar.value])[0])
    body = Box(left=min(zero, end), top=y - 7, width=abs(end - zero), height=14)
    on.box(body, facecolor=RUN, linewidth=0, alpha=0.85, zorder=3)
    right = max(end, zero)
    if bar.low is not None and bar.high is not None:
        low, high = box.across([bar.low, bar.high])
        on.lines([([low, high], [y, y])], color=INK, linewidth=1.3, zorder=4)
        right = max(right, float(high))
    on.write(right + 6, y, number(bar.value), fontsize=TINY)


# ── parallel coordinates ──
def draw_parallel(on: Canvas, parallel: Parallel, box: Box) -> None:
    """A line a run, through its value on every axis."""
    count = len(parallel.axes)
    xs = [box.left + box.width * place / max(count - 1, 1) for place in range(count)]
    for thread in parallel.threads:
        ys = [box.bottom - place * box.height for place in thread.places]
        on.lines(
            [(xs, ys)],
            color=thread.colour,
            linewidth=thread.width,
            alpha=0.8 if thread.width < 1.5 else 1.0,
            zorder=3 + thread.width / 10,
        )
    for x, (name, marks) in zip(xs, parallel.axes, strict=True):
        on.lines([([x, x], [box.top, box.bottom])], color=SOFT, linewidth=1.0, zorder=5)
        on.write(
            x,
            box.top - 16,
            paper.plain(name, max(8, int(box.width / max(count, 2) / LETTER[SMALL]))),
            ha="center",
            color=INK,
            weight="bold",
        )
        for place, text in marks:
            y = box.bottom - place * box.height
            on.lines([([x - 3, x + 3], [y, y])], color=SOFT, linewidth=1.0, zorder=5)
            on.write(x + 6, y, paper.plain(text, 14), fontsize=TINY, halo=True, zorder=11)
