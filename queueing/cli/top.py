"""`labq top`: the lab, live."""

import argparse
import os
import select
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from queueing.cli.context import opened_store, print_json, settings
from queueing.top.picture import Picture
from queueing.top.reading import Reader
from store.errors import ExitCode

_ENDED_ONCE = 10
_NO_TERMINAL = (120, 10_000)
"""Width and height where nobody looks: nothing is left out."""


def top(options: argparse.Namespace) -> int:
    """Until q or Ctrl-C; one picture with --once, --json, or where there is no terminal."""
    chosen = settings()
    with opened_store(chosen) as store:
        reader = Reader(store, chosen)
        picture = reader.read()
        if options.json:
            print_json(picture)
        elif options.once or not sys.stdout.isatty():
            _print_once(picture)
        else:
            _live(reader, picture, options.every)
    return ExitCode.OK


def _print_once(picture: Picture) -> None:
    from rich.console import Console

    from queueing.top.view import render

    console = Console()
    width = console.width if console.is_terminal or "COLUMNS" in os.environ else _NO_TERMINAL[0]
    console.width = width
    console.print(render(replace(picture, ended=picture.ended[:_ENDED_ONCE]), width, _NO_TERMINAL[1]))


def _live(reader: Reader, first: Picture, every_s: float) -> None:
    """Drawn more often than read: a resized window looks right at once."""
    from rich.console import Console
    from rich.live import Live

    from queueing.top.view import render
    from queueing.top.watcher import Watcher

    console = Console()
    watcher = Watcher(reader, first, every_s)
    watcher.start()
    try:
        with _keys(), Live(console=console, screen=True, auto_refresh=False) as live:
            while True:
                live.update(render(watcher.picture, console.width, console.height), refresh=True)
                if _quit_asked(min(every_s, 0.5)):
                    return
    except KeyboardInterrupt:
        return
    finally:
        watcher.stop()


@contextmanager
def _keys() -> Iterator[None]:
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


def _quit_asked(wait_s: float) -> bool:
    """q, or the end of the input of a terminal that is gone. Without a terminal: only Ctrl-C."""
    if not sys.stdin.isatty():
        time.sleep(wait_s)
        return False
    ready, _, _ = select.select([sys.stdin], [], [], wait_s)
    return bool(ready) and os.read(sys.stdin.fileno(), 64)[:1] in (b"", b"q", b"Q", b"\x03", b"\x1b")
