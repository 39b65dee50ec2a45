"""What the ending of an attempt means for its run: a pure decision, in one place."""

from dataclasses import replace

from store.runs import Ending, Run, made_progress
from store.states import Reason, State, Wish
from store.store import Settlement

LONGEST_BACKOFF_S = 600.0


def verdict(run: Run, ending: Ending) -> Settlement:
    """The run's next state.

    No reason: finished. Drained: back into the queue, at no cost. Stopped by a person: cancelled. Anything else is a
    setback: tried again while the policy lists the reason and fewer than `retry.max` setbacks came in a row without a
    newer checkpoint in between, else failed. A run that a person wants paused does not go back into the queue.
    """
    settlement = _verdict(run, ending)
    if settlement.state is State.QUEUED and run.wish is Wish.PAUSE:
        return replace(settlement, state=State.PAUSED, backoff_s=0.0)
    return settlement


def _verdict(run: Run, ending: Ending) -> Settlement:
    if ending.reason is None:
        return Settlement(state=State.FINISHED, ending=ending)
    if run.wish is Wish.CANCEL:
        # Somebody wanted it gone, before it ended or while it was draining: it does not come back.
        if run.judged.stopped is not None:
            ending = replace(ending, message=run.judged.stopped.because)
        return Settlement(state=State.CANCELLED, reason=Reason.STOPPED, ending=ending, setbacks=run.setbacks)
    if ending.reason in (Reason.DRAINED, Reason.STOPPED):
        return Settlement(state=State.QUEUED, reason=Reason.DRAINED, ending=ending, setbacks=run.setbacks)
    setbacks = 1 if made_progress(run) else run.setbacks + 1
    if ending.reason not in run.retry.on or setbacks > run.retry.max:
        return Settlement(state=State.FAILED, reason=ending.reason, ending=ending, setbacks=setbacks)
    backoff_s = 0.0 if ending.reason is Reason.LOST else backoff(run.retry.backoff_s, setbacks)
    return Settlement(state=State.QUEUED, reason=ending.reason, ending=ending, setbacks=setbacks, backoff_s=backoff_s)


def backoff(first_s: float, setbacks: int) -> float:
    """Doubling from `first_s`, ten minutes at most (or `first_s`, where that is more)."""
    return min(first_s * 2.0 ** min(setbacks - 1, 30), max(LONGEST_BACKOFF_S, first_s))
