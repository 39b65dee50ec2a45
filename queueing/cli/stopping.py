"""`labq stopping EXPERIMENT`: its rules, what they have decided, and what they would have done."""

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from queueing.cli.context import jsonable, opened_doorbell, opened_store, print_json, settings
from queueing.stopping.reading import read_stopping
from queueing.stopping.replay import Would, names_for, replay
from queueing.stopping.round import let_go
from queueing.stopping.rules import Stopping
from queueing.stopping.words import better_words, rule_lines
from queueing.units import format_duration
from store.errors import BadExperiment, ExitCode, UserError
from store.experiments import Experiment
from store.runs import Run, short
from store.states import State
from store.store import RunQuery, Store

_SHOWN = 40


def stopping(options: argparse.Namespace) -> int:
    """Show, try, or change the rules of an experiment."""
    if options.off and (options.rules or options.dry_run):
        raise UserError("--off goes with neither --rules nor --dry-run")
    chosen = settings()
    with opened_store(chosen) as store, opened_doorbell(chosen) as doorbell:
        experiment = _experiment(store, options.experiment)
        if options.off:
            store.set_stopping(experiment.name, None)
            let_go(store, doorbell, experiment.name)
            return _said(
                options, {"experiment": experiment.name, "rules": None}, f"{experiment.name}: no rules any more"
            )
        params = store.names((experiment.name,)).params
        table = _table(Path(options.rules)) if options.rules else experiment.stopping
        if table is None:
            raise UserError(
                f"experiment {experiment.name} has no rules; give some: labq stopping {experiment.name} --rules FILE"
            )
        rules = _checked(table, params, options.rules or experiment.source)
        if options.dry_run:
            return _try(store, experiment, rules, params, as_json=options.json)
        if options.rules:
            store.set_stopping(experiment.name, table)
            return _said(options, {"experiment": experiment.name, "rules": table}, _rules_text(experiment.name, rules))
        return _show(store, experiment, rules, as_json=options.json)


def _said(options: argparse.Namespace, value: dict[str, Any], text: str) -> int:
    if options.json:
        print_json(value)
    else:
        print(text)
    return ExitCode.OK


def _experiment(store: Store, name: str) -> Experiment:
    every = {one.name: one for one in store.experiments()}
    if name not in every:
        known = ", ".join(list(every)[:8]) or "none yet"
        raise UserError(f"there is no experiment {name!r}; there are: {known}")
    return every[name]


def _table(path: Path) -> dict[str, Any]:
    """An experiment file, or one that has the table [stopping] alone."""
    from queueing.reading import read_file

    table, _ = read_file(path)
    found = table.get("stopping")
    if not isinstance(found, dict):
        raise BadExperiment(str(path), ["stopping: is missing; the rules stand in a table [stopping]"])
    return found


def _checked(table: dict[str, Any], params: frozenset[str], source: str) -> Stopping:
    from queueing.mistakes import at

    rules, mistakes = read_stopping(table, params)
    if rules is None:
        raise BadExperiment(source, [at(path, said, "", is_toml=False) for path, said in mistakes])
    return rules


def _rules_text(name: str, rules: Stopping) -> str:
    return "\n".join([f"{name}: {better_words(rules)}", *(f"  {line}" for line in rule_lines(rules))])


# ── what has been decided ──
def _show(store: Store, experiment: Experiment, rules: Stopping, *, as_json: bool) -> int:
    runs = store.runs(RunQuery(experiment=experiment.name))
    judged = [run for run in runs if run.judged.stopped or run.judged.held or run.judged.overruled]
    if as_json:
        print_json({"experiment": experiment.name, "rules": experiment.stopping, "runs": [_row(run) for run in judged]})
        return ExitCode.OK
    print(_rules_text(experiment.name, rules))
    counts = Counter(_now(run) for run in runs)
    print(f"{len(runs)} runs: {', '.join(f'{number} {what}' for what, number in counts.most_common())}")
    for run in judged[:_SHOWN]:
        print(f"  {short(run.id)}  {_now(run)}: {_because(run)}")
    if len(judged) > _SHOWN:
        print(f"  … and {len(judged) - _SHOWN} more (--json lists all)")
    return ExitCode.OK


def _row(run: Run) -> dict[str, Any]:
    judged = run.judged
    said = {"stopped": judged.stopped, "held": judged.held, "overruled": judged.overruled}
    return {"run": run.id, "state": run.state, **said}


def _now(run: Run) -> str:
    if run.judged.held is not None and run.state in (State.PAUSED, State.RUNNING):
        return "waits at a rung"
    if run.judged.stopped is not None:
        return "stopped" if run.state is State.CANCELLED else "is being stopped"
    return run.state.value


def _because(run: Run) -> str:
    ruling = run.judged.stopped or run.judged.held
    if ruling is not None:
        return ruling.because
    return f"let go on by a person: {run.judged.overruled[-1].because}"


# ── what would have been decided ──
def _try(store: Store, experiment: Experiment, rules: Stopping, params: frozenset[str], *, as_json: bool) -> int:
    names = names_for(rules, params)
    runs = {run.id: run for run in store.runs(RunQuery(experiment=experiment.name)) if run.attempt > 0}
    tracks = {run_id: dict(zip(names, store.whole_tracks(run_id, names), strict=True)) for run_id in runs}
    found = replay(rules, params, runs, tracks)
    unknown = [name for name in names if not any(tracks[run_id][name].values for run_id in runs)]
    if as_json:
        print_json({"experiment": experiment.name, "runs": [_would_row(one) for one in found], **_savings(found)})
        return ExitCode.OK
    print(_rules_text(experiment.name, rules))
    for name in unknown:
        print(f"no run has reported {name!r} yet")
    _print_would(rules, found)
    return ExitCode.OK


def _would_row(one: Would) -> dict[str, Any]:
    ruling = one.stopped
    said = {
        "stopped": ruling is not None,
        "rule": ruling.rule if ruling else None,
        "rung": ruling.rung if ruling else None,
        "because": ruling.because if ruling else "",
    }
    return {**jsonable(one), **said}


def _savings(found: Sequence[Would]) -> dict[str, Any]:
    return {
        "stopped": sum(one.stopped is not None for one in found),
        "steps": sum(one.steps for one in found),
        "steps_saved": sum(one.steps_saved for one in found),
        "time_s": sum(one.time_s for one in found),
        "saved_s": sum(one.saved_s for one in found),
    }


def _print_would(rules: Stopping, found: Sequence[Would]) -> None:
    stopped = [one for one in found if one.stopped is not None]
    print(f"{len(found)} runs have reported; {len(stopped)} would have been stopped:")
    for one in stopped[:_SHOWN]:
        print(f"  {short(one.run)}  at {rules.by} {one.resource or 0:g}: {one.stopped.because if one.stopped else ''}")
    if len(stopped) > _SHOWN:
        print(f"  … and {len(stopped) - _SHOWN} more (--json lists all)")
    total = _savings(found)
    if total["steps"]:
        part = f"{total['steps_saved']:,} of {total['steps']:,} steps ({total['steps_saved'] / total['steps']:.0%})"
        print(f"saved: {part}, {format_duration(total['saved_s'])} of {format_duration(total['time_s'])}")
    _print_best(rules, found)


def _print_best(rules: Stopping, found: Sequence[Would]) -> None:
    """The question behind all rules: would the best run have survived them?"""
    sign = 1 if rules.direction == "min" else -1
    known = [one for one in found if one.best_of_all is not None]
    if not known or not rules.metric:
        return
    best = min(known, key=lambda one: sign * (one.best_of_all or 0.0))
    said = f"the best run, {short(best.run)} with {rules.metric} {best.best_of_all:.6g},"
    if best.best == best.best_of_all:
        print(f"{said} would have got there")
        return
    left = min((one for one in known if one.best is not None), key=lambda one: sign * (one.best or 0.0))
    print(f"{said} would have been stopped before; the best left would be {left.best:.6g}, of {short(left.run)}")
