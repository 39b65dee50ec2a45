"""How a run changes when an attempt begins and ends: pure, shared by every store."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from store.judged import Judged
from store.runs import Attempt, Checkpoint, Lease, Refusal, Run, Shipped
from store.spans import outlook_after
from store.states import ENDED, Reason, State
from store.store import Refused, Settlement


def began(run: Run, checkpoint: Checkpoint | None, facts: dict[str, Any]) -> Run:
    """The run once its current attempt has chosen the checkpoint to go on from."""
    step = checkpoint.step if checkpoint else None
    return replace(
        run,
        shipped=Shipped(attempt=run.attempt),
        checkpoint=checkpoint,
        progress=run.progress if checkpoint else None,
        history=_with_last(run.history, resumed_from_step=step, facts=facts),
        findings=(),
    )


def settled(run: Run, settlement: Settlement, now: datetime) -> Run:
    """The run once its current attempt has ended."""
    if settlement.refused is not None:
        return _given_back(run, settlement, settlement.refused, now)
    over = settlement.state in ENDED
    return replace(
        run,
        state=settlement.state,
        reason=settlement.reason,
        ending=settlement.ending,
        setbacks=settlement.setbacks,
        lease=None,
        wish=None,
        not_before=None if settlement.state is not State.QUEUED else now + timedelta(seconds=settlement.backoff_s),
        ended_at=now if over else None,
        remark="" if run.refusals and run.remark == run.refusals[-1].message else run.remark,
        refusals=(),
        history=_with_last(run.history, ended_at=now, ending=settlement.ending),
        judged=_judged(run.judged, settlement.state),
        outlook=None if settlement.state is State.FINISHED else outlook_after(run, settlement.ending, now),
    )


def may_rejoin(run: Run, attempt: int, worker: str) -> bool:
    """Whether the attempt was given up as lost while its worker could not be heard, and nobody has begun another."""
    mine = run.attempt == attempt and bool(run.history) and run.history[-1].worker == worker
    return mine and run.state is State.QUEUED and run.reason is Reason.LOST


def rejoined(run: Run, worker: str, until: datetime) -> Run:
    """The run in the hands of its attempt again, as if that had never been given up."""
    return replace(
        run,
        state=State.RUNNING,
        reason=None,
        ending=None,
        lease=Lease(worker=worker, until=until),
        not_before=None,
        history=_with_last(run.history, ended_at=None, ending=None),
    )


def _judged(judged: Judged, state: State) -> Judged:
    """A run that ended by itself, just before it was to be stopped or to wait, was not stopped and does not wait."""
    return replace(
        judged,
        unread=state is not State.QUEUED,
        stopped=judged.stopped if state is State.CANCELLED else None,
        held=judged.held if state is State.PAUSED else None,
    )


def _given_back(run: Run, settlement: Settlement, refused: Refused, now: datetime) -> Run:
    """As if it had never been claimed, but for the number of the attempt and who refused it.

    Its line of history goes: a run that a busy machine refuses all night would outgrow its document.
    """
    message = settlement.ending.message if settlement.ending else ""
    refusal = Refusal(
        by=refused.by,
        message=message,
        lasting=refused.lasting,
        count=1 + next((old.count for old in run.refusals if old.by == refused.by), 0),
        until=now + timedelta(seconds=refused.pause_s),
    )
    return replace(
        run,
        state=settlement.state,
        reason=settlement.reason,
        lease=None,
        wish=None,
        remark=message,
        refusals=(*(old for old in run.refusals if old.by != refused.by), refusal),
        history=run.history[:-1],
    )


def _with_last(history: tuple[Attempt, ...], **changes: Any) -> tuple[Attempt, ...]:
    return (*history[:-1], replace(history[-1], **changes)) if history else history
