"""A report as PDF: pages of the canvas that pictures are drawn on, through Matplotlib."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Any

from notify.letters.letter import Commands, Facts, Findings, Output, Remark, Table
from notify.pictures.canvas import NORMAL, SMALL, Canvas
from notify.pictures.palette import FAINT, INK, RUN, SOFT
from plots.drawing import draw, height_of
from plots.report.content import Drawing, Part, Report

WIDTH_PX, HEIGHT_PX, MARGIN = 794, 1123, 52
"""A4 at 96 pixels an inch."""
_ROW, _HEADING = 16.0, 34.0
_INNER = WIDTH_PX - 2 * MARGIN
_NAMES = 118
_MONO, _LETTER = 6.4, 6.8
_MOST_LINES = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class _Text:
    """One line at its place across the page."""

    x: float
    text: str
    style: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Strip:
    """What is never cut: lines of text, or a picture. `keep`: the next strip stands on the same page."""

    height: float
    texts: tuple[_Text, ...] = ()
    drawing: Drawing | None = None
    rule: bool = False
    keep: bool = False


def pdf(report: Report) -> bytes:
    """The whole file."""
    import matplotlib as mpl
    from matplotlib.backends.backend_pdf import PdfPages

    buffer = io.BytesIO()
    with mpl.rc_context({"pdf.fonttype": 42}):
        pages = PdfPages(buffer, metadata={"Title": f"{report.title}: report", "CreationDate": None})
        every = list(_pages(_strips(report)))
        for number, strips in enumerate(every, 1):
            _page(report, strips, f"{report.title} · page {number} of {len(every)}").page_of(pages)
        pages.close()  # type: ignore[no-untyped-call]
    return buffer.getvalue()


# ── pages ──
def _pages(strips: Iterator[_Strip]) -> Iterator[list[_Strip]]:
    room = HEIGHT_PX - 2 * MARGIN
    page: list[_Strip] = []
    for group in _kept_together(strips):
        needed = sum(strip.height for strip in group)
        if page and sum(strip.height for strip in page) + needed > room:
            yield page
            page = []
        page += group
    if page:
        yield page


def _kept_together(strips: Iterator[_Strip]) -> Iterator[list[_Strip]]:
    group: list[_Strip] = []
    for strip in strips:
        group.append(strip)
        if not strip.keep:
            yield group
            group = []
    if group:
        yield group


def _page(report: Report, strips: Sequence[_Strip], foot: str) -> Canvas:
    del report
    on = Canvas(WIDTH_PX, HEIGHT_PX)
    y = float(MARGIN)
    for strip in strips:
        if strip.drawing is not None:
            draw(on, strip.drawing.picture, MARGIN - 14, y, _INNER + 28)
        for text in strip.texts:
            on.write(MARGIN + text.x, y + strip.height / 2, text.text, longest=400, **text.style)
        if strip.rule:
            on.lines([([MARGIN, WIDTH_PX - MARGIN], [y + strip.height] * 2)], color=FAINT, linewidth=0.8, zorder=1)
        y += strip.height
    on.write(WIDTH_PX - MARGIN, HEIGHT_PX - 26, foot, ha="right", longest=200)
    return on


# ── strips ──
def _strips(report: Report) -> Iterator[_Strip]:
    made = f"Report of an experiment, made {report.made_at:%d %b %Y %H:%M} UTC by labq"
    yield _line(made, color=SOFT)
    yield _Strip(
        height=36, texts=(_Text(x=0, text=report.title, style={"fontsize": 17, "color": INK, "weight": "bold"}),)
    )
    yield from _paragraph(" ".join(report.lead), color=INK)
    for part in report.parts:
        yield from _part(part)


def _part(part: Part) -> Iterator[_Strip]:
    if isinstance(part, Remark):
        yield from _paragraph(part.text, color=SOFT)
        return
    yield _Strip(
        height=_HEADING,
        keep=True,
        texts=(_Text(x=0, text=part.title, style={"fontsize": 11.5, "color": RUN, "weight": "bold"}),),
    )
    match part:
        case Drawing():
            yield _Strip(
                height=min(height_of(part.picture, _INNER + 28), HEIGHT_PX - 2 * MARGIN - _HEADING), drawing=part
            )
        case Facts() | Commands():
            for name, said in part.rows:
                yield from _named(name, said)
        case Table():
            yield from _table(part)
        case Findings():
            yield from _findings(part)
        case Output():
            yield from _output(part)
        case _:
            pass


def _line(text: str, x: float = 0.0, **style: Any) -> _Strip:
    return _Strip(height=_ROW, texts=(_Text(x=x, text=text, style={"fontsize": SMALL, **style}),))


def _paragraph(text: str, **style: Any) -> Iterator[_Strip]:
    for line in wrap(text, int(_INNER / _LETTER)):
        yield _line(line, **style)


def _named(name: str, said: str) -> Iterator[_Strip]:
    lines = wrap(said, int((_INNER - _NAMES) / _LETTER)) or [""]
    first = _line(lines[0], x=_NAMES, color=INK).texts + _line(name, color=SOFT).texts
    yield _Strip(height=_ROW, texts=first, keep=len(lines) > 1)
    for line in lines[1:]:
        yield _line(line, x=_NAMES, color=INK)


def _table(table: Table) -> Iterator[_Strip]:
    """Columns as wide as their longest cells, all narrower where that is too much."""
    longest = [max(len(row[place]) for row in (table.head, *table.rows)) for place in range(len(table.head))]
    wanted = [_LETTER * (min(letters, 44) + 2) for letters in longest]
    share = min(1.0, _INNER / sum(wanted))
    widths = [width * share for width in wanted]
    yield from _row(table.head, widths, table.numeric, {"color": SOFT}, keep=True)
    for place, row in enumerate(table.rows):
        style: dict[str, Any] = {"color": INK, "weight": "bold" if place in table.strong else "normal"}
        yield from _row(row, widths, table.numeric, style)
    if table.note:
        yield from _paragraph(table.note, color=SOFT)


def _row(
    cells: Sequence[str],
    widths: Sequence[float],
    numeric: frozenset[int],
    style: dict[str, Any],
    *,
    keep: bool = False,
) -> Iterator[_Strip]:
    wrapped = [wrap(cell, max(3, int(width / _LETTER) - 1)) or [""] for cell, width in zip(cells, widths, strict=True)]
    height = max(map(len, wrapped))
    for line in range(height):
        texts, x = [], 0.0
        for place, (lines, width) in enumerate(zip(wrapped, widths, strict=True)):
            if line < len(lines):
                is_right = place in numeric
                aligned = {**style, "fontsize": SMALL, "ha": "right" if is_right else "left"}
                texts.append(_Text(x=x + width - 12 if is_right else x, text=lines[line], style=aligned))
            x += width
        yield _Strip(
            height=_ROW + 2 * (line == height - 1),
            texts=tuple(texts),
            rule=line == height - 1,
            keep=keep or line < height - 1,
        )


def _findings(part: Findings) -> Iterator[_Strip]:
    for item in part.items:
        since = f", {item.since}" if item.since else ""
        yield _Strip(
            height=_ROW,
            keep=True,
            texts=(
                _Text(
                    x=0,
                    text=f"{item.name}  ({item.severity.value}{since})",
                    style={"fontsize": SMALL, "color": INK, "weight": "bold"},
                ),
            ),
        )
        yield from _paragraph(item.evidence, color=INK)
        yield from _paragraph(item.advice, color=INK, style="italic")
        yield from _paragraph(item.reference, color=SOFT) if item.reference else ()
        yield _Strip(height=6)
    if part.more:
        yield _line(f"and {part.more} more", color=SOFT)


def _output(part: Output) -> Iterator[_Strip]:
    lines = [
        line
        for text in part.text.splitlines()
        for line in (wrap(text, int(_INNER / _MONO), drop_whitespace=False, subsequent_indent="    ") or [""])
    ]
    for line in lines[:_MOST_LINES]:
        yield _Strip(
            height=13,
            texts=(_Text(x=0, text=line, style={"fontsize": 7.6, "color": INK, "family": "monospace", "as_is": True}),),
        )
    if len(lines) > _MOST_LINES:
        yield _line(f"and {len(lines) - _MOST_LINES} more lines", color=SOFT)
    yield _Strip(height=NORMAL)
