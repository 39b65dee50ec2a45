"""`labq import`: runs that were carried out elsewhere."""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from queueing.cli.context import opened_store
from queueing.imports.bringing import Bringing, Brought, check_experiment
from queueing.imports.cleaning import experiment_name
from queueing.imports.elsewhere import Elsewhere
from store.errors import ExitCode, NoSuchRun, UserError
from store.identity import user_name
from store.imports import UNFINISHED
from store.store import Store

_OF_FILES = ("metrics", "params", "run", "step", "state", "time")
_TELL_EVERY = 100


def import_runs(options: argparse.Namespace) -> int:
    """Add what is not there yet; the same command again adds nothing, or what a killed one left out."""
    _check(options)
    with opened_store() as store:
        return _sacred(options, store) if options.kind == "sacred" else _table(options, store)


def _check(options: argparse.Namespace) -> None:
    """Options of another kind of source, and a name that no experiment can have."""
    strangers = (
        [f"--{name}" for name in _OF_FILES if getattr(options, name)]
        if options.kind == "sacred"
        else [flag for flag, given in (("--prefix", options.prefix), ("--no-files", options.no_files)) if given]
    )
    if strangers:
        raise UserError(f"{strangers[0]} means nothing for {options.kind}")
    if options.experiment and experiment_name(options.experiment) != options.experiment:
        raise UserError(
            f"--experiment {options.experiment}: allowed: letters, digits, '.', '_' and '-', at most 100, "
            "beginning with a letter or digit"
        )


def _table(options: argparse.Namespace, store: Store) -> int:
    from queueing.imports.files import CsvFile, JsonLines
    from queueing.imports.mapping import Chosen
    from queueing.imports.table import ImportedTable

    path = Path(options.source)
    if not path.is_file():
        raise UserError(f"{path}: {'is no regular file' if path.exists() else 'there is no such file'}")
    chosen = Chosen(
        params=_names(options.params), metrics=_names(options.metrics), step=options.step, run=options.run,
        state=options.state, time=options.time,
    )  # fmt: skip
    experiment = options.experiment or experiment_name(path.stem) or "imported"
    file = CsvFile(path) if options.kind == "csv" else JsonLines(path)
    table = ImportedTable(file, chosen, experiment, store.now())
    return _bring(options, store, table.runs(), path.name, [])


def _sacred(options: argparse.Namespace, store: Store) -> int:
    from store.mongo.sacred import SacredDatabase

    waiting: list[str] = []
    with closing(SacredDatabase(options.source, options.prefix)) as database:
        runs = _sacred_runs(options, database, store, waiting)
        return _bring(options, store, runs, database.shown, waiting)


def _sacred_runs(options: argparse.Namespace, database: Any, store: Store, waiting: list[str]) -> Iterator[Elsewhere]:
    from queueing.imports.sacred import elsewhere, waits

    for index, run_id in enumerate(database.ids()):
        document = database.run(run_id)
        if document is None:
            continue  # deleted since
        if why := waits(document, store.now()):
            waiting.append(f"run {run_id} {why}")
            continue
        yield elsewhere(
            document,
            index=index,
            experiment=options.experiment or "",
            series=partial(database.series, document),
            fetch=database.fetch,
            with_files=not options.no_files,
        )


def _bring(
    options: argparse.Namespace, store: Store, runs: Iterable[Elsewhere], source: str, waiting: list[str]
) -> int:
    census = _Census(visible=not options.json)
    counted = map(census.count, runs)
    if options.dry_run:
        brought = _would(store, counted, again=options.again)
    else:
        bringing = Bringing(store, source, user_name(), again=options.again)
        try:
            brought = bringing.all(counted, census.tell)
        except KeyboardInterrupt:
            print("labq: interrupted; the same command imports the rest", file=sys.stderr)
            raise
    _say(options, census, brought, waiting)
    return ExitCode.OK


def _would(store: Store, runs: Iterable[Elsewhere], *, again: bool) -> Brought:
    """What an import would find new, without adding it."""
    added, known, experiments = 0, 0, set()
    for run in runs:
        if run.experiment not in experiments:
            check_experiment(store.experiment(run.experiment), run.experiment)
            experiments.add(run.experiment)
        try:
            there = store.run(run.id).remark != UNFINISHED
        except NoSuchRun:
            there = False
        known += there and not again
        added += not there or again
    return Brought(added=added, known=known)


def _say(options: argparse.Namespace, census: "_Census", brought: Brought, waiting: list[str]) -> None:
    if options.json:
        told = {
            "added": brought.added, "known": brought.known, "dry_run": options.dry_run, "lost_files": brought.lost,
            "not_yet": waiting, "experiments": dict(census.experiments), "states": dict(census.states),
            "params": list(census.params), "metrics": options.metrics and list(_names(options.metrics)),
        }  # fmt: skip
        print(json.dumps(told, indent=2))
        return
    for line in (*waiting[:10], *([f"and {len(waiting) - 10} more"] if len(waiting) > 10 else [])):
        print(f"labq: not imported yet: {line}", file=sys.stderr)
    for line in brought.lost[:10]:
        print(f"labq: the database has lost a file: {line}", file=sys.stderr)
    verb = "would import" if options.dry_run else "imported"
    where = ", ".join(census.experiments)
    known = f", {brought.known} known already" if brought.known else ""
    print(
        f"{verb} {brought.added} run{'' if brought.added == 1 else 's'}" + (f" into {where}" if where else "") + known
    )
    if options.dry_run and census.experiments:
        print(f"  states    {', '.join(f'{count} {state}' for state, count in census.states.items())}")
        print(f"  params    {', '.join(census.params) or 'none'}")
    elif brought.added:
        print(f"look: labq ls {where.split(', ')[0]}")


class _Census:
    """What passes by, and a word about it now and then."""

    def __init__(self, *, visible: bool) -> None:
        self.experiments: Counter[str] = Counter()
        self.states: Counter[str] = Counter()
        self.params: dict[str, None] = {}
        self._visible, self._done = visible and sys.stderr.isatty(), 0

    def count(self, run: Elsewhere) -> Elsewhere:
        """One more."""
        self.experiments[run.experiment] += 1
        self.states[run.state.value] += 1
        self.params |= dict.fromkeys(run.params)
        return run

    def tell(self, _is_new: bool) -> None:
        """On a terminal."""
        self._done += 1
        if self._visible and self._done % _TELL_EVERY == 0:
            print(f"\r{self._done} runs …", end="", file=sys.stderr, flush=True)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())
