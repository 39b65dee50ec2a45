"""What is seen of an attempt's speed while it runs, for its next attempts and its siblings."""

import time
from collections.abc import Callable
from dataclasses import replace

from store.spans import SHORTEST_S, Pace, Span, leaving_s

_TELLING_S = 1.0
"""Shorter attempts say nothing."""


class Pacing:
    """Told by the threads beside a child; `known` is what earlier attempts have shown."""

    def __init__(self, grace_s: float, known: Pace, clock: Callable[[], float] = time.monotonic) -> None:
        self._grace_s, self._known, self._clock = grace_s, known, clock
        self._began_at = clock()
        self._reported_at: float | None = None
        self._checkpoints = 0
        self._announced_at: float | None = None
        self._asked_at: float | None = None
        self._leave_s: float | None = None
        self._store_s: float | None = None

    def learn(self, siblings: Pace) -> None:
        """What the run itself has not shown yet, others of its experiment may have."""
        self._known = replace(
            self._known,
            leave_s=siblings.leave_s if self._known.leave_s is None else self._known.leave_s,
            store_s=siblings.store_s if self._known.store_s is None else self._known.store_s,
        )

    # ── seen ──
    def reported(self, checkpoints: int) -> None:
        """Further lines were read, so many of them checkpoints."""
        now = self._clock()
        self._reported_at = self._reported_at or now
        if checkpoints and self._asked_at is None:  # that which is made on request tells nothing of the interval
            self._checkpoints += checkpoints
            self._announced_at = now

    def stored(self, took_s: float) -> None:
        """A checkpoint was stored."""
        self._store_s = max(self._store_s or 0.0, took_s)

    def asked(self) -> None:
        """The child was asked to leave."""
        self._asked_at = self._asked_at or self._clock()

    def left(self) -> None:
        """It left of itself."""
        if self._asked_at is not None and self._leave_s is None:
            self._leave_s = self._clock() - self._asked_at

    # ── said ──
    def pace(self) -> Pace | None:
        """What this attempt has shown; None: too little."""
        if self._clock() - self._began_at < _TELLING_S:
            return None
        start_s = None if self._reported_at is None else self._reported_at - self._began_at
        return Pace(start_s=start_s, every_s=self._every_s(), leave_s=self._leave_s, store_s=self._store_s)

    def _every_s(self) -> float | None:
        if self._announced_at is None or self._reported_at is None:
            return None
        watched_s = self._announced_at - self._reported_at
        return watched_s / self._checkpoints if watched_s >= SHORTEST_S else None

    # ── the end of a span ──
    def leaving_s(self, grace_s: float) -> float:
        """What it is given to leave, as long as there is time."""
        return leaving_s(grace_s, self._known.leave_s)

    def ask_in_s(self, span: Span) -> float:
        """How long until the child must be asked to leave: its checkpoint must be stored before the margin begins."""
        leave_s = self.leaving_s(self._grace_s) + self._storing_s()
        return span.usable_s - min(leave_s, span.whole_s / 4)

    def gone_in_s(self, span: Span) -> float:
        """How long until it must be gone, so that what it has left can be stored."""
        return span.usable_s - min(self._storing_s(), span.whole_s / 8)

    def gone_after_s(self, notice_s: float) -> float:
        """How long after a last signal it must be gone, when SIGKILL follows after `notice_s`."""
        return notice_s - min(max(1.0, notice_s / 10) + self._storing_s(), notice_s / 2)

    def _storing_s(self) -> float:
        return 2 * max(self._store_s or 0.0, self._known.store_s or 0.0)
