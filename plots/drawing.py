"""A picture on paper: PNG, SVG or PDF. Layout; what pieces look like: `drawing_panels`, `drawing_charts`."""

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import wrap

from notify.pictures import paper
from notify.pictures.canvas import NORMAL, SMALL, TINY, Box, Canvas
from notify.pictures.palette import INK
from notify.pictures.paper import Ends
from plots.drawing_charts import bars_height, draw_bars, draw_heat, draw_parallel, heat_height
from plots.drawing_panels import LETTER, draw_panel
from plots.ends import ends_of
from plots.picture import Bars, Entry, Heat, Panel, Parallel, Picture, Piece

WIDTH_PX = 760
_SIDE, _TITLE, _ROW = 14, 26, 17
_LEFT, _RIGHT, _FOOT, _GAP = 60, 14, 42, 8
_SINGLE_PX, _PARALLEL_PX = 300, 320
_MOST_ENTRY_ROWS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """A picture's height, and where its parts begin."""

    legend: tuple[tuple[Entry, float, float], ...]
    body: float
    heights: tuple[float, ...]
    notes: tuple[str, ...]
    height: float


def drawn(picture: Picture, width_px: float = WIDTH_PX) -> Canvas:
    """On a canvas of its own, as high as it needs."""
    plan = _plan(picture, width_px)
    on = Canvas(width_px, plan.height)
    draw(on, picture, 0.0, 0.0, width_px)
    return on


def height_of(picture: Picture, width_px: float = WIDTH_PX) -> float:
    """What `draw` needs."""
    return _plan(picture, width_px).height


def draw(on: Canvas, picture: Picture, left: float, top: float, width_px: float) -> None:
    """Somewhere on a canvas."""
    plan = _plan(picture, width_px)
    on.write(
        left + _SIDE,
        top + 15,
        paper.plain(picture.title, int(width_px / LETTER[NORMAL])),
        longest=200,
        fontsize=NORMAL,
        color=INK,
        weight="bold",
    )
    for entry, x, y in plan.legend:
        _entry(on, entry, left + x, top + y)
    y = top + plan.body
    ends = ends_of([piece for piece in picture.pieces if isinstance(piece, Panel)]) if picture.shared else None
    for place, (row, height) in enumerate(zip(picture.rows, plan.heights, strict=True)):
        _row(on, picture, place, row, ends, Box(left=left, top=y, width=width_px, height=height))
        y += height
    for place, line in enumerate(plan.notes):
        on.write(left + _SIDE, top + plan.height - 10 - 14 * (len(plan.notes) - 1 - place), line, longest=400)


# ── layout ──
def _plan(picture: Picture, width_px: float) -> _Plan:
    legend, rows = _legend(picture.entries, width_px)
    body = _TITLE + rows * _ROW + 8 + (30 if picture.shared and picture.column_labels else 0)
    heights = tuple(_height(picture, place, row, width_px) for place, row in enumerate(picture.rows))
    notes = tuple(
        line for note in picture.notes for line in wrap(paper.plain(note, 400), int((width_px - 2 * _SIDE) / 6.4))
    )
    return _Plan(
        legend=legend, body=body, heights=heights, notes=notes, height=body + sum(heights) + 14 * len(notes) + 8
    )


def _legend(entries: Sequence[Entry], width_px: float) -> tuple[tuple[tuple[Entry, float, float], ...], int]:
    """Places of the entries, and how many rows they take; what does not fit is counted."""
    found: list[tuple[Entry, float, float]] = []
    x, row = float(_SIDE), 0
    for place, entry in enumerate(entries):
        needed = 24 + LETTER[SMALL] * len(paper.plain(entry.text, 60)) + 14
        if x + needed - 14 > width_px - _SIDE and x > _SIDE:
            x, row = float(_SIDE), row + 1
        if row == _MOST_ENTRY_ROWS:
            left = len(entries) - place
            return (*found, (Entry(text=f"and {left} more", colour=""), x, _TITLE + 8.0 + _ROW * row)), row + 1
        found.append((entry, x, _TITLE + 8.0 + _ROW * row))
        x += needed
    return tuple(found), row + 1 if found else 0


def _entry(on: Canvas, entry: Entry, x: float, y: float) -> None:
    if entry.colour:
        style = {"color": entry.colour, "linewidth": 7 if entry.thick else 1.8}
        if entry.dot:
            on.lines([([x + 8], [y])], marker="o", markersize=5, color=entry.colour, mew=0, linestyle="none", zorder=9)
        else:
            dashes = {"dashes": (3, 1.6)} if entry.dashed else {}
            on.lines([([x, x + 17], [y, y])], zorder=9, **style, **dashes)
    on.write(x + 24 if entry.colour else x, y, paper.plain(entry.text, 60))


def _height(picture: Picture, place: int, row: Sequence[Piece | None], width_px: float) -> float:
    width = _width(picture, len(_longest(picture)), width_px)
    found = [_piece_height(picture, place, piece, width, len(row)) for piece in row if piece is not None]
    return max(found, default=0.0)


def _piece_height(picture: Picture, place: int, piece: Piece, width: float, count: int) -> float:
    match piece:
        case Heat():
            return heat_height(piece, width)
        case Bars():
            return bars_height(piece)
        case Parallel():
            return _PARALLEL_PX + _FOOT + 24
        case _ if picture.shared:
            is_last = place == len(picture.rows) - 1
            return max(64.0, min(0.74 * width, 210.0)) + (18 if piece.title else 0) + (_FOOT if is_last else _GAP)
        case _:
            head = 20 if piece.title else 0
            inner = (
                _SINGLE_PX
                if count == 1 and len(picture.rows) == 1
                else 190
                if count == 1
                else max(96.0, min(0.68 * width, 220.0))
            )
            return inner + head + _FOOT


def _longest(picture: Picture) -> Sequence[Piece | None]:
    return max(picture.rows, key=len)


def _width(picture: Picture, count: int, width_px: float) -> float:
    """Of one piece without its margins."""
    if picture.shared:
        right = 30 if picture.row_labels else _RIGHT
        return (width_px - _LEFT - right - _GAP * (count - 1)) / count
    return width_px / count - _LEFT - _RIGHT


def _row(
    on: Canvas, picture: Picture, place: int, row: Sequence[Piece | None], ends: tuple[Ends, Ends] | None, room: Box
) -> None:
    count = len(_longest(picture))
    width = _width(picture, count, room.width)
    for column, piece in enumerate(row):
        if piece is None:
            continue
        step = width + (_GAP if picture.shared else _LEFT + _RIGHT)
        left = room.left + _LEFT + column * step
        if isinstance(piece, Panel):
            _place_panel(on, picture, place, column, piece, ends, left, width, room)
        elif isinstance(piece, Heat):
            draw_heat(on, piece, room.left + column * step, room.top, room.width / count)
        elif isinstance(piece, Bars):
            draw_bars(on, piece, room.left + column * step, room.top, room.width / count)
        else:
            draw_parallel(
                on, piece, Box(left=room.left + 40, top=room.top + 34, width=room.width - 80, height=_PARALLEL_PX)
            )
    if picture.shared:
        _labels(on, picture, place, room, width, count)


def _place_panel(on: Canvas, picture: Picture, place: int, column: int, piece: Panel, ends: tuple[Ends, Ends] | None,
                 left: float, width: float, room: Box) -> None:  # fmt: skip
    head = (18 if picture.shared else 20) if piece.title else 0
    is_last = place == len(picture.rows) - 1
    foot = _FOOT if not picture.shared or is_last else _GAP
    x, y = ends or ends_of([piece])
    box = Box(left=left, top=room.top + head, width=width, height=room.height - head - foot, x=x, y=y)
    if piece.title:
        on.write(
            left, room.top + head - 9, paper.plain(piece.title, int(width / LETTER[SMALL])), color=INK, weight="bold"
        )
    below = picture.rows[place + 1] if not is_last else ()
    with_x = not picture.shared or column >= len(below)
    draw_panel(on, piece, box, with_x=with_x, with_y=not picture.shared or column == 0, framed=picture.shared)


def _labels(on: Canvas, picture: Picture, place: int, room: Box, width: float, count: int) -> None:
    """Values of the columns above, of the rows at the right."""
    if place == 0 and picture.column_labels:
        for column, text in enumerate(picture.column_labels):
            middle = room.left + _LEFT + column * (width + _GAP) + width / 2
            on.write(middle, room.top - 9, paper.plain(text, 18), ha="center", color=INK)
        on.write(room.left + _LEFT, room.top - 25, f"{picture.column_name} →", fontsize=TINY)
        end = room.left + _LEFT + count * (width + _GAP) + 16
        on.write(end, room.top - 25, f"{picture.row_name} ↓", ha="right", fontsize=TINY)
    if picture.row_labels:
        is_last = place == len(picture.rows) - 1
        middle = room.top + (room.height - (_FOOT if is_last else _GAP)) / 2
        right = room.left + _LEFT + count * (width + _GAP) - _GAP + 15
        on.write(right, middle, paper.plain(picture.row_labels[place], 18), ha="center", color=INK, rotation=270)
