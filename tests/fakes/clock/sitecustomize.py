"""Sleep under libfaketime: it takes the monotonic time that Python's own sleep waits for to be one of its wrong ones.

(clock_nanosleep with TIMER_ABSTIME says EINVAL, libfaketime 0.9.10; all other waits are right.)
"""

import select
import time


def sleep(seconds: float) -> None:
    """The same, through select."""
    if seconds < 0:
        raise ValueError("sleep length must be non-negative")
    select.select([], [], [], seconds)


time.sleep = sleep
