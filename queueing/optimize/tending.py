"""Who asks for the next trials: any living worker, before it looks for a run. No process of its own is needed.

A worker that has ended a trial looks at once, and this comes first, so the next trial is there when it claims. What an
engine imports (Optuna: half a second) must stay in no worker and count as no run's memory: the worker forks for it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from queueing.doorbell import Doorbell
from queueing.optimize.spec import loaded_spec
from queueing.optimize.step import step
from queueing.optimize.table import OptimizerTable
from queueing.optimize.trials import is_active
from store.errors import EngineMissing, LabqError, NoProposal, StoreUnavailable
from store.logbook import say, warn
from store.runs import Run
from store.settings import Settings
from store.states import ENDED
from store.store import RunQuery, Store
from store.studies import Study, StudyState, Trial

LONGEST_S = 120
"""A heavy step that takes longer is ended; its proposals so far are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """What a step of this study would do."""

    study: Study
    tells: bool
    asks: bool


def due(store: Store) -> list[Due]:
    """Studies for which a step would do something. One query when there is no study."""
    studies = store.studies(StudyState.ACTIVE, StudyState.ASKED)
    if not studies:
        return []
    trials = store.open_trials([study.name for study in studies])
    ids = tuple(one for trial in trials for one in trial.runs)
    runs = {run.id: run for run in store.runs(RunQuery(ids=ids))} if ids else {}
    found = [what_is_due(study, [one for one in trials if one.study == study.name], runs) for study in studies]
    return [one for one in found if one.tells or one.asks]


def what_is_due(study: Study, waiting: Sequence[Trial], runs: Mapping[str, Run]) -> Due:
    """Whether an open trial has ended or lacks its runs, and whether there is room for another."""
    missing = any(one not in runs for trial in waiting for one in trial.runs)
    ended = any(trial.runs and all(_has_ended(runs.get(one)) for one in trial.runs) for trial in waiting)
    is_last = study.state is StudyState.ASKED and not waiting
    table = _table(study)
    active = sum(not trial.runs or any(is_active(runs.get(one)) for one in trial.runs) for trial in waiting)
    may_ask = study.state is StudyState.ACTIVE and table.engine != "ask"
    return Due(study=study, tells=missing or ended or is_last, asks=may_ask and active < table.parallel)


def _has_ended(run: Run | None) -> bool:
    return run is not None and run.state in ENDED


def tend(store: Store, doorbell: Doorbell, settings: Settings) -> bool:
    """Do what is light of the steps that are due; whether something heavy is left, for `ask_heavily`.

    Raises StoreUnavailable, nothing else: a study in trouble must not keep a worker.
    """
    for one in due(store):
        table = _table(one.study)
        heavy = is_heavy(table) and is_installed(table)
        if one.tells or not heavy:
            _here(store, doorbell, settings, one.study, table, ask=not heavy)
    return bool(_heavy(store))


def ask_heavily(store: Store, doorbell: Doorbell, settings: Settings) -> None:
    """Ask engines that import something large: in a process that ends then, and may be killed anywhere."""
    for one in _heavy(store):
        carry_out(store, doorbell, settings, one.study.name)


def _heavy(store: Store) -> list[Due]:
    return [one for one in due(store) if one.asks and is_heavy(_table(one.study)) and is_installed(_table(one.study))]


def _table(study: Study) -> OptimizerTable:
    return loaded_spec(study.spec, study.pattern.params).table


def is_heavy(table: OptimizerTable) -> bool:
    """Whether asking imports something large."""
    return table.engine == "smac" or (table.engine == "optuna" and table.sampler not in ("random", "grid"))


def is_installed(table: OptimizerTable) -> bool:
    """Whether this Python has what the engine needs; importing nothing."""
    return all(find_spec(name) is not None for name in needed_modules(table))


def needed_modules(table: OptimizerTable) -> Iterable[str]:
    """Optional libraries of an engine."""
    if table.engine == "smac":
        return ("smac",)
    if table.engine == "ask" or table.sampler in ("random", "grid", "qmc"):
        return ()
    return {"cma-es": ("cmaes",), "gp": ("optuna", "torch")}.get(table.sampler, ("optuna",))


def _here(
    store: Store, doorbell: Doorbell, settings: Settings, study: Study, table: OptimizerTable, *, ask: bool
) -> None:
    lacking = [name for name in needed_modules(table) if find_spec(name) is None]
    if lacking and study.trouble == "":
        warn("optimizer-missing", study=study.name, modules=",".join(lacking))
        store.mark_study(study.name, trouble=f"a worker lacks {', '.join(lacking)}; {how_to_install(table)}")
    carry_out(store, doorbell, settings, study.name, ask=ask and not lacking)


def how_to_install(table: OptimizerTable) -> str:
    """The command."""
    extra = "smac" if table.engine == "smac" else "optimize"
    torch = " torch" if table.sampler == "gp" and table.engine == "optuna" else ""
    return f"install it where the workers run: pip install 'labq[{extra}]'{torch}"


def carry_out(store: Store, doorbell: Doorbell, settings: Settings, name: str, *, ask: bool = True) -> bool:
    """One step; whether it did anything. What goes wrong is remembered with the study. Raises StoreUnavailable."""
    try:
        done = step(store, doorbell, name, settings.lease_s, ask=ask)
    except StoreUnavailable:
        raise
    except (EngineMissing, NoProposal, LabqError) as error:
        return _in_trouble(store, name, str(error))
    except Exception as error:  # noqa: BLE001 - an optimizer is a large library that is fed with anything
        return _in_trouble(store, name, f"{type(error).__name__}: {error}")
    if done.told or done.asked:
        say("study", name=name, told=done.told, asked=done.asked, over=done.is_over)
    if done.asked:
        store.mark_study(name, trouble="")
    return bool(done.told or done.asked or done.is_over)


def _in_trouble(store: Store, name: str, said: str) -> bool:
    warn("optimizer-in-trouble", study=name, error=said)
    store.mark_study(name, trouble=" ".join(said.split())[:500])
    return False
