"""What people ask of runs: pure decisions, which every store carries out in one transaction.

A waiting run changes at once. A running one is asked (`Run.wish`): its supervisor sees that at the next renewal.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from store.errors import IllegalTransition
from store.runs import Run
from store.states import ENDED, Reason, State, Wish, check_transition


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One request to any number of runs. `apply` raises IllegalTransition for a run that it does not suit.

    `by`, `because`: who asked, and why, for the record; `reasons`: why, of some runs by their ids. `scratch`: stored
    checkpoints go with it.
    """

    name: str
    apply: Callable[[Run, datetime], Run]
    by: str = ""
    because: str = ""
    reasons: Mapping[str, str] = field(default_factory=dict)
    scratch: bool = False

    def because_of(self, run_id: str) -> str:
        """Why, for this run."""
        return self.reasons.get(run_id, self.because)


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """What came of it: the runs as they are now, and why others were left alone."""

    runs: tuple[Run, ...] = ()
    refused: dict[str, str] | None = None


def cancelled(run: Run, now: datetime) -> Run:
    """Stopped for good, unless somebody requeues it."""
    judged = run.judged.overruling()
    if run.state is State.RUNNING:
        return replace(run, wish=Wish.CANCEL, judged=judged)
    check_transition(run.id, run.state, State.CANCELLED)
    judged = replace(judged, unread=True)
    return replace(run, state=State.CANCELLED, reason=Reason.STOPPED, ended_at=now, judged=judged)


def paused(run: Run, _now: datetime) -> Run:
    """Kept from being claimed until it is resumed. A running one checkpoints first."""
    if run.state is State.RUNNING:
        if run.wish is Wish.CANCEL:
            raise IllegalTransition(f"run {run.id} is being stopped already")
        return replace(run, wish=Wish.PAUSE, judged=run.judged.overruling())
    if run.judged.held is not None and run.state is State.PAUSED:
        return replace(run, judged=run.judged.overruling())  # from now on it waits for a person
    check_transition(run.id, run.state, State.PAUSED)
    return replace(run, state=State.PAUSED)


def resumed(run: Run, now: datetime) -> Run:
    """Goes on from where it is: a paused run waits in the queue again, an ended one is requeued.

    A running one that was asked to pause or to leave is asked no more; one that has left already comes back.
    What a stopping rule has said of it holds no more.
    """
    if run.state is State.PAUSED:
        return replace(run, state=State.QUEUED, not_before=None, judged=run.judged.overruling())
    if run.state is State.RUNNING and run.wish is not None:
        return replace(run, wish=None, judged=run.judged.overruling())
    if run.state in (State.RUNNING, State.QUEUED):
        raise IllegalTransition(f"run {run.id} is {run.state} already")
    return requeued(run, now)


def requeued(run: Run, _now: datetime) -> Run:
    """An ended run back in the queue; it goes on from its checkpoint. A running one checkpoints and goes back."""
    if run.state is State.RUNNING:
        if run.wish is Wish.CANCEL:
            raise IllegalTransition(f"run {run.id} is being stopped; requeue it when it has ended")
        return replace(run, wish=Wish.REQUEUE, judged=run.judged.overruling())
    if run.state is State.PAUSED:
        raise IllegalTransition(f"run {run.id} is paused; to let it go on: labq resume {run.id}")
    return _anew(run)


def scratched(run: Run, _now: datetime) -> Run:
    """An ended run back in the queue, its checkpoints forgotten."""
    return replace(_anew(run), checkpoint=None, outlook=None)


def prioritised(priority: int) -> Callable[[Run, datetime], Run]:
    """Claimed before those of a smaller priority; that of a running one counts when it comes back."""

    def apply(run: Run, _now: datetime) -> Run:
        if run.state in ENDED:
            raise IllegalTransition(f"run {run.id} is {run.state}: its priority means nothing any more")
        return replace(run, priority=priority)

    return apply


def _anew(run: Run) -> Run:
    if run.state not in ENDED:
        raise IllegalTransition(f"run {run.id} is {run.state}: only an ended run can be requeued")
    if run.origin:
        raise IllegalTransition(f"run {run.id} was imported ({run.origin}): labq does not know how to run it")
    return replace(
        run,
        state=State.QUEUED,
        reason=None,
        setbacks=0,
        ending=None,
        not_before=None,
        ended_at=None,
        remark="",
        refusals=(),
        judged=run.judged.overruling(),
    )
