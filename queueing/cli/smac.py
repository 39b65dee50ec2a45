"""`labq smac-run`: the algorithm that a SMAC 2 scenario calls."""

import argparse
import hashlib
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from queueing.cli.context import settings
from store.errors import ExitCode, LabqError, StoreUnavailable, UserError
from store.settings import Settings

if TYPE_CHECKING:
    from queueing.expand import Definition
    from queueing.optimize.table import ObjectiveTable
    from queueing.smac_wire import Call
    from store.runs import Run
    from store.store import Store

T = TypeVar("T")
_RETRY_S = 2.0


def smac_run(options: argparse.Namespace) -> int:
    """Whatever happens, SMAC gets its line; a mistake in the call or the file is ABORT, for no run could be right."""
    from queueing.smac_wire import Status, read_call, result_line

    seed = -1
    try:
        call = read_call(options.wire)
        seed = call.seed
        chosen = settings()
        definition, objective = _understood(options, call, chosen)
        run = _with_patience(lambda: _queued(definition, call, chosen))
        ended = _ended(chosen, run.id)
        print(_with_patience(lambda: _answer(ended, objective, options.worst, seed, chosen)), flush=True)
        return ExitCode.OK
    except LabqError as error:
        print("\n".join(f"labq: {line}" for line in str(error).splitlines()), file=sys.stderr)
        print(result_line(Status.ABORT, 0.0, options.worst, seed, str(error)), flush=True)
        return error.exit_code


def _understood(options: argparse.Namespace, call: "Call", chosen: Settings) -> tuple["Definition", "ObjectiveTable"]:
    """The file with SMAC's parameters before its own. Its sweep is left out, of its optimizer the objective is kept."""
    from queueing.definition import define_table
    from queueing.reading import read_file
    from queueing.smac_wire import params_of
    from queueing.space.names import placed

    path = Path(options.file)
    table, text = read_file(path)
    fixed = table.get("params", {})
    if not isinstance(fixed, dict):
        raise UserError(f"{path}: params is no table")
    objective = _objective(options, table.get("optimizer"))
    kept = {name: value for name, value in table.items() if name not in ("sweep", "optimizer")}
    kept["params"] = placed(fixed, params_of(call, fixed))
    return define_table(kept, text, path, chosen), objective


def _objective(options: argparse.Namespace, given: Any) -> "ObjectiveTable":
    from pydantic import ValidationError

    from queueing.optimize.table import ObjectiveTable

    said = given if isinstance(given, dict) else {}
    metric = options.metric or said.get("metric")
    if not isinstance(metric, str):
        raise UserError(f"{options.file} has no optimizer.metric: name the metric with --metric, before the file")
    own = {} if options.metric else {name: said[name] for name in ("direction", "value", "at") if name in said}
    asked = {"direction": "maximize" if options.max else None, "value": options.value}
    given_too = {name: word for name, word in asked.items() if word}
    try:
        return ObjectiveTable.model_validate({"metric": metric, **own, **given_too})
    except ValidationError as error:
        wrong = error.errors()[0]
        raise UserError(f"{'.'.join(map(str, wrong['loc']))} {wrong['input']!r}: {wrong['msg']}") from error


def _queued(definition: "Definition", call: "Call", chosen: Settings) -> "Run":
    """The same call is the same run, however often it is made."""
    from queueing.cli.context import opened_doorbell, opened_store
    from queueing.enqueue import enqueue_runs
    from queueing.expand import runs
    from queueing.keys import canonical, run_id

    with opened_store(chosen) as store, opened_doorbell(chosen) as doorbell:

        def particular(run: "Run") -> "Run":
            key = hashlib.sha256(canonical([run.key, *call.identity()]).encode()).hexdigest()
            limits = [one for one in (run.resources.time_s, call.cutoff_s) if one is not None]
            resources = replace(run.resources, time_s=min(limits, default=None))
            return replace(run, key=key, id=run_id(key), resources=resources)

        made = enqueue_runs(definition, store, doorbell, lambda now, owner, provenance: [
            particular(run) for run in runs(definition, now, owner, provenance)
        ])  # fmt: skip
        return made[0]


def _ended(chosen: Settings, run_id: str) -> "Run":
    from queueing.waiting import endings

    return next(endings(chosen, [run_id]))


def _answer(run: "Run", objective: "ObjectiveTable", worst: float, seed: int, chosen: Settings) -> str:
    from queueing.cli.context import opened_store
    from queueing.optimize.judging import value_of
    from queueing.smac_wire import Status, result_line, runtime_s, status_of

    with opened_store(chosen) as store:
        value = value_of(objective, run, _series(store))
    status = status_of(run, value)
    sign = -1.0 if objective.direction == "maximize" else 1.0
    cost = sign * value if value is not None and status is Status.SAT else worst
    said = run.ending.message if run.ending and run.ending.message else str(run.reason or "")
    lacks = f"no finite {objective.metric}" if status is Status.UNSAT and not said else said
    return result_line(status, runtime_s(run), cost, seed, f"run {run.id}{': ' if lacks else ''}{lacks}")


def _series(store: "Store") -> Callable[["Run", str], Any]:
    return lambda run, metric: store.series(run.id, metric)


def _with_patience(work: Callable[[], T]) -> T:
    """As long as it takes: an optimizer that runs for days must not end because MongoDB was restarted."""
    told = False
    while True:
        try:
            return work()
        except StoreUnavailable as error:
            if not told:
                print(f"labq: {error}; waiting", file=sys.stderr)
            told = True
            time.sleep(_RETRY_S)
