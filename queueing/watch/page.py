"""The page: what somebody looks at, over what is being read."""

from dataclasses import replace
from typing import TYPE_CHECKING

from queueing.live.watcher import Watcher
from queueing.watch.look import Look, pressed
from queueing.watch.picture import Picture
from queueing.watch.reading import Reader

if TYPE_CHECKING:
    from rich.console import RenderableType

REST = 2.0
"""Reading takes a third of the time at most, here and on the server, however much there is to read."""


class WatchPage:
    """Drawn again after every round and every key."""

    def __init__(self, reader: Reader, first: Picture, look: Look, every_s: float) -> None:
        self._reader, self._look = reader, look
        self._watcher = Watcher(reader.read, first, every_s, lambda last, why: replace(last, away=why), rest=REST)

    def start(self) -> None:
        """Begin to read."""
        self._watcher.start()

    def stop(self) -> None:
        """Read no more."""
        self._watcher.stop()

    def look(self) -> object:
        """How it is looked at, and which round this is."""
        picture = self._watcher.picture
        return self._look, picture.number, picture.away

    def draw(self, width: int, height: int) -> "RenderableType":
        """Raises what ended the reading."""
        from queueing.watch.view import render

        return render(self._watcher.picture, self._look, width, height)

    def press(self, key: str) -> bool:
        """Whether to stay. What has to be read for the new look is read at once."""
        after = pressed(self._look, key, self._watcher.picture)
        if after is None:
            return False
        if after.wanted != self._look.wanted:
            self._reader.want(after.wanted)
            self._watcher.hurry()
        self._look = after
        return True
