"""Things to be done every few seconds by whoever passes by: one clock for all who may do them."""

import time
from collections.abc import Callable


class Rounds:
    """Due at once, and again `every_s` seconds after it was done."""

    def __init__(self, every_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._every_s, self._clock = every_s, clock
        self._next_at = clock()

    def in_s(self) -> float:
        """How long until it is due: 0 or less when it is."""
        return self._next_at - self._clock()

    def is_due(self) -> bool:
        """Whether it should be done now."""
        return self.in_s() <= 0

    def done(self, *, unfinished: bool = False) -> None:
        """It was done just now; what is left to do is due at once."""
        self._next_at = self._clock() + (0.0 if unfinished else self._every_s)
