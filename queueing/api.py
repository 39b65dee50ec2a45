"""The Python face: what `labq.enqueue`, `labq.runs`, … are when all of labq is installed. See docs/python.md.

import labq
done = labq.enqueue({"name": "toy", "command": ["python", "train.py", "--lr", "{lr}"],
                     "sweep": {"params": {"lr": [0.1, 0.01]}}})
for run in labq.runs("toy"):
    print(run.id, run.state, run.summary)
labq.results("toy", sort="val_loss", best=10).to_pandas()

trial = labq.ask("study", outside=True)          # from its optimizer; yours: labq.ask("study", {"lr": 0.1})
labq.tell("study", trial.number, val_loss=0.31)
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from queueing.definition import define, define_table
from queueing.doorbell import Doorbell
from queueing.enqueue import Enqueued
from queueing.enqueue import enqueue as enqueue_definition
from queueing.frames.curves import Curves, curves_of, curves_of_none
from queueing.frames.found import FoundRun, Runs, found
from queueing.frames.lab import Lab
from queueing.optimize.outside import ask_trial, tell_trial
from queueing.query.asking import known_names, understood, with_saved
from queueing.query.columns import order
from queueing.results.asking import Ask
from queueing.results.python import Results, results_of
from queueing.results.record import Directions
from queueing.results.report import report
from store.connect import connect, redis_url
from store.errors import UserError
from store.metrics import Series
from store.runs import Run
from store.settings import load
from store.store import RunQuery, Store
from store.studies import Trial, TrialState


def enqueue(experiment: str | Path | Mapping[str, Any]) -> Enqueued:
    """Queue the runs of an experiment file, or of a table with the same keys, relative to the current folder.

    Raises BadExperiment, StoreUnavailable.
    """
    settings = load().settings
    if isinstance(experiment, Mapping):
        table = dict(experiment)
        definition = define_table(table, json.dumps(table, default=str), Path.cwd() / "enqueued from Python", settings)
    else:
        definition = define(Path(experiment), settings)
    with _store() as store:
        return enqueue_definition(definition, store, Doorbell(redis_url(settings), settings.redis_timeout_s))


def runs(query: str | None = None, *, sort: str = "", mongo: str = "", limit: int = 0) -> Runs:
    """The runs that a query asks for, as `labq ls` understands it: `"weather"`, `"state=finished and val_loss<0.25"`.

    Oldest first, or in the order of a field: `sort="val_loss"`, `sort="-params.lr"`; `limit`: the first so many, or
    without `sort` the newest. `mongo`: a filter in MongoDB's own words; `"@good"`: a saved view. The query is checked
    now, the runs are read when they are looked at. Raises BadQuery, StoreUnavailable.
    """
    lab = Lab(load().settings)
    view = with_saved(query or "", lab.store)
    names = known_names(view.query, lab.store)
    asked = RunQuery(
        where=understood(view.query, lab.store, mongo=mongo or view.mongo or None),
        order=order(sort or view.sort, names),
        limit=limit or view.limit or 0,
    )
    return Runs(lab, asked, names, query or "")


def run(run: str) -> FoundRun:
    """One run, by its id or the beginning of it. Raises NoSuchRun, AmbiguousId, StoreUnavailable."""
    lab = Lab(load().settings)
    return found(lab.store.run(run), lab)


def curves(
    which: str | Runs | Iterable[Run | str], metric: str | Sequence[str], *, params: Sequence[str] | None = None
) -> Curves:
    """All points of a metric, or of several, as one long table: of an experiment, a query, or of runs (or their ids).

    Columns `run`, `params.NAME` of the parameters that differ (or of `params`), `metric`, `step`, `time`, `value`;
    `.to_pandas()`, `.to_polars()`, or by name as arrays. All points are in memory at once: 24 bytes each. A run without
    the metric has no rows. Raises BadQuery, UserError for a metric that nobody has reported, StoreUnavailable.
    """
    if isinstance(which, Runs):
        return which.curves(metric, params=params)
    if isinstance(which, str):
        return runs(which).curves(metric, params=params)
    ids = tuple(one if isinstance(one, str) else one.id for one in which)
    lab = Lab(load().settings)
    return curves_of(lab.store, RunQuery(ids=ids), metric, params, lab.store.names()) if ids else curves_of_none()


def results(
    which: str,
    *,
    metrics: Sequence[str] = (),
    columns: Sequence[str] = (),
    sort: str | None = None,
    reverse: bool = False,
    best: int | None = None,
    greater: Sequence[str] = (),
    smaller: Sequence[str] = (),
    at_best: str | None = None,
    over: Sequence[str] = (),
    level: float = 0.95,
    median: bool = False,
    unfinished: bool = False,
) -> Results:
    """A row (a dict; None is missing) for each run of an experiment or a query, or with `over` for each configuration.

    The arguments are the options of `labq results`; `greater` and `smaller` are its --max and --min. All rows are in
    memory at once: some kB each. Raises UserError for names that mean nothing here, BadQuery, StoreUnavailable.
    """
    _check(metrics=metrics, columns=columns, greater=greater, smaller=smaller, over=over)
    if not 0 < level < 1:
        raise UserError(f"level={level}: allowed: between 0 and 1, such as 0.95")
    if best is not None and best < 1:
        raise UserError(f"best={best}: allowed: 1 and more")
    ask = Ask(
        text=which, metrics=tuple(metrics), columns=tuple(columns), sort=sort, reverse=reverse, best=best,
        directions=Directions(greater=frozenset(greater), smaller=frozenset(smaller)), at_best=at_best,
        over=tuple(over), level=level, median=median, unfinished=unfinished,
    )  # fmt: skip
    with _store() as store:
        return results_of(report(ask, store).lines.table())


def series(run: str, metric: str) -> Series:
    """The history of one metric. Raises NoSuchRun, AmbiguousId, StoreUnavailable."""
    with _store() as store:
        return store.series(store.run(run).id, metric)


def ask(study: str, params: Mapping[str, Any] | None = None, *, outside: bool = False) -> Trial:
    """Fix the next trial of a study and queue its run; `outside`: you evaluate it, then `tell`.

    Raises NoSuchStudy, UserError, EngineMissing, StoreUnavailable.
    """
    with _store() as store, closing(_doorbell()) as doorbell:
        return ask_trial(store, doorbell, study, params, outside=outside)


def tell(study: str, trial: int, *, state: str = "complete", **values: float) -> Trial:
    """What came of a trial that ran elsewhere; state: complete, failed or pruned. Raises NoSuchStudy, UserError."""
    if state not in ("complete", "failed", "pruned"):
        raise UserError(f"state {state!r}: allowed: complete, failed, pruned")
    with _store() as store:
        return tell_trial(store, study, trial, values, TrialState(state))


def _doorbell() -> Doorbell:
    settings = load().settings
    return Doorbell(redis_url(settings), settings.redis_timeout_s)


def _check(**names: Sequence[str]) -> None:
    """A text is a sequence too, of letters."""
    for argument, value in names.items():
        if isinstance(value, str):
            raise UserError(f"{argument}={value!r}: is a text; a list is meant: {argument}=[{value!r}]")


@contextmanager
def _store() -> Iterator[Store]:
    store = connect(load().settings)
    try:
        yield store
    finally:
        store.close()
