"""`labq enqueue` of a file with an optimizer: the study is recorded or extended, its first trials are asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from queueing.doorbell import Doorbell
from queueing.expand import Definition
from queueing.optimize.coding import values_in
from queueing.optimize.engine import engine_for
from queueing.optimize.judging import judge, token
from queueing.optimize.spec import Spec, loaded_spec
from queueing.optimize.step import step
from queueing.query.asking import understood
from queueing.space.names import placed
from store.errors import StudyDiffers
from store.experiments import Experiment
from store.identity import user_name
from store.runs import Run
from store.states import State
from store.store import RunQuery, Store
from store.studies import Study, Trial, TrialState


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What is new: ids of runs, and how many earlier runs the optimizer knows."""

    ids: tuple[str, ...]
    warm: int = 0


def open_study(
    definition: Definition,
    store: Store,
    doorbell: Doorbell,
    provenance: dict[str, Any],
    experiment: Experiment,
    lease_s: float,
) -> Opened:
    """Raises StudyDiffers, EngineMissing, BadQuery, NoProposal, StoreUnavailable."""
    spec = definition.study
    assert spec is not None
    engine_for(spec)  # now, not when the first trial has been told
    now = experiment.created_at
    pattern = _pattern(definition, provenance, now)
    known = store.study(definition.name)
    if known is not None and (said := _difference(known, spec, pattern)):
        raise StudyDiffers(f"{definition.name!r} is a study with {said}; give the new one another name")
    earlier = _earlier(store, spec)
    created_at = known.created_at if known else now
    store.add_experiment(experiment)
    store.put_study(Study(name=definition.name, spec=spec.text(), pattern=pattern, created_at=created_at))
    before = {one for trial in store.trials(definition.name) for one in trial.runs}
    warm = _add_earlier(store, definition.name, earlier, now)
    step(store, doorbell, definition.name, lease_s)
    after = [one for trial in store.trials(definition.name) if trial.number >= 0 for one in trial.runs]
    return Opened(ids=tuple(one for one in after if one not in before), warm=warm)


def _pattern(definition: Definition, provenance: dict[str, Any], now: datetime) -> Run:
    return Run(
        id="",
        key="",
        experiment=definition.name,
        params=definition.fixed,
        task=definition.task,
        queue=definition.queue,
        priority=definition.priority,
        tags=definition.tags,
        resources=definition.resources,
        retry=definition.retry,
        notify=definition.notify,
        owner=user_name(),
        provenance=provenance,
        queued_at=now,
    )


def _difference(known: Study, spec: Spec, pattern: Run) -> str:
    """Budget, engine and seed may change: trials that are known stay valid. What is optimized may not."""
    old = loaded_spec(known.spec, known.pattern.params)
    if old.objectives != spec.objectives:
        return "another objective"
    if old.table.params != spec.table.params or old.table.where != spec.table.where:
        return "another space"
    if old.table.repeat != spec.table.repeat:
        return "another repeat"
    if known.pattern.params != pattern.params:
        return "other fixed parameters"
    before, after = known.pattern.task, pattern.task
    if (before.command, before.trainer) != (after.command, after.trainer):
        return "another command"
    if (before.files, before.result) != (after.files, after.result):
        return "other templates or another result command"
    return ""


# ── warm start ──
_Earlier = tuple[Run, dict[str, Any], tuple[float, ...], str]


def _earlier(store: Store, spec: Spec) -> list[_Earlier]:
    """Finished runs that fit the query, lie in the space and have the metric."""
    if spec.table.warm_start is None:
        return []
    query = RunQuery(where=understood(spec.table.warm_start, store), states=(State.FINISHED,))
    found = []
    for run in store.runs(query):
        values = values_in(spec.space, run.params)
        if not spec.has(values):
            continue
        verdict = judge(spec, [run], lambda one, metric: store.series(one.id, metric))
        if verdict.state is TrialState.COMPLETE:
            found.append((run, values, verdict.values, token(spec, [run])))
    return found


def _add_earlier(store: Store, name: str, earlier: Sequence[_Earlier], now: datetime) -> int:
    """As trials with negative numbers; those that are there already stay as they are."""
    trials = store.trials(name)
    known = {one for trial in trials for one in trial.runs}
    lowest = min((trial.number for trial in trials), default=0)
    added = 0
    for run, values, numbers, told in earlier:
        if run.id in known:
            continue
        lowest = min(lowest, 0) - 1
        trial = Trial(
            study=name, number=lowest, params=placed({}, values), runs=(run.id,), state=TrialState.COMPLETE,
            values=numbers, told=told, why=f"{run.experiment}, before the study", asked_by="warm start",
            asked_at=now, told_at=now,
        )  # fmt: skip
        added += store.add_trial(trial)
    return added
