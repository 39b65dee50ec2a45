"""News by Redis, so that what people ask is heard at once. Without Redis it is heard at the next renewal."""

import threading
import time
from collections.abc import Callable, Sequence

from queueing.doorbell import Listener
from store.errors import DoorbellUnavailable
from worker.threads import start

_SETTLE_IN_S = 0.5
"""A run that is over by then is spared the connection."""

_AGAIN_S = 5.0
_SILENCE_S = 60.0
"""Then it subscribes anew: a connection that a router has dropped is silent as well."""

_PATIENCE_S = 2.0
"""How long the connection may outlive its run: the supervisor's process may go on to others."""


def listen(url: str, timeout_s: float, channels: Sequence[str], heard: Callable[[], None]) -> threading.Event:
    """Calls `heard` from a thread whenever something is said on the channels, until the returned event is set."""
    stop = threading.Event()
    work = threading.Thread(target=_work, args=(url, timeout_s, channels, heard, stop), name="listener", daemon=True)
    start(work)
    return stop


def _work(
    url: str, timeout_s: float, channels: Sequence[str], heard: Callable[[], None], stop: threading.Event
) -> None:
    pause_s = _SETTLE_IN_S
    while not stop.wait(pause_s):
        try:
            _listen(Listener(url, timeout_s, channels), heard, stop)
            pause_s = 0.0
        except DoorbellUnavailable:
            pause_s = _AGAIN_S


def _listen(listener: Listener, heard: Callable[[], None], stop: threading.Event) -> None:
    silent_until = time.monotonic() + _SILENCE_S
    try:
        while not stop.is_set() and time.monotonic() < silent_until:
            if listener.heard(_PATIENCE_S):
                silent_until = time.monotonic() + _SILENCE_S
                heard()
    finally:
        listener.close()
