"""A page that fills the terminal until somebody leaves it, and the terminal as it was before."""

import os
import signal
import sys
import time
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from queueing.live.keyboard import Key, keys, pressed

if TYPE_CHECKING:
    from rich.console import RenderableType

_TICK_S = 0.2
"""A new picture, a resized window and a signal are seen after so long."""
_LEAVING = ("SIGINT", "SIGTERM", "SIGHUP")


class Page(Protocol):
    """What is drawn, and what keys do."""

    def draw(self, width: int, height: int) -> "RenderableType":
        """At most `height` lines of at most `width` characters. Raises what ended the reading."""

    def look(self) -> object:
        """Another object, or an unequal one, when the page has to be drawn again."""

    def press(self, key: str) -> bool:
        """Whether to stay."""


class _Asked(StrEnum):
    LEAVE = "leave"
    SUSPEND = "suspend"


def can_show() -> bool:
    """Whether there is a terminal that can be written all over."""
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") not in ("dumb", "unknown", "")


def show(page: Page) -> None:
    """Until a key, Ctrl-C or SIGTERM ends it. Ctrl-Z gives the terminal back meanwhile."""
    with _Signals() as signals:
        while _until_asked(page, signals) is _Asked.SUSPEND:
            os.kill(os.getpid(), signal.SIGSTOP)
            signals.asked = None


def _until_asked(page: Page, signals: "_Signals") -> _Asked:
    from rich.console import Console
    from rich.live import Live

    console = Console()
    drawn: object = None
    with keys(), Live(console=console, screen=True, auto_refresh=False) as live:
        while signals.asked is None:
            size = (console.width, console.height)
            if drawn != (seen := (size, page.look())):
                live.update(page.draw(*size), refresh=True)
                drawn = seen
            if not all(key is not Key.CLOSED and page.press(key) for key in _pressed()):
                return _Asked.LEAVE
    return signals.asked


def _pressed() -> list[str]:
    if sys.stdin.isatty():
        return pressed(_TICK_S)
    time.sleep(_TICK_S)
    return []


class _Signals:
    """Remembers what was asked: an exception in the middle of drawing would leave half a terminal.

    A second signal has its usual effect, in case drawing itself hangs.
    """

    def __init__(self) -> None:
        self.asked: _Asked | None = None
        self._before: dict[int, object] = {}

    def __enter__(self) -> "_Signals":
        for name in (*_LEAVING, "SIGTSTP"):
            number = getattr(signal, name)
            self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _ask(self, number: int, _frame: object) -> None:
        if self.asked is _Asked.LEAVE:
            signal.signal(number, signal.SIG_DFL)
        self.asked = _Asked.SUSPEND if number == signal.SIGTSTP else _Asked.LEAVE
