"""The page of an experiment. Pure: the same picture, look and size give the same lines."""

from collections.abc import Sequence

from rich.text import Text

from queueing.cli.words import value_words
from queueing.live.tables import Column, table
from queueing.live.words import bar, harmless, one_line, rate_words, time_words
from queueing.units import format_duration
from queueing.watch.chart import Line, chart
from queueing.watch.choice import BEST_SHOWN
from queueing.watch.curves import Curve
from queueing.watch.look import Look, ordered
from queueing.watch.parts import (
    STATE_STYLES,
    banner,
    finding_cell,
    finding_lines,
    heading,
    keys_line,
    number_words,
)
from queueing.watch.picture import Happening, Kind, Picture, Row, Sweep
from store.runs import short
from store.states import State

_BEST = ("bright_green", "green", "bright_cyan")
_RUNNING = ("bright_yellow", "bright_magenta", "bright_blue", "yellow", "magenta", "blue", "cyan")
_KIND_STYLES = {Kind.FINISHED: "green", Kind.FAILED: "red", Kind.CANCELLED: "yellow", Kind.FOUND: "yellow"}
_CHART_SHARE, _CHART_LEAST, _CHART_MOST = 0.42, 7, 26
_WORKERS_NAMED = 3
_BAND_FROM = 5
_WIDE = 100
_FIXED_WIDTH, _PARAM_WIDTH = 72, 11


def sweep_lines(picture: Picture, sweep: Sweep, look: Look, width: int, height: int) -> list[Text]:
    """At most `height` lines."""
    heads = [*_header(picture, sweep), *banner(picture, look.note)]
    footer = keys_line(height, in_run=False)
    room = height - len(heads) - len(footer)
    drawn = chart_lines(sweep, look, width, _chart_height(sweep, room))
    room -= len(drawn)
    found = _section("findings", finding_lines(sweep.findings, width, max(1, room // 4)) if room >= 6 else [])
    room -= len(found)
    lately = _section("lately", happening_lines(sweep, picture, room // 4) if room >= 8 else [])
    rows = _table(sweep, look, width, room - len(lately))
    return [*heads, *drawn, *rows, *found, *lately, *footer]


def _section(title: str, lines: Sequence[Text]) -> list[Text]:
    return [heading(title), *lines] if lines else []


# ── header ──
def _header(picture: Picture, sweep: Sweep) -> list[Text]:
    counts = ", ".join(f"{n} {state}" for state in State if (n := sweep.counts.get(state)))
    some = f"; {sweep.shown} are shown" if sweep.shown < sweep.total else ""
    first = Text(f"{harmless(sweep.experiment)}  ", style="bold")
    first.append(f"{picture.at:%H:%M:%S} UTC  {counts or 'no runs'}{some}")
    return [one_line(first), one_line(_pace(sweep))]


def _pace(sweep: Sweep) -> Text:
    text = bar(sweep.share, 20) if sweep.share is not None else Text()
    parts = [
        f"{format_duration(sweep.left_s)} left" if sweep.left_s is not None else "",
        f"{sweep.per_hour:.3g} runs/h" if sweep.per_hour else "",
        _working(sweep),
    ]
    return text + Text("  " + "  ".join(part for part in parts if part))


def _working(sweep: Sweep) -> str:
    if sweep.workers:
        more = len(sweep.workers) - _WORKERS_NAMED
        return "on " + ", ".join(sweep.workers[:_WORKERS_NAMED]) + (f" and {more} more" if more > 0 else "")
    waits = next((row.id for row in sweep.rows if row.state is State.QUEUED), None)
    return f"nobody works on it; see: labq why {short(waits)}" if waits else ""


# ── curves ──
def _chart_height(sweep: Sweep, room: int) -> int:
    if not sweep.metric or room < _CHART_LEAST + 4:
        return 0
    return min(_CHART_MOST, max(_CHART_LEAST, int(room * _CHART_SHARE)))


def chart_lines(sweep: Sweep, look: Look, width: int, height: int) -> list[Text]:
    """A title that says whose curves these are, and the curves."""
    if height < 3:
        return []
    lines = curve_lines(sweep)
    among = _among(sweep, lines)
    drawn = chart(lines, among, width, height - 1, axis=look.axis, log=look.log)
    return [_chart_title(sweep, look, lines, among), *drawn]


def _among(sweep: Sweep, lines: Sequence[Line]) -> list[Curve]:
    """Whose middle is drawn: of all, those with a line of their own as well, where there are any others."""
    return list(sweep.curves.values()) if len(sweep.curves) > max(len(lines), _BAND_FROM - 1) else []


def curve_lines(sweep: Sweep) -> list[Line]:
    """Running runs first, so that the best are drawn above them."""
    running = [row for row in sweep.rows if row.mark and row.state is State.RUNNING and row.id not in _best(sweep)]
    chosen = [(row, _RUNNING[at % len(_RUNNING)]) for at, row in enumerate(running)]
    by_id = {row.id: row for row in sweep.rows}
    chosen += reversed([(by_id[run], style) for run, style in zip(_best(sweep), _BEST, strict=False)])
    return [
        Line(curve=sweep.curves[row.id], style=style, mark=row.mark) for row, style in chosen if row.id in sweep.curves
    ]


def _best(sweep: Sweep) -> tuple[str, ...]:
    return sweep.best[:BEST_SHOWN]


def _chart_title(sweep: Sweep, look: Look, lines: Sequence[Line], among: Sequence[Curve]) -> Text:
    title = Text(f"{harmless(sweep.metric)} by {look.axis}{', log' if look.log else ''}", style="bold")
    if sweep.best:
        title.append(f" ({'greatest' if sweep.greatest else 'least'} is best)", "not bold dim")
    if sweep.unread:
        title.append(f"  reading {sweep.unread} more", "not bold dim")
    if among:
        title.append(f"  ⣿ middle half of {len(among)}", "not bold bright_black")
    styles = {line.mark: line.style for line in lines}
    for row in sorted((row for row in sweep.rows if row.mark in styles), key=lambda row: row.mark):
        value = row.best if row.id in _best(sweep) else row.last
        title.append(f"  {row.mark} ", styles[row.mark])
        title.append(f"{short(row.id)} {number_words(value)}", "not bold")
    return one_line(title)


# ── table ──
def _table(sweep: Sweep, look: Look, width: int, room: int) -> list[Text]:
    """As many rows as there is room for, the selected one among them."""
    rows = ordered(sweep, look)
    if room < 2 or not rows:
        return []
    at = next((number for number, row in enumerate(rows) if row.id == look.selected), None)
    fitting = room - 1 if len(rows) < room else room - 2
    first = min(max(0, (at or 0) - fitting // 2), max(0, len(rows) - fitting))
    shown = rows[first : first + max(1, fitting)]
    made = table(_columns(sweep, look, width), shown, width, None if at is None else at - first)
    if fitting < len(rows) and room > 2:
        made.append(Text(f"{first + 1} to {first + len(shown)} of {len(rows)}, sorted by {look.sort}", style="dim"))
    return made


def _columns(sweep: Sweep, look: Look, width: int) -> list[Column]:
    arrow = "↑" if look.backwards else "↓"
    titles = {
        "state": "state",
        "progress": "done",
        "best": "best",
        "last": "last",
        "speed": "rate",
        "findings": "findings",
    }
    title = {name: f"{words}{arrow}" if name == look.sort else words for name, words in titles.items()}
    each = width >= _WIDE and len(sweep.differing) <= (width - _FIXED_WIDTH) // _PARAM_WIDTH
    params = [_param(name) for name in sweep.differing] if each else [_PARAMS] if sweep.differing else []
    return [
        Column(title=" ", cell=_mark_cell),
        Column(title="run", cell=lambda row: short(row.id)),
        Column(title=title["state"], cell=_state_cell, share=2),
        Column(title=title["progress"], cell=lambda row: _done(row, width), right=width < _WIDE),
        Column(title=title["best"], cell=lambda row: number_words(row.best), right=True),
        Column(title=title["last"], cell=_last_cell, right=True),
        *params,
        Column(title=title["speed"], cell=lambda row: rate_words(row.per_s), right=True, from_width=80),
        Column(title="left", cell=lambda row: time_words(row.left_s), right=True, from_width=70),
        Column(title="try", cell=lambda row: str(row.attempt), right=True, from_width=80),
        Column(title=title["findings"], cell=lambda row: finding_cell(row.findings), share=3),
    ]


def _param(name: str) -> Column:
    return Column(title=harmless(name), cell=lambda row: value_words(row.params.get(name, "")), right=True)


_PARAMS = Column(
    title="parameters",
    cell=lambda row: " ".join(f"{name}={value_words(value)}" for name, value in row.params.items()),
    share=4,
)


def _mark_cell(row: Row) -> Text:
    return Text(row.mark, style="bold")


def _state_cell(row: Row) -> Text:
    said = f" ({row.wish} asked)" if row.wish else f" ({row.reason})" if row.reason and row.state in _REASONED else ""
    return Text(f"{row.state}{said}", style=STATE_STYLES[row.state])


_REASONED = (State.FAILED, State.QUEUED, State.CANCELLED, State.PAUSED)


def _done(row: Row, width: int) -> Text:
    if row.fraction is None:
        return Text("")
    return bar(row.fraction) if width >= _WIDE else Text(f"{row.fraction:.0%}")


def _last_cell(row: Row) -> Text:
    wrong = row.last is not None and row.last - row.last != 0
    return Text(number_words(row.last), style="bold red" if wrong else "")


# ── lately ──
def happening_lines(sweep: Sweep, picture: Picture, most: int) -> list[Text]:
    """The newest first."""
    return [_happening(one, picture) for one in sweep.happenings[:most]]


def _happening(one: Happening, picture: Picture) -> Text:
    age = format_duration(max(0.0, (picture.at - one.at).total_seconds()))
    text = Text(f"{age + ' ago':>12}  {short(one.run)} ")
    text.append(one.kind.value, _KIND_STYLES.get(one.kind, ""))
    return one_line(text.append(f" {harmless(one.said)}" if one.said else ""))
