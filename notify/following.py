"""A run as it was when a notice came to be owed, and what became of it since. Pure."""

from dataclasses import replace

from notify.story import Retrying
from store.notices import Notice
from store.occasions import Occasion
from store.runs import Run
from store.states import ENDED, State

_ENTERED = {
    Occasion.FINISHED: State.FINISHED,
    Occasion.FAILED: State.FAILED,
    Occasion.CANCELLED: State.CANCELLED,
    Occasion.INTERRUPTED: State.QUEUED,
}


def as_it_was(notice: Notice, run: Run) -> Run:
    """The run after the attempt of the notice. It may have been requeued, or have ended again, since."""
    told = next((attempt for attempt in run.history if attempt.number == notice.attempt), None)
    state = _ENTERED.get(notice.about)
    if told is None:
        return run
    if state is None or told.ending is None:
        return replace(run, attempt=told.number) if told.number != run.attempt else run
    return replace(
        run,
        state=state,
        attempt=told.number,
        reason=told.ending.reason or (run.reason if run.attempt == told.number else None),
        ending=told.ending,
        ended_at=told.ended_at if state in ENDED else None,
    )


def retrying(notice: Notice, run: Run) -> Retrying | None:
    """What follows the ending; None where the notice is about none. `run` is as it is now."""
    if notice.about not in (Occasion.FAILED, Occasion.INTERRUPTED):
        return None
    went_on = run.attempt > notice.attempt
    waits = run.state is State.QUEUED
    at = run.not_before if waits and not went_on else None
    return Retrying(
        again=went_on or waits or (notice.about is Occasion.INTERRUPTED and run.state is State.RUNNING),
        setback=0 if went_on else run.setbacks,
        allowed=run.retry.max,
        at=at,
        went_on=went_on,
    )
