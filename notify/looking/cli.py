"""`labq diagnose`: look now, at one run or at an experiment."""

import argparse
import json
import os
import time
from dataclasses import fields
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any

from notify.looking.gather import experiments_runs, siblings_of
from notify.looking.look import look_at
from notify.looking.page import Patient, by_disease, experiment_page, run_page
from store.connect import connect
from store.errors import ExitCode, NoSuchRun, UserError
from store.findings import Diagnosis, Finding
from store.runs import Run
from store.settings import load
from store.states import ENDED, State
from store.store import RunQuery, Store

if TYPE_CHECKING:
    from rich.console import Console

_RUNS_AT_MOST = 500
_PAUSE_S = 5.0


def diagnose(options: argparse.Namespace) -> int:
    """0: nothing severe stands; 1: something does."""
    store = connect(load().settings)
    try:
        if options.watch:
            return _watch(store, options.what)
        found = _looked_at(store, options.what)
    finally:
        store.close()
    if options.json:
        print(json.dumps(found.as_json(), indent=2, ensure_ascii=False))
    else:
        _console().print(found.page())
    return found.code


def _console() -> "Console":
    """Where nobody looks, lines may be somewhat longer."""
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = 120
    return console


class _Found:
    """The runs that were looked at; `experiment` is empty when one was asked for."""

    def __init__(self, patients: list[Patient], experiment: str = "", left_out: int = 0) -> None:
        self.patients, self.experiment, self.left_out = patients, experiment, left_out

    @property
    def code(self) -> int:
        return ExitCode.FAILED if any(patient.is_severe for patient in self.patients) else ExitCode.OK

    @property
    def is_over(self) -> bool:
        return all(patient.run.state in ENDED for patient in self.patients)

    def page(self) -> Any:
        if self.experiment:
            return experiment_page(self.experiment, self.patients, self.left_out)
        return run_page(self.patients[0])

    def as_json(self) -> dict[str, Any]:
        if not self.experiment:
            return _run_json(self.patients[0])
        runs = [_run_json(patient) for patient in self.patients]
        diseases = {
            group[0][1].disease.value: sorted({patient.run.id for patient, _ in group})
            for group in by_disease(self.patients)
        }
        return {"experiment": self.experiment, "diseases": diseases, "left_out": self.left_out, "runs": runs}


def _run_json(patient: Patient) -> dict[str, Any]:
    run = patient.run
    said = {"run": run.id, "experiment": run.experiment, "state": run.state.value, "attempt": run.attempt}
    return {**said, "healthy": patient.is_healthy, "findings": [_json(one) for one in patient.diagnosis.findings]}


def _json(finding: Finding) -> dict[str, Any]:
    def plain(value: Any) -> Any:
        if isinstance(value, datetime):
            return value.isoformat()
        return value.value if isinstance(value, Enum) else value

    return {field.name: plain(getattr(finding, field.name)) for field in fields(finding)}


def _watch(store: Store, what: str) -> int:
    """Again and again, until all runs have ended or Ctrl-C."""
    from rich.live import Live

    with Live(console=_console(), auto_refresh=False) as live:
        while True:
            found = _looked_at(store, what)
            live.update(found.page(), refresh=True)
            if found.is_over:
                return found.code
            time.sleep(_PAUSE_S)


# ── looking ──
def _looked_at(store: Store, what: str) -> _Found:
    if store.experiment(what) is not None:
        return _experiment(store, what)
    try:
        run = store.run(what)
    except NoSuchRun:
        known = ", ".join(one.name for one in store.experiments()[:8]) or "none yet"
        raise UserError(f"no run and no experiment is called {what!r}; experiments: {known}; runs: labq ls") from None
    if run.attempt == 0:
        raise UserError(f"run {run.id} has not begun yet: it is {run.state}; see: labq why {run.id}")
    return _Found(_patients(store, [run]))


def _experiment(store: Store, name: str) -> _Found:
    """Those that run, and the newest of the others that have begun."""
    begun = tuple(state for state in State if state is not State.RUNNING)
    running = store.runs(RunQuery(experiment=name, states=(State.RUNNING,), limit=_RUNS_AT_MOST))
    others = store.runs(RunQuery(experiment=name, states=begun, limit=_RUNS_AT_MOST + 1))
    ended = [run for run in others if run.attempt > 0][-_RUNS_AT_MOST:]
    total = sum(store.counts(name).get(state, 0) for state in ENDED)
    left_out = max(0, total - sum(run.state in ENDED for run in ended))
    if not running and not ended:
        raise UserError(f"no run of {name} has begun yet; see: labq ls")
    return _Found(_patients(store, [*running, *ended]), name, left_out)


def _patients(store: Store, runs: list[Run]) -> list[Patient]:
    """What is kept of a last look is what another look would find."""
    now = store.now()
    known = store.diagnoses([run.id for run in runs])
    siblings = experiments_runs(store, runs[0].experiment)

    def look(run: Run) -> Diagnosis:
        last = known.get(run.id)
        if len(runs) > 1 and last is not None and last.over and last.attempt == run.attempt:
            return last
        return look_at(store, run, last, now, siblings_of(siblings, run, now)).diagnosis

    return [Patient(run=run, diagnosis=look(run)) for run in runs]
