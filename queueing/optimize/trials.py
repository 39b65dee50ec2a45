"""Trials and their runs: what a proposal becomes, and what a step may do with the budget. Pure."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from queueing.keys import canonical, run_id
from queueing.optimize.spec import Spec
from queueing.space.names import placed
from store.runs import Run
from store.states import State
from store.studies import Study, Trial, TrialState


def trial_of(study: Study, spec: Spec, number: int, values: Mapping[str, Any], now: datetime, **said: Any) -> Trial:
    """The trial with the ids of its runs: they follow from study, number and parameters."""
    bare = Trial(study=study.name, number=number, params=placed({}, values), asked_at=now, **said)
    return replace(bare, runs=tuple(run.id for run in runs_of(study, spec, bare, now)))


def runs_of(study: Study, spec: Spec, trial: Trial, now: datetime) -> list[Run]:
    """One run, or one per repeat, each with a seed of its own. The same trial always has the same runs."""
    made = []
    repeats = spec.table.repeat
    for repeat in range(repeats):
        params = _merged(study.pattern.params, trial.params)
        if repeats > 1:
            params["seed"] = params.get("seed", 0) + repeat
        key = hashlib.sha256(canonical([study.name, "trial", trial.number, params, repeat]).encode()).hexdigest()
        made.append(
            replace(
                study.pattern, id=run_id(key), key=key, params=params, repeat=repeat, queued_at=now,
                index=trial.number * repeats + repeat, trial=trial.number,
            )
        )  # fmt: skip
    return made


def _merged(fixed: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Nested tables merged, those of the trial first."""
    made = dict(fixed)
    for name, value in given.items():
        known = made.get(name)
        made[name] = _merged(known, value) if isinstance(known, Mapping) and isinstance(value, Mapping) else value
    return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What a study has used of its budget. Trials before it (`warm_start`) count for nothing."""

    asked: int
    open: int
    told: int
    active: int
    """Open trials that wait or run; a paused one takes no place."""
    hours: float
    epochs: float

    def room(self, spec: Spec) -> int:
        """How many trials may be asked for now."""
        table = spec.table
        if table.hours is not None and self.hours >= table.hours:
            return 0
        if table.epochs is not None and self.epochs >= table.epochs:
            return 0
        left = table.parallel - self.active
        return max(0, left if table.trials is None else min(left, table.trials - self.asked))

    def is_spent(self, spec: Spec) -> bool:
        """Whether nothing may be asked for any more."""
        table = spec.table
        return (
            (table.trials is not None and self.asked >= table.trials)
            or (table.hours is not None and self.hours >= table.hours)
            or (table.epochs is not None and self.epochs >= table.epochs)
        )


def tally(spec: Spec, trials: Sequence[Trial], runs: Mapping[str, Run], now: datetime) -> Tally:
    """Counted over the study's own trials; `runs` holds theirs, as far as the budget needs them."""
    own = [trial for trial in trials if trial.number >= 0]
    waiting = [trial for trial in own if trial.state is TrialState.OPEN]
    active = [trial for trial in waiting if not trial.runs or any(is_active(runs.get(one)) for one in trial.runs)]
    mine = [runs[one] for trial in own for one in trial.runs if one in runs]
    return Tally(
        asked=len(own),
        open=len(waiting),
        told=len(own) - len(waiting),
        active=len(active),
        hours=sum(_worked_s(run, now) for run in mine) / 3600,
        epochs=sum(_epochs(spec, run) for run in mine),
    )


def next_number(trials: Iterable[Trial]) -> int:
    """One more than the greatest there is."""
    return max((trial.number for trial in trials if trial.number >= 0), default=-1) + 1


def is_active(run: Run | None) -> bool:
    """A run that is not there yet is about to be made."""
    return run is None or run.state in (State.QUEUED, State.RUNNING)


def _worked_s(run: Run, now: datetime) -> float:
    """Of all attempts, the one that is under way included."""
    return sum(((one.ended_at or now) - one.started_at).total_seconds() for one in run.history)


def _epochs(spec: Spec, run: Run) -> float:
    """The greatest value of `epochs_metric`, else the progress that the script reports, else its last step."""
    name = spec.table.epochs_metric
    if name is not None:
        return (run.summary[name].max or 0.0) if name in run.summary else 0.0
    if run.progress is not None:
        return run.progress.done
    return float(max((one.last_step + 1 for one in run.summary.values()), default=0))
