"""Whoever passes by takes a turn at looking: workers beside their renewals, notifiers between two messages."""

import os
import time
from collections.abc import Callable

from notify.looking.due import chosen
from store.errors import LabqError
from store.logbook import say, warn
from store.settings import Settings
from store.store import Store

ROUND_S = 5.0
"""More often than one run is looked at, so that whatever ends is looked at soon; a round without a look is cheap."""
ENDED_AT_MOST = 100


def _never() -> bool:
    return False


class Looker:
    """Due every few seconds. Whatever goes wrong keeps nobody from what they are here for."""

    def __init__(self, settings: Settings, owner: str) -> None:
        """Processes of one worker are told apart: whoever looks first does it for all of them."""
        self._settings, self._owner = settings, f"{owner}-{os.getpid()}"
        self._round_s = min(ROUND_S, settings.diagnose_s)
        self._next_at = time.monotonic()

    def is_due(self) -> bool:
        """Whether it is time for a turn."""
        return time.monotonic() >= self._next_at

    def turn(self, store: Store, at_most_s: float, leave: Callable[[], bool] = _never) -> None:
        """One round, if it is time and nobody else is at it. Raises nothing.

        It ends `at_most_s` seconds after its begin, or when asked to `leave`, but for the look that it is at.
        """
        if not self.is_due():
            return
        deadline, pause_s = time.monotonic() + at_most_s, self._round_s
        try:
            # For half a round: one who always comes back in time would shut out others, whose settings may differ.
            if store.lock("diagnosis", self._owner, self._round_s / 2, gap_s=self._round_s) is None:
                pause_s = self._settings.diagnose_s  # somebody else is at it; a thousand need not ask all the time
            elif self._look(store, lambda: time.monotonic() > deadline or leave()):
                pause_s = 0.0
        except LabqError as error:
            warn("diagnosis-failed", error=error)
        except Exception as error:  # noqa: BLE001 - a library that is missing, a document that nobody can read
            warn("diagnosis-stumbled", error=repr(error))
        self._next_at = time.monotonic() + pause_s

    def _look(self, store: Store, enough: Callable[[], bool]) -> bool:
        """Whether looks are left that were due."""
        now = store.now()
        due = chosen(store.glimpses(ENDED_AT_MOST), now, self._settings.diagnose_s)
        if not due:
            return False
        from notify.looking.round import look_around  # and with it NumPy, which most processes of a worker never need

        done = look_around(store, due, now, enough)
        if done.found:
            say("found", runs=",".join(done.found))
        return done.looked < len(due)
