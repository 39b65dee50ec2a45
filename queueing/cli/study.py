"""`labq study`, `labq optimize`."""

import argparse
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from queueing.cli.context import opened_doorbell, opened_store, print_json, settings
from queueing.cli.study_words import study_lines
from queueing.cli.words import value_words
from store.errors import ExitCode, LabqError, StoreUnavailable, UserError
from store.runs import short
from store.studies import Study, StudyState, Trial, TrialState

if TYPE_CHECKING:
    from queueing.optimize.spec import Spec
    from queueing.optimize.view import View

_POLL_S = 1.0
_SHOWN = 10
_LEAST = 4
"""Complete trials without which importances mean nothing."""


def show_study(options: argparse.Namespace) -> int:
    """What has ended meanwhile is told first, so that the picture is that of this moment."""
    from queueing.optimize.step import step, study_named
    from queueing.optimize.view import view_of

    chosen = settings()
    with opened_store(chosen) as store, opened_doorbell(chosen) as doorbell:
        study_named(store, options.study)
        if options.stop:
            store.mark_study(options.study, state=StudyState.STOPPED)
        step(store, doorbell, options.study, chosen.lease_s, ask=False)
        study, spec = study_named(store, options.study)
        trials = store.trials(study.name)
    view = view_of(spec, trials)
    shares, said = _importances(spec, trials)
    if options.plot:
        from queueing.optimize.plot import plot_study

        plot_study(study, spec, trials, shares, options.plot)
    if options.json:
        print_json(_as_json(study, spec, trials, view, shares))
        return ExitCode.OK
    _print_study(study, spec, view, shares, said)
    if options.trials:
        _print_trials(spec, trials)
    if options.plot:
        print(f"drawn: {options.plot}")
    return ExitCode.OK


def optimize(options: argparse.Namespace) -> int:
    """Step after step, for when no worker has what the engine needs. Safe beside workers that do the same."""
    from queueing.optimize.engine import engine_for
    from queueing.optimize.step import step, study_named
    from store.logbook import open_logbook, say, warn

    open_logbook()
    chosen = settings()
    with opened_store(chosen) as store, opened_doorbell(chosen) as doorbell:
        _, spec = study_named(store, options.study)
        if spec.table.engine == "ask":
            raise UserError(f"{options.study}: its trials are yours, through labq ask; there is nothing to do here")
        engine_for(spec)
        while True:
            try:
                done = step(store, doorbell, options.study, chosen.lease_s)
            except StoreUnavailable as error:
                warn("no-store", error=error)
            else:
                if done.told or done.asked:
                    say("study", name=options.study, told=done.told, asked=done.asked)
                if done.is_over:
                    break
            time.sleep(_POLL_S)
    return show_study(argparse.Namespace(study=options.study, json=options.json, plot=None, trials=False, stop=False))


def _importances(spec: "Spec", trials: Sequence[Trial]) -> tuple[list[dict[str, float]], str]:
    complete = [trial for trial in trials if trial.state is TrialState.COMPLETE]
    if len(complete) < _LEAST or len(spec.space.parameters) < 2:
        return [], ""
    try:
        from queueing.optimize.optuna_engine import importances

        return [importances(spec, trials, k) for k in range(len(spec.objectives))], ""
    except UserError as error:
        return [], str(error)
    except (ValueError, RuntimeError, ZeroDivisionError) as error:
        return [], f"cannot be computed: {error}"


def _print_study(study: Study, spec: "Spec", view: "View", shares: Sequence[dict[str, float]], said: str) -> None:
    counts = view.counts
    asked = sum(counts.values())
    of = f" of {spec.table.trials}" if spec.table.trials else ""
    print(f"{study.name}: {study.state}")
    print("\n".join(study_lines(spec)))
    print(f"  trials    {asked}{of}: {', '.join(f'{n} {state}' for state, n in counts.items() if n) or 'none yet'}")
    if view.warm:
        print(f"  earlier   {view.warm} runs from before the study")
    if study.trouble:
        print(f"  trouble   {study.trouble}")
    what = "best" if len(spec.objectives) == 1 else "front"
    for trial in view.best[:_SHOWN]:
        print(f"  {what:<9} {_trial_words(spec, trial)}")
    if len(view.best) > _SHOWN:
        print(f"            … and {len(view.best) - _SHOWN} more (--json lists all)")
    for objective, found in zip(spec.objectives, shares, strict=False):
        weights = ", ".join(f"{name} {share:.0%}" for name, share in list(found.items())[:8])
        print(f"  matters   {objective.metric}: {weights}")
    if said:
        print(f"  matters   {said}")


def _trial_words(spec: "Spec", trial: Trial) -> str:
    from queueing.optimize.coding import values_in

    values = " ".join(f"{one.metric}={v:.6g}" for one, v in zip(spec.objectives, trial.values, strict=False))
    params = " ".join(f"{name}={value_words(v)}" for name, v in values_in(spec.space, trial.params).items())
    runs = ",".join(short(run) for run in trial.runs) or "outside"
    return f"{trial.number:>4}  {values}  {params}  ({runs})"


def _print_trials(spec: "Spec", trials: Sequence[Trial]) -> None:
    for trial in trials:
        why = f"  {trial.why}" if trial.why else ""
        print(f"{trial.state:<9} {_trial_words(spec, trial)}{why}")


def _as_json(
    study: Study, spec: "Spec", trials: Sequence[Trial], view: "View", shares: Sequence[dict[str, float]]
) -> dict[str, Any]:
    return {
        "study": study.name,
        "state": study.state,
        "trouble": study.trouble,
        "engine": spec.table.engine,
        "sampler": spec.table.sampler,
        "objectives": [one.model_dump() for one in spec.objectives],
        "budget": {"trials": spec.table.trials, "hours": spec.table.hours, "epochs": spec.table.epochs},
        "counts": view.counts,
        "best": [trial_json(trial) for trial in view.best],
        "importances": {one.metric: found for one, found in zip(spec.objectives, shares, strict=False)},
        "trials": [trial_json(trial) for trial in trials],
    }


def trial_json(trial: Trial) -> dict[str, Any]:
    """A trial for programmes."""
    return {
        "trial": trial.number,
        "state": trial.state,
        "values": trial.values,
        "params": trial.params,
        "runs": trial.runs,
        "why": trial.why,
        "asked_by": trial.asked_by,
        "asked_at": trial.asked_at,
        "told_at": trial.told_at,
    }


def explain(error: LabqError) -> None:
    """On stderr."""
    print(f"labq: {error}", file=sys.stderr)
