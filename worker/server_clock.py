"""What MongoDB's clock says on a host whose own clock is wrong."""

import time
from collections.abc import Callable
from datetime import datetime

WRONG_S = 60.0
"""Less is the time that answers take, or a clock that somebody is just setting right."""


def elapsed_s() -> float:
    """Seconds that pass whatever happens to the clock on the wall: sleeping counts, where the system can tell."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class ServerClock:
    """Made at the moment `at` of the server's clock. On a host that is right its own clock counts."""

    def __init__(
        self, at: datetime, wall: Callable[[], float] = time.time, elapsed: Callable[[], float] = elapsed_s
    ) -> None:
        self._wall, self._elapsed = wall, elapsed
        self._wrong_s = at.timestamp() - wall()
        self._anchor_s = wall() - elapsed()

    def offset_s(self) -> float:
        """What must be added to a time of this host; 0 where its clock is right. A clock set right meanwhile counts."""
        if abs(self._wrong_s) < WRONG_S:
            return 0.0
        set_by_s = self._wall() - self._elapsed() - self._anchor_s
        offset_s = self._wrong_s - set_by_s
        return offset_s if abs(offset_s) >= WRONG_S else 0.0
