"""The rules round: reads what is owed and what the clock says, decides, and writes all that follows in one transaction.

    owed events ─► happenings ─┐
    running runs, workers ─────┼─► rules that ask for it ─► notices, parts of digests, what is remembered ─► Store.owe
    experiments that are over ─┘

Any notifier may do it. The lock saves work, the transaction keeps the promise: nothing is lost, nothing told twice,
whoever is killed and however many do it at once.
"""

import time
from collections.abc import Callable, Sequence

from notify.rules.events import Page
from notify.rules.look import Look
from notify.rules.sweeps import look_at_sweeps
from notify.rules.ticks import look_at_running, look_at_workers
from store.errors import LabqError, StoreUnavailable
from store.logbook import say, warn
from store.settings import Settings
from store.store import Store
from store.telling import Owed, Telling

PAGE = 500
PAGES_AT_ONCE = 12
"""Then the messages that are owed get their turn."""
CLOCK_S = 10.0
"""Pause between two looks at running runs, at workers, and at studies that will ask for more."""


class RulesRound:
    """Called again and again by a notifier."""

    def __init__(self, store: Store, settings: Settings, owner: str) -> None:
        self._store, self._settings, self._owner = store, settings, owner
        self._lease_s = min(settings.repair_s, CLOCK_S)
        self._clock_at = -CLOCK_S

    def once(self, *, alone: bool = False) -> int:
        """Deal with what is owed; returns with how many events. `alone`: also while another notifier is at it.

        Raises StoreUnavailable; whatever else goes wrong keeps no message that is owed from being sent.
        """
        held_s = self._store.lock("rules", self._owner, self._lease_s, gap_s=self._settings.living_s)
        if held_s is None and not alone:
            return 0
        dealt = self._drain()
        is_time = time.monotonic() >= self._clock_at + CLOCK_S
        if dealt or is_time:
            _guarded(lambda: look_at_sweeps(Look(self._store)))
        if held_s is not None and is_time:
            since_s = held_s
            _guarded(lambda: self._look_at_clock(since_s))
            self._clock_at = time.monotonic()
        self._store.close_digests()
        return dealt

    def _drain(self) -> int:
        dealt = 0
        for _ in range(PAGES_AT_ONCE):
            owed = self._store.owed(PAGE)
            if not owed:
                break
            try:
                dealt += self._deal_with(owed)
            except StoreUnavailable:
                raise
            except LabqError as error:
                warn("rules-failed", error=error)
                break
        if dealt:
            say("rules-round", events=dealt)
        return dealt

    def _deal_with(self, owed: Sequence[Owed]) -> int:
        """One event that nobody can understand must not keep all others from being told."""
        try:
            return len(owed) if Page(Look(self._store), owed).deal() else 0
        except LabqError:
            raise
        except Exception as error:  # noqa: BLE001
            if len(owed) > 1:
                return sum(self._deal_with([one]) for one in owed)
            warn("event-not-told", run=owed[0].event.run, about=owed[0].about, error=repr(error))
            return int(self._store.owe(Telling(events=(owed[0].id,))))

    def _look_at_clock(self, held_s: float) -> None:
        look_at_running(Look(self._store))
        look_at_workers(Look(self._store), self._settings.living_s, held_s)


def _guarded(work: Callable[[], None]) -> None:
    try:
        work()
    except StoreUnavailable:
        raise
    except Exception as error:  # noqa: BLE001
        warn("rules-stumbled", error=repr(error))
