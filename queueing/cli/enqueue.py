"""`labq enqueue FILE`."""

import argparse
import json
import sys
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from queueing.cli.context import opened_store, settings
from queueing.cli.study_words import study_lines
from queueing.units import format_duration, format_size
from store.errors import ExitCode
from store.runs import Resources, short
from store.schedulers import Scheduler

if TYPE_CHECKING:
    from queueing.expand import Definition
    from store.store import Store

_SHOWN = 20
BAR_FROM = 2000
"""A sweep smaller than this is in the queue before a progress bar could be read."""


class OwnJobs(Protocol):
    """Who asks for jobs, where each run is to have one of its own."""

    on: Scheduler

    def check(self, wants: Resources, queue: str) -> None:
        """Raises UserError when such jobs would never start."""

    def ask(self, store: "Store", queue: str) -> None:
        """For those runs of this queue that have none."""


def enqueue_file(options: argparse.Namespace, jobs: OwnJobs | None = None) -> int:
    """Show what was understood, then queue it."""
    from queueing.definition import define

    chosen = settings()
    definition = define(Path(options.file), chosen)
    if jobs is not None:
        definition = replace(definition, resources=replace(definition.resources, on=jobs.on))
    if options.dry_run:
        _print_plan(definition, as_json=options.json)
        return ExitCode.OK
    if jobs is not None:
        jobs.check(definition.resources, definition.queue)
    from queueing.doorbell import Doorbell
    from queueing.enqueue import enqueue
    from store.connect import redis_url

    if not options.json:
        print(_understood(definition))
    doorbell = Doorbell(redis_url(chosen), chosen.redis_timeout_s)
    with opened_store(chosen) as store, _Bar(definition.size, visible=not options.json) as bar:
        try:
            done = enqueue(definition, store, doorbell, on_progress=bar.advance, lease_s=chosen.lease_s)
        except KeyboardInterrupt:
            said = f"labq: interrupted: the first {bar.done} of {definition.size} runs are queued"
            print(f"{said}; the same command adds the others", file=sys.stderr)
            raise
    if done.warning:
        print(f"labq: {done.warning}", file=sys.stderr)
    if options.json:
        told = {"experiment": done.experiment, "total": done.total, "added": done.added, "ids": done.ids}
        print(json.dumps(told, indent=2 if done.added < _SHOWN else None))
    elif definition.study is not None:
        print(_begun(definition, done.ids, done.warm))
    else:
        print(_queued(done.added, done.total, done.ids))
    if jobs is not None:
        with opened_store(chosen) as store:
            jobs.ask(store, definition.queue)
    return ExitCode.OK


def _print_plan(definition: "Definition", *, as_json: bool) -> None:
    from queueing.expand import configurations
    from queueing.space.names import flat

    if as_json:
        _print_runs(definition)
        return
    print(_understood(definition))
    shown = [flat(params) for params, _ in islice(configurations(definition), _SHOWN)]
    varied = definition.varied
    print(f"  fixed     {_assigned(shown[0], [name for name in shown[0] if name not in varied])}")
    if definition.study is not None:
        print("  such as")
    for params in shown if definition.size > 1 or definition.study is not None else []:
        print(f"    {_assigned(params, [name for name in params if name in varied])}")
    if definition.size > _SHOWN and definition.study is None:
        print(f"  … and {definition.size - _SHOWN} more (--json lists all)")


def _print_runs(definition: "Definition") -> None:
    """One run a line, as it is made: a million of them need no memory."""
    from queueing.expand import runs

    print(f'{{"experiment": {json.dumps(definition.name)}, "runs": [')
    between = ""
    for run in runs(definition, datetime.now(UTC), "", {}):
        row = {"key": run.key, "params": run.params, "repeat": run.repeat}
        sys.stdout.write(between + json.dumps(row, ensure_ascii=False, allow_nan=False))
        between = ",\n"
    print("\n]}")


def _assigned(params: dict[str, Any], names: Iterable[str]) -> str:
    return ", ".join(f"{name} = {json.dumps(params[name], ensure_ascii=False)}" for name in names) or "nothing"


def _understood(definition: "Definition") -> str:
    """What the file says, in a few lines."""
    from queueing.cli.sweeps import sweep_lines

    task, wants = definition.task, definition.resources
    lines = [f"{definition.name}: {definition.size} run{'s' if definition.size != 1 else ''}"]
    if definition.study is not None:
        lines = [f"{definition.name}: a study", *study_lines(definition.study)]
    lines.append(f"  trainer   {task.trainer}" if task.trainer else f"  command   {' '.join(task.command)}")
    lines.append(f"  in        {task.workdir}")
    for block in definition.blocks if definition.study is None else ():
        lines += sweep_lines(block, numbered=len(definition.blocks) > 1)
    lines += [f"  template  {', '.join(file.name for file in task.files)}"] if task.files else []
    lines += [f"  result    {' '.join(task.result)}"] if task.result else []
    needs = [f"{wants.gpus} GPU" if wants.gpus else "", f"{wants.cpus} CPU" if wants.cpus else ""]
    needs += [format_size(wants.memory_bytes) if wants.memory_bytes else "", *wants.tags]
    needs += [f"at most {format_duration(wants.time_s)}" if wants.time_s else ""]
    if any(needs):
        lines.append(f"  needs     {', '.join(need for need in needs if need)}")
    if definition.stopping is not None:
        lines += _stopping_lines(definition.stopping)
    lines += _diagnosis_lines(definition.diagnosis)
    lines += _rule_lines(definition)
    return "\n".join(lines)


def _stopping_lines(table: dict[str, Any]) -> list[str]:
    from queueing.stopping.reading import stopping_of
    from queueing.stopping.words import better_words, rule_lines

    rules = stopping_of(table)
    return [f"  stopping  {better_words(rules)}", *(f"            {line}" for line in rule_lines(rules))]


def _diagnosis_lines(tables: tuple[dict[str, Any], ...]) -> list[str]:
    from queueing.remedies.words import remedy_words

    return [f"  {'diagnosis' if number == 0 else '':<9} {words}" for number, words in enumerate(remedy_words(tables))]


def _rule_lines(definition: "Definition") -> list[str]:
    from queueing.rules.words import rule_words
    from store.rules import simple_rule

    simple = simple_rule(definition.notify)
    told = [*([simple] if simple is not None else []), *definition.rules]
    return [f"  {'mail' if not number else '':<9} {rule_words(rule)}" for number, rule in enumerate(told)]


def _begun(definition: "Definition", ids: tuple[str, ...], warm: int) -> str:
    shown = " ".join(short(run) for run in ids[:8]) + (" …" if len(ids) > 8 else "")
    first = f"queued the first {len(ids)}: {shown}" if ids else "nothing to ask for now"
    knows = f"; the optimizer knows {warm} earlier runs" if warm else ""
    return f"{first}{knows}\nworkers ask for the next ones; see: labq study {definition.name}"


def _queued(added: int, total: int, ids: tuple[str, ...]) -> str:
    if added == 0:
        return f"nothing added: all {total} runs are known already (see: labq ls; again: labq requeue RUN)"
    known = f", {total - added} were known already" if added < total else ""
    shown = " ".join(short(run) for run in ids[:8]) + (" …" if len(ids) > 8 else "")
    return f"queued {added} run{'s' if added != 1 else ''}{known}: {shown}"


class _Bar:
    """A progress bar for many runs on a terminal; silent otherwise."""

    def __init__(self, total: int, *, visible: bool) -> None:
        self.done = 0
        self._total, self._visible = total, visible and total >= BAR_FROM and sys.stderr.isatty()

    def __enter__(self) -> "_Bar":
        if self._visible:
            from rich.console import Console
            from rich.progress import Progress

            self._progress = Progress(console=Console(stderr=True), transient=True)
            self._progress.start()
            self._task = self._progress.add_task("queueing", total=self._total)
        return self

    def advance(self, count: int) -> None:
        """That many more."""
        self.done += count
        if self._visible:
            self._progress.advance(self._task, count)

    def __exit__(self, *_: object) -> None:
        if self._visible:
            self._progress.stop()
