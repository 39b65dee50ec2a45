"""Runs, points and checkpoints to make backups of."""

from datetime import UTC, datetime
from pathlib import Path

from store.mongo import MongoStore
from store.runs import Checkpoint, Ending, Run, Task
from store.states import State
from store.store import Settlement
from store.workers import Worker

WORKER = Worker(name="w1", host="here", pid=1, cpus=4, memory_bytes=8 << 30)


def make_run(store: MongoStore, name: str, *, finished: bool = False) -> Run:
    """One that runs, or has run."""
    run = Run(
        id=name, key=f"key-{name}", experiment="exp", params={"lr": 0.1}, task=Task(command=("true",), workdir="/"),
        queued_at=datetime(2026, 1, 1, tzinfo=UTC),
    )  # fmt: skip
    store.add_runs([run])
    taken = store.claim(WORKER, 600.0)
    assert taken is not None
    assert taken.id == name
    if finished:
        store.settle(name, taken.attempt, Settlement(state=State.FINISHED, ending=Ending(exit_code=0)))
    return store.run(name)


def add_points(store: MongoStore, run: Run, attempt: int) -> None:
    """As an attempt stores them."""
    bucket = store.database["metrics"].count_documents({"run": run.id, "attempt": attempt})
    points = {"line": [1], "step": [1], "time": [1.0], "value": [0.5]}
    store.database["metrics"].insert_one(
        {"run": run.id, "name": "loss", "attempt": attempt, "bucket": bucket, **points}
    )
    store.database["events"].insert_one({"run": run.id, "attempt": attempt, "event": "began", "at": store.now()})


def publish(store: MongoStore, folder: Path, run: Run, step: int, data: bytes, keep: int = 2) -> Checkpoint:
    """A checkpoint, for which a finished run runs once more."""
    store.database["runs"].update_one({"_id": run.id}, {"$set": {"state": "running"}})
    path = folder / "weights.bin"
    path.write_bytes(data)
    wanted = Checkpoint(
        id="", run=run.id, attempt=run.attempt, step=step, line=step, name=path.name, is_dir=False, size_bytes=0,
        sha256="", created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )  # fmt: skip
    stored = store.publish_checkpoint(wanted, path, keep)
    store.database["runs"].update_one({"_id": run.id}, {"$set": {"state": run.state.value}})
    path.unlink()
    return stored
