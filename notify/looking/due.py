"""Which runs a round looks at, and in which order. Pure."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from store.glimpses import Glimpse
from store.states import State

LONGEST_PAUSE_S = 300.0
_SHARE = 0.01
"""A run that has gone on for an hour may go on for another 36 s before somebody looks again."""
_QUIET = 4
"""Of a run that reports nothing, only its samples and the time since its last line are new."""


def chosen(glimpses: Iterable[Glimpse], now: datetime, diagnose_s: float) -> list[Glimpse]:
    """Those that have left come first, for they are looked at once; then those that were not seen for longest."""
    due = [one for one in glimpses if is_due(one, now, diagnose_s)]
    return sorted(due, key=lambda one: (one.state is State.RUNNING, _looked_at(one) or one.started_at or now))


def is_due(seen: Glimpse, now: datetime, diagnose_s: float) -> bool:
    """A run that has begun, and that there may be something new about."""
    if seen.started_at is None:
        return False
    last = seen.last_look
    if last is not None and last.attempt == seen.attempt and last.over:
        return False
    if seen.state is not State.RUNNING:
        return True
    if seen.shipped.attempt != seen.attempt:
        return False  # it has not begun: points that will be dropped are still there
    looked_at = _looked_at(seen)
    if looked_at is None:
        return seen.shipped.events_lines > 0 or now - seen.started_at >= timedelta(seconds=diagnose_s)
    quiet = last is not None and last.lines == seen.shipped.events_lines
    pause_s = pause(diagnose_s, (now - seen.started_at).total_seconds())
    return now - looked_at >= timedelta(seconds=pause_s * (_QUIET if quiet else 1))


def pause(diagnose_s: float, age_s: float) -> float:
    """Between two looks at a run that is so old: nobody gains by seeing a week's work checked twice a minute."""
    return max(diagnose_s, min(diagnose_s + _SHARE * age_s, LONGEST_PAUSE_S))


def _looked_at(seen: Glimpse) -> datetime | None:
    return seen.last_look.looked_at if seen.last_look is not None and seen.last_look.attempt == seen.attempt else None
