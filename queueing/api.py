"""The Python face: what `labq.enqueue`, `labq.runs` and `labq.series` are when labq is installed as a whole.

import labq
done = labq.enqueue({"name": "toy", "command": ["python", "train.py", "--lr", "{lr}"],
                     "sweep": {"params": {"lr": [0.1, 0.01]}}})
for run in labq.runs("toy"):
    print(run.id, run.state, run.summary)
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from queueing.definition import define, define_table
from queueing.doorbell import Doorbell
from queueing.enqueue import Enqueued
from queueing.enqueue import enqueue as enqueue_definition
from store.connect import connect, redis_url
from store.metrics import Series
from store.runs import Run
from store.settings import load
from store.store import RunQuery, Store


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


def runs(experiment: str | None = None) -> list[Run]:
    """All runs, or those of one experiment, oldest first. Raises StoreUnavailable."""
    with _store() as store:
        return store.runs(RunQuery(experiment=experiment))


def series(run: str, metric: str) -> Series:
    """The history of one metric. Raises NoSuchRun, AmbiguousId, StoreUnavailable."""
    with _store() as store:
        return store.series(store.run(run).id, metric)


@contextmanager
def _store() -> Iterator[Store]:
    store = connect(load().settings)
    try:
        yield store
    finally:
        store.close()
