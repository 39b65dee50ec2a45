"""The page as lines of a terminal of any size. Pure: the same picture, look and size give the same lines."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from queueing.live.words import one_line
from queueing.watch.look import Look
from queueing.watch.parts import banner
from queueing.watch.picture import Picture
from queueing.watch.run_view import run_lines
from queueing.watch.sweep_view import sweep_lines

_HELP = (
    ("q, Ctrl-C", "leave"),
    ("↑ ↓ PgUp PgDn", "choose a run of the table (also k j, g G)"),
    ("Enter, →", "open it"),
    ("Backspace, ←, Esc", "back to the experiment"),
    ("m, M", "the next metric, the one before; in a run other curves"),
    ("l", "logarithmic scale"),
    ("x", "curves by step, or by time since the run began"),
    ("s", "sort by best, last, state, progress, speed, findings, newest"),
    ("r", "the other way round"),
    ("?", "this page; any key leaves it"),
    ("", ""),
    ("1 2 3", "the best runs; a b c … runs that are running"),
    ("⣿", "the middle half of all curves, with their median"),
    ("▲ ▼", "some values lie beyond the picture: press l"),
    ("‼ ! ·", "findings: severe, warning, note"),
)


def render(picture: Picture, look: Look, width: int, height: int) -> RenderableType:
    """At most `height` lines of at most `width` characters."""
    if look.help:
        return Group(*(one_line(Text(f"{keys:<19}{meaning}")) for keys, meaning in _HELP[:height]))
    if look.opened:
        if picture.single is None or picture.single.run.id != look.opened:
            return Group(*banner(picture, look.note), Text(f"reading run {look.opened} …", style="dim"))
        return _fitted(run_lines(picture, picture.single, look, width, height), height)
    if picture.sweep is None:
        return Group(*banner(picture, look.note), Text("reading …", style="dim"))
    return _fitted(sweep_lines(picture, picture.sweep, look, width, height), height)


def _fitted(lines: Sequence[Text], height: int) -> RenderableType:
    return Group(*(one_line(line) for line in lines[:height]))
