"""What was pressed."""

import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

_SPLIT_S = 0.05
"""An arrow is an Escape with more behind it, which may come a moment later."""
_MOST_BYTES = 256


class Key(StrEnum):
    """Keys that are no letter; a letter is itself."""

    UP = "up"
    DOWN = "down"
    LEFT = "left"
    RIGHT = "right"
    PAGE_UP = "page-up"
    PAGE_DOWN = "page-down"
    HOME = "home"
    END = "end"
    ENTER = "enter"
    ESCAPE = "escape"
    BACKSPACE = "backspace"
    TAB = "tab"
    CLOSED = "closed"
    """The terminal is gone, or its input has ended."""


_SEQUENCES = {
    "A": Key.UP, "B": Key.DOWN, "C": Key.RIGHT, "D": Key.LEFT, "H": Key.HOME, "F": Key.END, "M": Key.ENTER,
    "1~": Key.HOME, "7~": Key.HOME, "4~": Key.END, "8~": Key.END, "5~": Key.PAGE_UP, "6~": Key.PAGE_DOWN,
}  # fmt: skip
_CONTROLS = {
    "\r": Key.ENTER, "\n": Key.ENTER, "\t": Key.TAB, "\x7f": Key.BACKSPACE, "\x08": Key.BACKSPACE, "\x1b": Key.ESCAPE,
    "\x02": Key.PAGE_UP, "\x06": Key.PAGE_DOWN, "\x03": Key.CLOSED, "\x04": Key.CLOSED,
}  # fmt: skip


@contextmanager
def keys() -> Iterator[None]:
    """Keys at once and unseen; the terminal is as before, whatever happens."""
    if not sys.stdin.isatty():
        yield
        return
    import termios
    import tty

    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin)
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def pressed(wait_s: float) -> list[str]:
    """What was pressed within that time, if anything. The input of the page must be a terminal."""
    if not _ready(wait_s):
        return []
    try:
        given = os.read(sys.stdin.fileno(), _MOST_BYTES)
        while given.endswith((b"\x1b", b"\x1b[", b"\x1bO")) and _ready(_SPLIT_S):
            given += os.read(sys.stdin.fileno(), _MOST_BYTES)
    except OSError:
        return [Key.CLOSED]
    return decoded(given.decode(errors="ignore")) if given else [Key.CLOSED]


def decoded(given: str) -> list[str]:
    """Letters and keys in the order in which they were pressed. Sequences that no page knows are nothing. Pure."""
    found: list[str] = []
    while given:
        if given[0] == "\x1b" and given[1:2] in ("[", "O"):
            length = next((at for at in range(2, len(given)) if "@" <= given[at] <= "~"), len(given) - 1) + 1
            found += [_SEQUENCES[given[2:length]]] if given[2:length] in _SEQUENCES else []
            given = given[length:]
        else:
            found += [_CONTROLS.get(given[0], given[0])]
            given = given[1:]
    return found


def _ready(wait_s: float) -> bool:
    return bool(select.select([sys.stdin], [], [], wait_s)[0])
