"""`labq ask`, `labq tell`: optimizers in any language."""

import argparse
import json
import math
import sys
from collections.abc import Sequence
from typing import Any

from queueing.cli.context import opened_doorbell, opened_store, print_json, settings
from queueing.cli.study import trial_json
from store.errors import ExitCode, UserError
from store.runs import short
from store.studies import Trial, TrialState

_STATES = {"failed": TrialState.FAILED, "pruned": TrialState.PRUNED, "complete": TrialState.COMPLETE}


def ask(options: argparse.Namespace) -> int:
    """Fix the next trial and print it."""
    from queueing.optimize.outside import ask_trial

    given = _given(options)
    chosen = settings()
    with opened_store(chosen) as store, opened_doorbell(chosen) as doorbell:
        trial = ask_trial(store, doorbell, options.study, given, outside=options.outside)
    if options.json:
        print_json({"study": options.study, **_asked(trial)})
    else:
        runs = f"run {', '.join(short(run) for run in trial.runs)}" if trial.runs else "yours to run, then: labq tell"
        print(f"trial {trial.number}: {json.dumps(trial.params, ensure_ascii=False)} ({runs})")
    return ExitCode.OK


def tell(options: argparse.Namespace) -> int:
    """Record what came of it."""
    from queueing.optimize.outside import tell_trial

    told = _pairs(options.assigned)
    state_word = str(told.pop("state", "complete"))
    if state_word not in _STATES:
        raise UserError(f"state={state_word}: allowed: {', '.join(_STATES)}")
    values = {name: _number(name, value) for name, value in told.items()}
    if any(math.isnan(value) for value in values.values()):
        state_word, values = "failed", {}
    with opened_store() as store:
        trial = tell_trial(store, options.study, options.trial, values, _STATES[state_word])
    if options.json:
        print_json({"study": options.study, **trial_json(trial)})
    else:
        print(f"trial {trial.number}: {trial.state} {' '.join(f'{value:g}' for value in trial.values)}".rstrip())
    return ExitCode.OK


def _asked(trial: Trial) -> dict[str, Any]:
    run = trial.runs[0] if trial.runs else None
    return {"trial": trial.number, "params": trial.params, "run": run, "runs": trial.runs}


def _given(options: argparse.Namespace) -> dict[str, Any] | None:
    if options.params is None:
        return _pairs(options.assigned) if options.assigned else None
    if options.assigned:
        raise UserError("give the parameters as NAME=VALUE or with --params, not both")
    text = sys.stdin.read() if options.params == "-" else options.params
    try:
        loaded = json.loads(text)
    except ValueError as error:
        raise UserError(f"--params is no JSON: {error}") from error
    if not isinstance(loaded, dict):
        raise UserError('--params is no table; such as: {"lr": 0.1}')
    return loaded


def _pairs(assigned: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for text in assigned:
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise UserError(f"{text!r}: allowed: NAME=VALUE")
        if name in found:
            raise UserError(f"{name} is given twice")
        found[name] = _value(value)
    return found


def _value(text: str) -> Any:
    """As JSON where it is, else a text: `0.1`, `true`, `[1, 2]`, `adam`."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise UserError(f"{name}={value}: allowed: a number")
    try:
        return float(value)
    except ValueError:
        raise UserError(f"{name}={value}: allowed: a number") from None
