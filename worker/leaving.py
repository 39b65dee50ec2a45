"""How long an attempt may still go on: until its worker's time ends, or SIGKILL follows a signal."""

import math
import signal
import time

from store.logbook import warn
from store.runs import Run
from worker.pacing import Pacing
from worker.stopping import Requests
from worker.term import Term

_ASLEEP_S = 60.0
_LEAST_S = 1.0
"""Whoever stores what is left tries at least that long."""


class Leaving:
    """Seconds until things must have happened; infinite where nothing presses."""

    def __init__(self, run: Run, term: Term, pacing: Pacing, requests: Requests) -> None:
        self._run, self._term, self._pacing, self._requests = run, term, pacing, requests

    def ask_in_s(self) -> float:
        """Until the child must be asked to leave because the worker's time ends."""
        span = self._term.span()
        return math.inf if span is None else self._pacing.ask_in_s(span)

    def look_in_s(self) -> float:
        """Until somebody should ask again: a machine that slept has less time left than was waited for."""
        return min(self.ask_in_s(), math.inf if self._term.span() is None else _ASLEEP_S)

    def gone_in_s(self) -> float:
        """Until a child that was asked must be gone."""
        span = self._term.span()
        by_span_s = math.inf if span is None else self._pacing.gone_in_s(span)
        told_s = self._since_last_signal_s()
        if told_s is None or self._term.notice_s is None:
            return by_span_s
        return min(by_span_s, self._pacing.gone_after_s(self._term.notice_s) - told_s)

    def patience_s(self, most_s: float) -> float:
        """How long to try to store what is left: `most_s`, or as long as there is time."""
        ends = [self._term.left_s(), self._notice_left_s()]
        return max(_LEAST_S, min([most_s, *(end - _LEAST_S for end in ends if end is not None)]))

    def asked(self, grace_s: float) -> None:
        """The child was asked this moment; say so when it has less time than it was seen to need, or its grace."""
        self._pacing.asked()
        given_s = self.gone_in_s()
        if given_s < self._pacing.leaving_s(grace_s):
            short = f"{max(0.0, given_s):.1f}"
            warn("less-than-its-grace", run=self._run.id, attempt=self._run.attempt, grace_s=grace_s, given_s=short)

    @property
    def allocation(self) -> str:
        """For the record: what the time was granted by."""
        return self._term.allocation or "--until"

    def _since_last_signal_s(self) -> float | None:
        """Since the first of those signals that SIGKILL follows."""
        last = [
            at
            for number, at in self._requests.first_at.items()
            if number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
            and self._term.is_last(usr1=number == signal.SIGUSR1)
        ]
        return time.monotonic() - min(last) if last else None

    def _notice_left_s(self) -> float | None:
        told_s = self._since_last_signal_s()
        return None if told_s is None or self._term.notice_s is None else self._term.notice_s - told_s
