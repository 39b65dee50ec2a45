"""When this worker's time ends: by what its user said, by the scheduler that lent it a machine, or never.

Limits can be changed while a job runs, so the scheduler is asked again now and then, more often towards the end. One
that does not answer changes nothing.
"""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from store.errors import LabqError
from store.logbook import say, warn
from store.spans import Span
from store.workers import Worker
from worker.cluster.here import Granted
from worker.cluster.remaining import Remaining
from worker.server_clock import elapsed_s
from worker.threads import start

_OFTEN_S, _SELDOM_S, _ENDLESS_S = 15.0, 300.0, 600.0
_LEAST_S = 10.0
_WARNINGS_S = 900.0
"""So long before the end warnings of it are asked for, at most."""

CHANGED_S = 5.0
"""Less is the rounding of the scheduler's answers."""


@dataclass(frozen=True, slots=True)
class _End:
    """On the clock of `elapsed_s`."""

    at_s: float
    whole_s: float


def _nobody() -> None:
    """Nobody waits for the end."""


class Term:
    """One per worker; the process of a look goes on with a copy."""

    def __init__(
        self,
        granted: Granted | None = None,
        *,
        given_s: float | None = None,
        margin_s: float = 15.0,
        clock: Callable[[], float] = elapsed_s,
    ) -> None:
        """`given_s`: the time that the user gave it, counted from now. `margin_s`: kept free before the end."""
        self._granted, self._margin_s, self._clock = granted, margin_s, clock
        self._given = None if given_s is None else _End(clock() + given_s, given_s)
        self._lent = self._end(granted.known) if granted and granted.known else None
        self._is_known = self._lent is not None
        self._ask_at = clock() + (_OFTEN_S if self._is_known else 0.0)
        self._failures = 0
        self._skew_s = 0.0
        self._tell: Callable[[], None] = _nobody
        self.notice_s: float | None = None

    # ── asking ──
    def refresh(self) -> None:
        """Ask the scheduler, if it is time to."""
        if self._granted is None or self._clock() < self._ask_at:
            return
        if self.notice_s is None:
            with suppress(LabqError):
                self.notice_s = self._granted.notice()
        try:
            self._learn(self._end(self._granted.ask()))
            self._failures = 0
        except Exception as error:  # noqa: BLE001 - whatever a scheduler answers, the worker works on
            if self._failures == 0:
                warn("end-not-asked" if self._is_known else "end-unknown", allocation=self.allocation, error=error)
            self._failures += 1
        self._ask_at = self._clock() + self._pause_s()

    def keep_asking(self) -> None:
        """In a thread, for as long as this process lives."""
        if self._granted is not None:
            start(threading.Thread(target=self._work, name="term", daemon=True))

    def listen(self, tell: Callable[[], None]) -> None:
        """`tell` is called, from that thread, when the end has been moved."""
        self._tell = tell

    def _work(self) -> None:
        while True:
            time.sleep(max(0.1, min(_OFTEN_S, self._ask_at - self._clock())))
            self.refresh()

    def _learn(self, found: _End | None) -> None:
        before, self._lent = self._lent, found
        moved_s = None if before is None or found is None else found.at_s - before.at_s
        changed = (before is None) != (found is None) or abs(moved_s or 0.0) > CHANGED_S
        if changed or not self._is_known:
            left_s = self.left_s()
            left = "endless" if left_s is None else f"{left_s:.0f}"
            say("end-changed" if self._is_known else "end-known", allocation=self.allocation, left_s=left)
            self._tell()
        self._is_known = True

    def _pause_s(self) -> float:
        left_s = self.left_s()
        if left_s is None:
            return _ENDLESS_S if self._is_known else min(_OFTEN_S * 2.0 ** (self._failures - 1), _ENDLESS_S)
        return min(max(left_s / 4, _OFTEN_S), _SELDOM_S)

    def _end(self, remaining: Remaining) -> _End | None:
        if remaining.left_s is None:
            return None
        return _End(self._clock() + remaining.left_s, max(remaining.whole_s or 0.0, remaining.left_s))

    # ── what is known ──
    @property
    def allocation(self) -> str:
        """`slurm:12`, `sge:55`; empty on a machine of one's own."""
        return self._granted.name if self._granted is not None else ""

    def span(self) -> Span | None:
        """The worker's time; None: it has no end."""
        ends = [end for end in (self._given, self._lent) if end is not None]
        if not ends:
            return None
        first = min(ends, key=lambda end: end.at_s)
        return Span.of(max(0.0, first.at_s - self._clock()), first.whole_s, self._margin_s)

    def left_s(self) -> float | None:
        """Seconds until the end."""
        span = self.span()
        return None if span is None else span.left_s

    def idle_s(self) -> float | None:
        """How long it is worth waiting for work; 0: nothing can be begun any more."""
        span = self.span()
        return None if span is None else max(0.0, span.usable_s - min(_LEAST_S, span.whole_s / 20))

    def is_last(self, usr1: bool) -> bool:
        """Whether SIGKILL follows `notice_s` after a signal: SIGTERM and SIGUSR2, or SIGUSR1."""
        return self._granted is not None and (not usr1 or self._granted.usr1_is_last)

    def knows_better(self) -> bool:
        """Whether SIGUSR1 now is a warning of the end that we know: Slurm's comes minutes before, and not on time.

        With more time left it was somebody else's: a preemption, a person.
        """
        left_s = self.left_s()
        warns = self._granted is not None and not self._granted.usr1_is_last
        return warns and left_s is not None and left_s <= _WARNINGS_S

    # ── for others to see ──
    def compare(self, server_now: datetime) -> None:
        """What the server's clock says now: others count by it."""
        self._skew_s = server_now.timestamp() - time.time()

    def shown(self, worker: Worker) -> Worker:
        """The worker with its end."""
        span = self.span()
        if span is None:
            return replace(worker, until=None, whole_s=None)
        until = datetime.fromtimestamp(time.time() + self._skew_s + span.left_s, UTC)
        return replace(worker, until=until, whole_s=span.whole_s)
