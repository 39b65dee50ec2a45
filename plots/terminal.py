"""A picture as text: plotext's curves, and tables, bars and heat maps of characters."""

import math
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np

from notify.thinning import kept
from notify.words import number
from plots.ends import ends_of
from plots.picture import Bars, Entry, Heat, Panel, Parallel, Picture, Piece, Stroke

_FEWEST, _GAP = 36, 2
_HEIGHT, _SMALL_HEIGHT = 18, 11


def text(picture: Picture, width: int, height: int, *, colours: bool) -> str:
    """Panels beside each other where there is room. `colours`: with escape sequences."""
    lines = [picture.title, ""]
    with_legend = colours or all(entry.dot for entry in picture.entries)
    lines += _legend(picture.entries, colours=colours) if with_legend else []
    ends = ends_of([piece for piece in picture.pieces if isinstance(piece, Panel)]) if picture.shared else None
    for place, row in enumerate(picture.rows):
        title = f"{picture.row_name} = {picture.row_labels[place]}" if picture.row_labels else ""
        lines += [f"── {title} ──"] if title else []
        pieces = [(column, piece) for column, piece in enumerate(row) if piece is not None]
        beside = max(1, min(len(pieces), (width + _GAP) // (_FEWEST + _GAP)))
        for start in range(0, len(pieces), beside):
            some = pieces[start : start + beside]
            room = (width - _GAP * (len(some) - 1)) // len(some)
            tall = min(max(height - 6 - len(picture.notes), 10), _HEIGHT) if len(picture.pieces) == 1 else _SMALL_HEIGHT
            lines += _beside(
                [_piece(picture, piece, column, room, tall, ends, colours=colours) for column, piece in some]
            )
            lines.append("")
    lines += list(picture.notes)
    return "\n".join(line.rstrip() for line in lines).rstrip()


def _piece(
    picture: Picture, piece: Piece, column: int, width: int, height: int, ends: Any, *, colours: bool
) -> list[str]:
    match piece:
        case Panel():
            over = f"{picture.column_name} = {picture.column_labels[column]}" if picture.column_labels else ""
            title = "  ".join(
                filter(None, [piece.title or over, f"best {number(piece.corner)}" if piece.corner is not None else ""])
            )
            return _panel(piece, title, width, height, ends or ends_of([piece]), colours=colours)
        case Heat():
            return _heat(piece)
        case Bars():
            return _bars(piece, width)
        case _:
            return _parallel(piece)


# ── curves ──
def _panel(panel: Panel, title: str, width: int, height: int, ends: Any, *, colours: bool) -> list[str]:
    plotext: Any = import_module("plotext")
    plotext.clear_figure()
    plotext.theme("clear")
    plotext.plotsize(width, height)
    (_, _, log_x), (least, most, log_y) = ends
    shown = [stroke for stroke in panel.strokes if not stroke.raw]
    some = False
    for stroke in shown[-12:]:
        some = (
            _draw(plotext, stroke, width, (log_x, log_y), colours=colours, named=not colours and len(shown) <= 4)
            or some
        )
    if not some:
        return [title, "(nothing finite to draw)"]
    plotext.ylim(*(map(math.log10, (least, most)) if log_y else (least, most)))
    _ticks(plotext, ends)
    if title:
        plotext.title(title)
    label = panel.x.label + (" (log)" if log_x else "")
    plotext.xlabel(label)
    made = str(plotext.build())
    lines = (made if colours else str(plotext.uncolorize(made))).rstrip("\n").split("\n")
    name = panel.y.label + (" (log)" if log_y else "")
    return [*([name] if name and panel.corner is None else []), *lines]


def _draw(plotext: Any, stroke: Stroke, width: int, logs: tuple[bool, bool], *, colours: bool, named: bool) -> bool:
    """Each stretch without a gap by itself: plotext would bridge it. Whether there was anything."""
    xs, ys = stroke.xs, stroke.ys
    places = kept(ys, 2 * width, gaps=True) if not stroke.dots else np.arange(len(ys))
    xs, ys = xs[places], ys[places]
    with np.errstate(all="ignore"):
        xs, ys = (
            np.log10(np.where(side > 0, side, np.nan)) if is_log else side
            for side, is_log in zip((xs, ys), logs, strict=True)
        )
    known = np.isfinite(xs) & np.isfinite(ys)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], known, [False]]).astype(int))).reshape(-1, 2).tolist()
    style: dict[str, Any] = {"marker": "braille"}
    if colours:
        style["color"] = tuple(int(stroke.colour[place : place + 2], 16) for place in (1, 3, 5))
    name = stroke.name if named else None
    draw = plotext.scatter if stroke.dots else plotext.plot
    for start, stop in edges:
        draw(xs[start:stop].tolist(), ys[start:stop].tolist(), label=name, **style)
        name = None
    return bool(edges)


def _ticks(plotext: Any, ends: Any) -> None:
    """Logarithmic axes are drawn as logarithms, since plotext has none that can be shared."""
    from notify.pictures.canvas import ticks
    from notify.pictures.paper import short_number

    for (least, most, is_log), put, count in zip(ends, (plotext.xticks, plotext.yticks), (5, 6), strict=True):
        found = ticks((least, most, is_log), count)
        put([math.log10(value) if is_log else value for value in found], [short_number(value) for value in found])


# ── the others ──
def _heat(heat: Heat) -> list[str]:
    cells = [["" if value != value else number(float(value)) for value in row] for row in heat.values.tolist()]
    corner = f"{heat.y_label} \\ {heat.x_label}"
    rows = [
        [corner, *heat.columns],
        *([name, *(cell or "–" for cell in row)] for name, row in zip(heat.rows, cells, strict=True)),
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    made = [
        "  ".join(
            cell.ljust(widths[0]) if column == 0 else cell.rjust(widths[column]) for column, cell in enumerate(row)
        )
        for row in rows
    ]
    return [heat.title, *made]


def _bars(bars: Bars, width: int) -> list[str]:
    known = [bar.value for bar in bars.bars if math.isfinite(bar.value)]
    most = max([0.0, *known]) or 1.0
    names = max((len(bar.name) for bar in bars.bars), default=0)
    room = max(10, width - names - 32)
    found = [bars.title, bars.label]
    for bar in bars.bars:
        length = round(room * max(bar.value, 0.0) / most) if math.isfinite(bar.value) else 0
        spread = "" if bar.low is None or bar.high is None else f"  [{number(bar.low)}, {number(bar.high)}]"
        found.append(f"{bar.name.rjust(names)}  {'█' * length}{' ' * bool(length)}{number(bar.value)}{spread}")
    return found


def _parallel(parallel: Parallel) -> list[str]:
    """A terminal has no room for its lines: the best few runs as a table."""
    names = [name for name, _ in parallel.axes]
    rows = [["run", *names]]
    for thread in reversed(parallel.threads[-10:]):
        rows.append(
            [
                thread.name,
                *(_nearest(marks, place) for (_, marks), place in zip(parallel.axes, thread.places, strict=True)),
            ]
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    made = ["  ".join(cell.ljust(widths[column]) for column, cell in enumerate(row)) for row in rows]
    return [parallel.title, "the best of them (about, as the axes tell; the lines: -o FILE.png)", *made]


def _nearest(marks: Sequence[tuple[float, str]], place: float) -> str:
    if place != place or not marks:
        return "–"
    return min(marks, key=lambda mark: abs(mark[0] - place))[1]


# ── layout ──
def _legend(entries: Sequence[Entry], *, colours: bool) -> list[str]:
    if not entries:
        return []
    told = []
    for entry in entries:
        sign = "●" if entry.dot else "╌╌" if entry.dashed else "──"
        red, green, blue = (int((entry.colour or "#888888")[place : place + 2], 16) for place in (1, 3, 5))
        told.append(f"\x1b[38;2;{red};{green};{blue}m{sign}\x1b[0m {entry.text}" if colours else f"{sign} {entry.text}")
    return ["   ".join(told[start : start + 4]) for start in range(0, len(told), 4)]


def _beside(blocks: Sequence[Sequence[str]]) -> list[str]:
    if len(blocks) == 1:
        return list(blocks[0])
    height = max(map(len, blocks))
    widths = [max((_seen(line) for line in block), default=0) for block in blocks]
    padded = [[*block, *[""] * (height - len(block))] for block in blocks]
    gap = " " * _GAP
    return [
        gap.join(line + " " * (width - _seen(line)) for line, width in zip(lines, widths, strict=True))
        for lines in zip(*padded, strict=True)
    ]


def _seen(line: str) -> int:
    """How many columns it takes: escape sequences take none."""
    import re

    return len(re.sub(r"\x1b\[[0-9;]*m", "", line))
