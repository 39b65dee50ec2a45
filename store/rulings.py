"""What stopping rules ask of runs: pure, like what people ask (`store.changes`), and carried out in the same way."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

from store.changes import cancelled, paused
from store.errors import IllegalTransition
from store.judged import Ruling
from store.runs import Ending, Run
from store.states import Reason, State, Wish

Apply = Callable[[Run, datetime], Run]


def ruled_out(rulings: Mapping[str, Ruling]) -> Apply:
    """Stopped, each for its reason. A run that has ended, or that a person has let go on, is left alone."""

    def apply(run: Run, now: datetime) -> Run:
        ruling = _standing(run, rulings)
        if run.wish is Wish.CANCEL:
            raise IllegalTransition(f"run {run.id} is being stopped already")
        new = cancelled(replace(run, judged=replace(run.judged, held=None)), now)
        ending = run.ending
        if new.state is State.CANCELLED:
            ending = Ending(reason=Reason.STOPPED, message=ruling.because)
        return replace(new, ending=ending, judged=replace(new.judged, stopped=ruling))

    return apply


def held_back(rulings: Mapping[str, Ruling]) -> Apply:
    """Waits at a rung: a running run checkpoints first; one that waits already may wait at a higher one."""

    def apply(run: Run, now: datetime) -> Run:
        ruling = _standing(run, rulings)
        if run.judged.held is not None:
            return replace(run, judged=replace(run.judged, held=ruling))
        if run.wish is not None:
            raise IllegalTransition(f"run {run.id} is leaving already")
        new = paused(run, now)
        return replace(new, judged=replace(new.judged, held=ruling))

    return apply


def promoted(run: Run, _now: datetime) -> Run:
    """Goes on from the rung at which a rule let it wait."""
    if run.judged.held is None:
        raise IllegalTransition(f"run {run.id} waits at no rung")
    judged = replace(run.judged, held=None)
    if run.state is State.PAUSED:
        return replace(run, state=State.QUEUED, not_before=None, judged=judged)
    if run.state is State.RUNNING and run.wish is Wish.PAUSE:
        return replace(run, wish=None, judged=judged)
    raise IllegalTransition(f"run {run.id} is {run.state}: it waits at no rung")


def _standing(run: Run, rulings: Mapping[str, Ruling]) -> Ruling:
    ruling = rulings[run.id]
    if run.judged.is_overruled(ruling.rule, ruling.rung):
        raise IllegalTransition(f"run {run.id}: a person has let it go on")
    return ruling
