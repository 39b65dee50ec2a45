"""The reading in a thread of its own: a server that does not answer keeps nobody from quitting."""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from store.errors import LabqError, StoreUnavailable

T = TypeVar("T")


class Watcher(Generic[T]):
    """One round after the other, with a pause after each, so that slow rounds do not pile up.

    `lost` says of a picture that it is the last one, and why. `rest`: the pause is at least so many times as long as
    the round took.
    """

    def __init__(
        self, read: Callable[[], T], first: T, every_s: float, lost: Callable[[T, str], T], rest: float = 0.0
    ) -> None:
        self._read, self._lost = read, lost
        self._every_s, self._rest = every_s, rest
        self._picture = first
        self._error: LabqError | None = None
        self._over = False
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._work, name="watcher", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """No further rounds; one that waits for a server is not waited for."""
        self._over = True
        self._wake.set()

    def hurry(self) -> None:
        """The next round now: something else is wanted."""
        self._wake.set()

    @property
    def picture(self) -> T:
        """The newest. Raises what ended the reading."""
        if self._error is not None:
            raise self._error
        return self._picture

    def _work(self) -> None:
        pause_s = self._every_s
        while True:
            self._wake.wait(pause_s)
            self._wake.clear()
            if self._over:
                return
            began = time.monotonic()
            try:
                self._picture = self._read()
            except StoreUnavailable as error:
                self._picture = self._lost(self._picture, str(error))
            except LabqError as error:
                self._error = error
                return
            pause_s = max(self._every_s, self._rest * (time.monotonic() - began))
