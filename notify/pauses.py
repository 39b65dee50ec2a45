"""How long to wait before the next try. Pure but for `Rest`, which remembers."""

import random
import time
from dataclasses import dataclass

LONGEST_PAUSE_S = 900.0
_FIRST_PAUSE_S = 5.0


def retry_pause(tries: int, luck: float = 0.5) -> float:
    """Doubling from five seconds to a quarter of an hour, a quarter more or less as `luck` (0 to 1) has it.

    Without the latter, what one outage has put off would come all at once, again and again.
    """
    pause_s = min(_FIRST_PAUSE_S * 2.0 ** min(max(tries - 1, 0), 20), LONGEST_PAUSE_S)
    return pause_s * (0.75 + 0.5 * luck)


@dataclass
class Rest:
    """A server that is away is asked by one message at a time, not by all that are owed."""

    trouble: str = ""
    times: int = 0
    until: float = 0.0

    def begin(self, trouble: str) -> float:
        """Leave it alone for a while: how long."""
        self.trouble, self.times = trouble, self.times + 1
        pause_s = retry_pause(self.times, random.random())
        self.until = time.monotonic() + pause_s
        return pause_s

    def over(self) -> None:
        """It is back."""
        self.trouble, self.times, self.until = "", 0, 0.0

    @property
    def left_s(self) -> float:
        """Zero: ask it."""
        return max(self.until - time.monotonic(), 0.0)
