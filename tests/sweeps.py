"""Sweeps that have been run, in a store: for pictures, tables and reports."""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from notify.made_up import study
from store.experiments import Experiment
from store.metrics import Segment, Shipment, summarize
from store.runs import Ending, Run, Task
from store.states import Reason, State
from store.store import Settlement, Store
from store.workers import Worker

NOW = datetime(2026, 1, 1, tzinfo=UTC)
WORKER = Worker(name="w1", host="gpu1", pid=1, cpus=4, memory_bytes=8 << 30)
FACTS = {"host": "gpu1.lab", "cpus": 8, "memory_bytes": 64 << 30, "python": "3.12.4", "platform": "Linux-6.8"}
COMMIT = "9fceb02d0ae598e95dc970b74767f19372d61af8"
Points = Mapping[str, Sequence[float] | tuple[Sequence[int], Sequence[float]]]


def an_experiment(store: Store, name: str = "exp", text: str = "", trainer: str | None = None) -> None:
    store.add_experiment(
        Experiment(
            name=name, owner="ada", source=f"/home/ada/{name}.toml", text=text, trainer=trainer, created_at=NOW,
            tags=("paper",), definition={"command": "python train.py --lr {lr}"},
        )
    )  # fmt: skip


def add(
    store: Store, index: int, params: Mapping[str, Any], points: Points, *, experiment: str = "exp",
    state: State | None = State.FINISHED, files: Mapping[str, str] | None = None, folder: Path | None = None,
    message: str = "", reason: Reason | None = None,
) -> str:  # fmt: skip
    """A run with these values at steps 0, 1, …, or at (steps, values); it reports one point a second. None: it runs on."""
    name = f"{experiment[:4]}{index:04d}"
    run = Run(
        id=name, key=name, experiment=experiment, params=dict(params), index=index, task=Task(command=("true",), workdir="/"),
        queued_at=NOW, owner="ada", provenance={"git": {"commit": COMMIT, "branch": "main", "dirty": False}},
    )  # fmt: skip
    store.add_runs([run])
    claimed = store.claim(WORKER, 600.0)
    assert claimed is not None
    assert claimed.id == name
    begun = store.begin(name, 1, None, FACTS)
    store.note_facts(name, 1, FACTS)
    start = (begun.started_at or NOW).timestamp()
    segments, line = [], 0
    for metric, given in points.items():
        steps, values = given if isinstance(given, tuple) else (range(len(given)), given)
        count = len(values)
        segments.append(
            Segment(
                name=metric, index=0, lines=list(range(line, line + count)), steps=list(steps),
                times=[start + place for place in range(count)], values=[float(value) for value in values],
            )
        )  # fmt: skip
        line += count
    shipment = Shipment(events_from=0, events_to=line + 1, lines_to=line, segments=tuple(segments), output_from=0)
    store.ship(name, 1, shipment, summarize({}, shipment.segments))
    for file, text in (files or {}).items():
        assert folder is not None
        path = folder / f"{name}-{file}"
        path.mkdir()
        (path / file).write_text(text)
        store.add_artifact(name, 1, path / file)
    if state is not None:
        ending = Ending(reason=reason, exit_code=0 if state is State.FINISHED else 1, message=message)
        store.settle(name, 1, Settlement(state=state, reason=reason, ending=ending))
    return name


def add_study(store: Store, runs: int = study.RUNS) -> None:
    """The 32 runs of the study that sample messages tell of, in the shape of Knight 2015: 4 x 4 x with and without."""
    an_experiment(store, study.NAME, text="name = 'weather-rnn'\n[env]\nAPI_TOKEN = 'hunter2'\n")
    for index in range(runs):
        made = study.run(index, done=study.RUNS)
        points = {one.name: (one.steps, one.values) for one in study.series(index)}
        assert made.ending is not None
        add(store, index, made.params, points, experiment=study.NAME, state=made.state, message=made.ending.message,
            reason=made.ending.reason)  # fmt: skip


NAN, INF = math.nan, math.inf
