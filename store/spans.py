"""How long a worker's time still lasts, how long runs take, and which run is worth beginning in it. Pure.

A run is begun when it ends in time; or when it hops, that is, goes on from its checkpoint elsewhere, and the time is
worth the start; or when nobody knows yet. Whatever cannot end in what is left but would in a fresh allocation, and
keeps no checkpoints, is left to others.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from store.runs import Ending, Run

GRACE_S = 30.0
"""What a run is given to leave as long as nobody has seen how long it takes."""

TRY_S = 60.0
"""A run of which nothing is known is begun while there is so much time to work."""

STARTS = 4
"""The time must be so many times what the start costs: at most a quarter of it is lost."""

INTERVALS = 2
"""So many checkpoints must come in it, for those who leave without one."""

SHARE_OF_MARGIN = 12
"""At most a twelfth of a worker's time is kept free before its end."""

KEPT = 25
"""Of so many attempts an experiment remembers how fast they went."""

SHORTEST_S = 5.0
"""Shorter attempts tell nothing that matters to whoever has minutes left."""

_OWN, _SIBLINGS, _TOO_SHORT = 1.2, 1.1, 1.25
_TRUSTED_FRACTION = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A worker's time: what is left of it, what it was in all, and what is kept free before its end. Seconds."""

    left_s: float
    whole_s: float
    margin_s: float

    @classmethod
    def of(cls, left_s: float, whole_s: float, margin_s: float) -> "Span":
        """Of a short time the margin is a small part."""
        return cls(left_s=left_s, whole_s=whole_s, margin_s=min(margin_s, whole_s / SHARE_OF_MARGIN))

    @property
    def usable_s(self) -> float:
        """Until when something may run that then has ended."""
        return self.left_s - self.margin_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """What was seen of one attempt. None: it did not come to that.

    `start_s`: from its claim to the first that it reported. `every_s`: between two checkpoints. `leave_s`: from being
    asked to leave until it had left of itself. `store_s`: the longest that storing one checkpoint took. `took_s`: of a
    finished run, all that it worked since it began from nothing. `wasted_s`: it worked that long, left when it was
    asked, and stored no checkpoint. `saves`: it has stored one.
    """

    start_s: float | None = None
    every_s: float | None = None
    leave_s: float | None = None
    store_s: float | None = None
    took_s: float | None = None
    wasted_s: float | None = None
    saves: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What a run's attempts say of the next one.

    `rest_s`: how long the rest takes at the pace so far. `hops`: it has a checkpoint. `wasted_s`: of the attempts since
    its newest checkpoint that left when they were asked, how long the longest worked. `pace`: the newest of each that
    was seen.
    """

    rest_s: float | None = None
    hops: bool = False
    wasted_s: float = 0.0
    pace: Pace = Pace()


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a run needs of a worker's time. None: nobody knows.

    `rest_s`: until it has ended. `hops`: it can go on elsewhere. `worth_s`: the least work that is worth its start.
    `above_s`: so much work was not enough for a checkpoint. `leave_s`: for leaving with one.
    """

    rest_s: float | None = None
    hops: bool | None = None
    worth_s: float = 0.0
    above_s: float = 0.0
    leave_s: float = GRACE_S


# ── what is known ──
def together(paces: Sequence[Pace]) -> Pace:
    """Of the attempts of one experiment: what is usual of what comes again, the most of what may be lost."""
    return Pace(
        start_s=_of(median, (one.start_s for one in paces)),
        every_s=_of(median, (one.every_s for one in paces)),
        leave_s=_of(max, (one.leave_s for one in paces)),
        store_s=_of(max, (one.store_s for one in paces)),
        took_s=_of(max, (one.took_s for one in paces)),
        wasted_s=_of(max, (one.wasted_s for one in paces)),
        saves=any(one.saves for one in paces),
    )


def _of(choose: Callable[[list[float]], float], values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return choose(known) if known else None


def outlook_after(run: "Run", ending: "Ending | None", now: datetime) -> Outlook:
    """What the run's attempts say once the current one has ended with `ending`, `now`."""
    before = run.outlook or Outlook()
    seen = ending.pace if ending is not None and ending.pace is not None else Pace()
    wasted_s = 0.0 if _made_progress(run) else max(before.wasted_s, _wasted_s(run, seen, now) or 0.0)
    return Outlook(
        rest_s=_rest_s(run, now),
        hops=run.checkpoint is not None,
        wasted_s=wasted_s,
        pace=Pace(
            start_s=_newer(seen.start_s, before.pace.start_s),
            every_s=_newer(seen.every_s, before.pace.every_s),
            leave_s=_newer(seen.leave_s, before.pace.leave_s),
            store_s=_newer(seen.store_s, before.pace.store_s),
        ),
    )


def pace_of(run: "Run", ending: "Ending", now: datetime) -> Pace | None:
    """What the current attempt tells its siblings when it ends with `ending`; None: nothing."""
    seen = ending.pace or Pace()
    worked_s = (now - run.history[-1].started_at).total_seconds() if run.history else 0.0
    if worked_s < SHORTEST_S:
        return None
    return replace(
        seen,
        took_s=_worked_s(run, now) if ending.reason is None else None,
        wasted_s=_wasted_s(run, seen, now) if not _made_progress(run) else None,
        saves=run.checkpoint is not None,
    )


def _newer(new: float | None, old: float | None) -> float | None:
    return old if new is None else new


def _made_progress(run: "Run") -> bool:
    return run.checkpoint is not None and run.checkpoint.attempt == run.attempt


def _wasted_s(run: "Run", seen: Pace, now: datetime) -> float | None:
    """One that was killed may keep a checkpoint yet when it is asked."""
    if seen.leave_s is None or not run.history:
        return None
    return (now - run.history[-1].started_at).total_seconds()


def _worked_s(run: "Run", now: datetime) -> float:
    """Of all attempts since the run last began from nothing."""
    worked_s = 0.0
    for attempt in reversed(run.history):
        worked_s += ((attempt.ended_at or now) - attempt.started_at).total_seconds()
        if attempt.resumed_from_step is None:
            break
    return worked_s


def _rest_s(run: "Run", now: datetime) -> float | None:
    if run.progress is None or run.progress.fraction < _TRUSTED_FRACTION:
        return None
    worked_s = _worked_s(run, now)
    if run.checkpoint is None:  # all of it anew
        return worked_s / run.progress.fraction
    return worked_s * (1 - run.progress.fraction) / run.progress.fraction


# ── what is needed ──
def needs(
    *, time_s: float | None, own: Outlook | None, siblings: Pace | None, ours: bool, grace_s: float = GRACE_S
) -> Needs:
    """`time_s`: the run's time limit. `siblings`: of its experiment, None: no attempt yet. `ours`: our own trainer."""
    mine, theirs = own or Outlook(), siblings or Pace()
    hops = True if mine.hops or theirs.saves or ours else None
    if hops is None and (theirs.took_s is not None or theirs.wasted_s is not None or mine.wasted_s):
        hops = False
    start_s = _newer(mine.pace.start_s, theirs.start_s) or 0.0
    every_s = _newer(mine.pace.every_s, theirs.every_s) or 0.0
    above_s = mine.wasted_s
    if hops is False and theirs.took_s is None:
        above_s = max(above_s, theirs.wasted_s or 0.0)
    return Needs(
        rest_s=_least(time_s, _predicted_s(mine, theirs)),
        hops=hops,
        worth_s=max(STARTS * start_s, start_s + INTERVALS * every_s),
        above_s=_TOO_SHORT * above_s,
        leave_s=leaving_s(grace_s, _newer(mine.pace.leave_s, theirs.leave_s))
        + 2 * (_newer(mine.pace.store_s, theirs.store_s) or 0.0),
    )


def leaving_s(grace_s: float, seen_s: float | None) -> float:
    """What a run is given to leave: its grace, less once it is known to need less."""
    return grace_s if seen_s is None else min(grace_s, 2 * seen_s + 1.0)


def _predicted_s(mine: Outlook, theirs: Pace) -> float | None:
    if mine.rest_s is not None:
        return _OWN * mine.rest_s
    return None if theirs.took_s is None else _SIBLINGS * theirs.took_s


def _least(*values: float | None) -> float | None:
    return min((value for value in values if value is not None), default=None)


# ── what fits ──
def is_worth(span: Span, needed: Needs) -> bool:
    """Whether a worker with so much time should begin the run."""
    work_s = span.usable_s - min(needed.leave_s, span.whole_s / 4)
    if needed.rest_s is not None and needed.rest_s <= span.usable_s:
        return True
    if work_s <= needed.above_s:
        return False
    if needed.hops:
        return work_s > 0 and work_s >= min(needed.worth_s, span.whole_s / 2)
    if needed.rest_s is None:
        return work_s >= min(TRY_S, span.whole_s / 2)
    # Where no allocation is long enough, the only hope is that it keeps a checkpoint, as long as nobody knows.
    too_long = needed.rest_s > span.whole_s - span.margin_s
    return needed.hops is None and too_long and work_s >= span.whole_s / 2
