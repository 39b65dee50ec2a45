"""Trials that somebody else proposes or evaluates: `labq ask` and `labq tell`, and the same in Python."""

from collections.abc import Mapping
from dataclasses import replace
from math import isfinite
from typing import Any

from queueing.doorbell import Doorbell
from queueing.optimize.coding import contains
from queueing.optimize.engine import engine_for
from queueing.optimize.spec import Spec
from queueing.optimize.step import proposed, queue_runs, study_named, tell_ended
from queueing.optimize.trials import next_number, runs_of, trial_of
from queueing.space.names import flat
from store.errors import NoProposal, UserError
from store.store import Store
from store.studies import Study, StudyState, Trial, TrialState

_TRIES = 100


def ask_trial(
    store: Store, doorbell: Doorbell, name: str, given: Mapping[str, Any] | None = None, *, outside: bool = False
) -> Trial:
    """The next trial: with these parameters (nested or flat), else those that the engine proposes.

    Its run is queued, unless it is evaluated outside. Raises NoSuchStudy, UserError, EngineMissing, NoProposal.
    """
    study, spec = study_named(store, name)
    if study.state is StudyState.STOPPED:
        raise UserError(f"study {name} is stopped; to go on: labq enqueue its file again")
    tell_ended(store, doorbell, study, spec)
    values = _checked(spec, given) if given is not None else None
    for _ in range(_TRIES):
        past = store.trials(name)
        number = next_number(past)
        if spec.table.trials is not None and number >= spec.table.trials:
            raise UserError(f"study {name} has had its {spec.table.trials} trials; more: a larger `trials` in its file")
        if values is not None:
            trial = trial_of(study, spec, number, values, store.now(), asked_by="ask")
        else:
            trial = _proposed(store, study, spec, number, past)
        if outside:
            trial = replace(trial, runs=(), asked_by="outside")
        if store.add_trial(trial):
            if not outside:
                queue_runs(store, doorbell, runs_of(study, spec, trial, trial.asked_at))
            return trial
    raise NoProposal(f"study {name}: others take every number")


def _proposed(store: Store, study: Study, spec: Spec, number: int, past: list[Trial]) -> Trial:
    if spec.table.engine == "ask":
        raise UserError(
            f'study {study.name} has engine = "ask": name the parameters, such as: labq ask {study.name} lr=0.1'
        )
    trial = proposed(store, study, spec, engine_for(spec), number, past)
    if trial is None:
        raise UserError(f"study {study.name}: nothing is left to propose")
    return trial


def _checked(spec: Spec, given: Mapping[str, Any]) -> dict[str, Any]:
    values = flat(given)
    unknown = [name for name in values if name not in spec.space.names]
    if unknown:
        raise UserError(f"{unknown[0]!r} is no parameter of the study; there are: {', '.join(spec.space.names)}")
    domains = {one.name: one.domain for one in spec.space.parameters}
    outside = [name for name, value in values.items() if not contains(domains[name], value)]
    if outside:
        raise UserError(f"{outside[0]} = {values[outside[0]]!r} lies outside the study's space: {domains[outside[0]]}")
    try:
        needed = spec.shaped(lambda parameter: values[parameter.name])
    except KeyError as error:
        raise UserError(f"{error.args[0]} is missing; a trial has all parameters whose conditions hold") from error
    surplus = [name for name in values if name not in needed]
    if surplus:
        raise UserError(f"{surplus[0]} does not exist in this configuration: its condition does not hold")
    if not spec.allows(values):
        raise UserError(f"the constraints do not allow this configuration: {'; '.join(spec.table.where)}")
    return needed


def tell_trial(
    store: Store, name: str, number: int, values: Mapping[str, float], state: TrialState = TrialState.COMPLETE
) -> Trial:
    """What came of a trial without runs. Told again with the same values it changes nothing.

    `values`: by metric, or {"value": …} when there is one. Raises NoSuchStudy, UserError.
    """
    _, spec = study_named(store, name)
    trial = next((one for one in store.trials(name) if one.number == number), None)
    if trial is None:
        raise UserError(f"study {name} has no trial {number}")
    if trial.runs:
        runs = ", ".join(trial.runs)
        raise UserError(f"trial {number} is run by labq (run {runs}): it is told of itself when that has ended")
    numbers = _numbers(spec, values) if state is TrialState.COMPLETE else ()
    told = f"outside {state} {' '.join(repr(value) for value in numbers)}".strip()
    fresh = replace(trial, state=state, values=numbers, told=told)
    if trial.told == told:
        return trial
    if trial.told or not store.tell(fresh, ""):
        raise UserError(f"trial {number} was told already: {trial.state} {' '.join(map(str, trial.values))}".strip())
    return fresh


def _numbers(spec: Spec, values: Mapping[str, float]) -> tuple[float, ...]:
    metrics = [objective.metric for objective in spec.objectives]
    named = {metrics[0]: values["value"]} if set(values) == {"value"} and len(metrics) == 1 else dict(values)
    missing = [metric for metric in metrics if metric not in named]
    if missing:
        raise UserError(f"{missing[0]}=… is missing; the study's metrics: {', '.join(metrics)}")
    unknown = [metric for metric in named if metric not in metrics]
    if unknown:
        raise UserError(f"{unknown[0]!r} is no metric of the study; it sees only: {', '.join(metrics)}")
    bad = [metric for metric in metrics if not isfinite(named[metric])]
    if bad:
        raise UserError(f"{bad[0]} is {named[bad[0]]}; for a trial that came to nothing: state=failed")
    return tuple(float(named[metric]) for metric in metrics)
