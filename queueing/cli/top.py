"""`labq top`: the lab, live."""

import argparse
import os
from dataclasses import replace
from typing import TYPE_CHECKING

from queueing.cli.context import opened_store, print_json, settings
from queueing.live.keyboard import Key
from queueing.live.page import can_show, show
from queueing.live.watcher import Watcher
from queueing.top.picture import Picture
from queueing.top.reading import Reader
from store.errors import ExitCode

if TYPE_CHECKING:
    from rich.console import RenderableType

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
        elif options.once or not can_show():
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


class _Top:
    """The page. Nothing but leaving can be asked of it."""

    def __init__(self, watcher: "Watcher[Picture]") -> None:
        self._watcher = watcher

    def look(self) -> object:
        return self._watcher.picture

    def draw(self, width: int, height: int) -> "RenderableType":
        from queueing.top.view import render

        return render(self._watcher.picture, width, height)

    def press(self, key: str) -> bool:
        return key not in ("q", "Q", Key.ESCAPE)


def _live(reader: Reader, first: Picture, every_s: float) -> None:
    watcher = Watcher(reader.read, first, every_s, lambda last, why: replace(last, away=why))
    watcher.start()
    try:
        show(_Top(watcher))
    finally:
        watcher.stop()
