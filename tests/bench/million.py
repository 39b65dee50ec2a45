"""A database of very many runs, made by raw inserts: what the benches of questions ask."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pymongo
from pymongo import WriteConcern

from store.mongo import MongoStore
from store.mongo.codec import plain
from store.mongo.derived import run_document
from store.mongo.schema import INDEXES
from store.runs import Attempt, Ending, MetricSummary, Progress, Resources, Run, Task
from store.states import Reason, State

CHUNK = 5_000
PER_EXPERIMENT = 10_000
BIG = "big"
"""One experiment in ten runs belongs to this one; the others are small."""
_STATES = [State.FINISHED] * 85 + [State.FAILED] * 8 + [State.CANCELLED] * 2 + [State.QUEUED] * 5
_MESSAGES = ["RuntimeError: CUDA error: out of memory", "ValueError: shapes do not fit", "KeyError: 'val_los'", ""]


def fill(store: MongoStore, count: int, seed: int = 1) -> None:
    """Insert that many runs of a few hundred experiments, with parameters, metrics, tags and a history; then index them."""
    draw = random.Random(seed)
    began = datetime.now(UTC).replace(microsecond=0) - timedelta(days=365)
    template = run_document(_run(0, draw, began, count))
    runs = store.database["runs"].with_options(write_concern=WriteConcern(w=1, j=False))
    runs.drop_indexes()
    for start in range(0, count, CHUNK):
        chunk = [_document(template, number, draw, began, count) for number in range(start, min(count, start + CHUNK))]
        runs.insert_many(chunk, ordered=False)
    with pymongo.timeout(3600):
        runs.create_indexes(INDEXES["runs"])
    for experiment in [BIG, *{_experiment(number) for number in range(0, count, 7)}]:
        store.note_names(experiment, metrics=["loss", "val_loss", "val_accuracy"], params=_params(draw))


def _experiment(number: int) -> str:
    return BIG if number % 10 == 0 else f"exp-{number // PER_EXPERIMENT:04}"


def _params(draw: random.Random) -> dict[str, Any]:
    return {
        "lr": draw.choice([1e-4, 1e-3, 1e-2, 0.1]), "l1": draw.uniform(0, 1e-3), "n_hidden": draw.choice([50, 100, 150, 300]),
        "noise": draw.choice([0.0, 0.1, 0.3, 1.0]), "act": draw.choice(["tanh", "relu"]), "seed": draw.randrange(10**6),
        "epochs": 100, "data": {"train": "tweets.tsv", "vectors": "glove.txt"},
    }  # fmt: skip


def _metric(draw: random.Random, least: float, most: float) -> MetricSummary:
    low = draw.uniform(least, most)
    return MetricSummary(last=low * 1.1, last_step=10_000, count=100, min=low, min_step=9000, max=most, max_step=100)


def _summary(draw: random.Random) -> dict[str, MetricSummary]:
    return {"loss": _metric(draw, 0.05, 2), "val_loss": _metric(draw, 0.1, 2), "val_accuracy": _metric(draw, 0.3, 0.9)}


def _run(number: int, draw: random.Random, began: datetime, count: int) -> Run:
    """What does not change from run to run is converted once."""
    git = {"repository": "/home/ann/rnn", "remote": "git@git.lab:ann/rnn", "commit": "3f2a" * 10, "branch": "main",
           "dirty": True, "untracked": [], "diff_truncated": False, "diff": "0" * 24}  # fmt: skip
    facts = {"host": "gpu-1.lab", "user": "ann", "python": "3.11.7", "packages": "0" * 24}
    attempt = Attempt(number=1, worker="w", started_at=began, ended_at=began, facts=facts, ending=Ending(exit_code=0))
    return Run(
        id="0", key="0", experiment=BIG, params={}, task=Task(command=("python", "train.py", "--lr", "{lr}"), workdir="/home/ann/rnn"),
        owner="ann", provenance={"git": git}, queued_at=began, history=(attempt,), ending=Ending(exit_code=0),
        resources=Resources(gpus=1, memory_bytes=8 * 10**9), progress=Progress(done=100, total=100),
    )  # fmt: skip


def _document(
    template: dict[str, Any], number: int, draw: random.Random, began: datetime, count: int
) -> dict[str, Any]:
    state = draw.choice(_STATES)
    queued_at = began + timedelta(seconds=number * (364 * 86400 / count))
    started_at = queued_at + timedelta(minutes=5)
    waits = state is State.QUEUED
    ended_at = started_at + timedelta(seconds=draw.randrange(60, 86400))
    message = draw.choice(_MESSAGES) if state is State.FAILED else ""
    document = {
        **template, "_id": f"{draw.getrandbits(60):015x}"[-12:], "key": f"{number:064x}", "experiment": _experiment(number),
        "params": _params(draw), "repeat": 0, "index": number % PER_EXPERIMENT, "state": state.value, "queued_at": queued_at,
        "reason": draw.choice([*Reason]).value if state is State.FAILED else None, "attempt": int(not waits),
        "tags": ["paper"] if number % 1000 == 7 else ["sweep"] if number % 3 == 0 else [],
        "owner": draw.choice(["ann", "bob", "eve"]), "priority": draw.choice([0, 0, 0, 10]),
        "started_at": None if waits else started_at,
        "ended_at": None if waits else ended_at,
    }  # fmt: skip
    if waits:
        return document | {"summary": {}, "history": [], "ending": None, "progress": None, "derived": {}}
    attempt = {**template["history"][0], "worker": f"w{number % 40}", "started_at": started_at, "ended_at": ended_at}
    attempt["facts"] = {**attempt["facts"], "host": f"gpu-{number % 40}.lab"}
    spent_s = (ended_at - started_at).total_seconds()
    derived = {"duration_s": spent_s, "running_time_s": spent_s, "progress": 1.0, "step": 10_000}
    ending = {**template["ending"], "message": message}
    return document | {"summary": plain(_summary(draw)), "history": [attempt], "ending": ending, "derived": derived}
