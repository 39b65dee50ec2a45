"""The reading in a thread of its own: a server that does not answer keeps nobody from quitting."""

import threading
from dataclasses import replace

from queueing.top.picture import Picture
from queueing.top.reading import Reader
from store.errors import LabqError, StoreUnavailable


class Watcher:
    """One round after the other, with a pause after each, so that slow rounds do not pile up."""

    def __init__(self, reader: Reader, first: Picture, every_s: float) -> None:
        self._reader, self._every_s = reader, every_s
        self._picture = first
        self._error: LabqError | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="top", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """No further rounds; one that waits for a server is not waited for."""
        self._stop.set()

    @property
    def picture(self) -> Picture:
        """The newest. Raises what ended the reading."""
        if self._error is not None:
            raise self._error
        return self._picture

    def _work(self) -> None:
        while not self._stop.wait(self._every_s):
            try:
                self._picture = self._reader.read()
            except StoreUnavailable as error:
                self._picture = replace(self._picture, away=str(error))
            except LabqError as error:
                self._error = error
                return
