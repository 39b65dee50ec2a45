"""Every check finds what it is there to find."""

import os
import re
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from agent import share_done
from bson import ObjectId
from checks import check_leftovers, check_runs

from notify.rules.round import RulesRound
from store.metrics import Point, Shipment, segments, summarize
from store.mongo import MongoStore
from store.notices import Delivery, DeliveryState
from store.runs import Checkpoint, Ending, Notify, Run, Task
from store.settings import Settings
from store.states import State
from store.store import Settlement
from store.workers import Worker

WORKER = Worker(name="w1", host="here", pid=1, cpus=4, memory_bytes=8 << 30)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
VALUES = [3.0, 2.0, 1.0]


def finished(store: MongoStore, name: str, folder: Path) -> Run:
    """A run with a series, output, a checkpoint, an artifact and a mail that was sent."""
    task, told = Task(command=("true",), workdir="/"), Notify(to=("me@lab.example",))
    store.add_runs([Run(id=name, key=name, experiment="e", params={}, task=task, queued_at=NOW, notify=told)])
    run = store.claim(WORKER, 60.0)
    assert run is not None
    store.begin(run.id, 1, None, {})
    points = tuple(Point(name="loss", step=i, time=1.0, value=v, line=i + 1, index=i) for i, v in enumerate(VALUES))
    whole = Shipment(events_from=0, events_to=9, lines_to=3, segments=segments(points), output_from=0, output=b"abc")
    store.ship(run.id, 1, whole, summarize({}, segments(points)))
    weights = folder / "weights.bin"
    weights.write_bytes(b"w" * 300_000)
    described = Checkpoint(
        id="", run=run.id, attempt=1, step=2, line=3, name=weights.name, is_dir=False, size_bytes=0, sha256="",
        created_at=NOW,
    )  # fmt: skip
    store.publish_checkpoint(described, weights, 2)
    store.add_artifact(run.id, 1, weights)
    store.settle(run.id, 1, Settlement(state=State.FINISHED, ending=Ending(exit_code=0)))
    RulesRound(store, Settings(repair_s=0.001), "me").once()
    notice = store.claim_notice("me", 60.0)
    assert notice is not None
    told = [Delivery(to=to, state=DeliveryState.SENT) for to in notice.to]
    store.record_deliveries(notice.id, "me", told, retry_after_s=None)
    return store.run(name)


@pytest.fixture
def pair(mongo_store: MongoStore, tmp_path: Path) -> tuple[Run, Run]:
    return finished(mongo_store, "calm", tmp_path), finished(mongo_store, "stormy", tmp_path)


def promises(store: MongoStore, calm: Run) -> set[str]:
    return {violation.promise for violation in check_runs(store, [(calm, store.run("stormy"))])}


def test_twins_that_are_alike_break_no_promise(mongo_store: MongoStore, pair: Any, tmp_path: Path) -> None:
    assert promises(mongo_store, pair[0]) == set()
    assert check_leftovers(mongo_store, tmp_path) == []


def one(collection: str, change: dict[str, Any], **match: Any) -> Callable[[MongoStore], Any]:
    found = {key.replace("__", "."): value for key, value in match.items()}
    return lambda store: store.database[collection].update_one(found, change)


def lose(collection: str, **match: Any) -> Callable[[MongoStore], Any]:
    return lambda store: store.database[collection].delete_one(match)


def settled_twice(store: MongoStore) -> None:
    store.database["events"].insert_one({"run": "stormy", "attempt": 1, "event": "finished", "at": NOW})


def owed_twice(store: MongoStore) -> None:
    (notice,) = store.database["outbox"].find({"run": "stormy"})
    store.database["outbox"].insert_one({**notice, "_id": "again"})


def spoiled_checkpoint(store: MongoStore) -> None:
    file_id = ObjectId(store.database["runs"].find_one({"_id": "stormy"})["checkpoint"]["id"])  # type: ignore[index]
    store.database["checkpoint_files.chunks"].update_one({"files_id": file_id, "n": 1}, {"$set": {"data": b"w" * 100}})


def other_artifact(store: MongoStore) -> None:
    store.database["artifacts.files"].delete_many({"metadata.run": "stormy"})


def a_gap(store: MongoStore) -> None:
    late = store.now() + timedelta(minutes=5)
    store.database["events"].insert_one({"run": "stormy", "attempt": 1, "event": "began", "at": late})


@pytest.mark.parametrize(
    ("harm", "promise"),
    [
        (one("runs", {"$set": {"state": "failed"}}, _id="stormy"), "finished"),
        (one("runs", {"$set": {"wish": "cancel"}}, _id="stormy"), "finished"),
        (settled_twice, "ended once"),
        (settled_twice, "one settle per attempt"),
        (lose("events", run="stormy", event="finished"), "ended once"),
        (one("runs", {"$set": {"history": []}}, _id="stormy"), "whole history"),
        (one("metrics", {"$push": {"step": 2, "value": 1.0, "time": 1.0, "line": 4}}, run="stormy"),
         "complete series without duplicates"),
        (one("metrics", {"$pop": {"step": 1, "value": 1, "time": 1, "line": 1}}, run="stormy"),
         "complete series without duplicates"),
        (one("metrics", {"$set": {"value.1": 2.0000000000000004}}, run="stormy"), "same values"),
        (lose("metrics", run="stormy"), "all series"),
        (one("runs", {"$set": {"summary.loss.count": 4}}, _id="stormy"), "same summary"),
        (spoiled_checkpoint, "a checkpoint that can be fetched"),
        (one("runs", {"$set": {"checkpoint": None}}, _id="stormy"), "same weights"),
        (other_artifact, "same artifacts"),
        (one("logs", {"$set": {"offset": 1}}, run="stormy"), "whole output"),
        (owed_twice, "one mail"),
        (one("outbox", {"$set": {"state": "owed"}}, run="stormy"), "sent mail"),
        (a_gap, "no standstill"),
    ],
)  # fmt: skip
def test_a_broken_promise_is_found(mongo_store: MongoStore, pair: Any, harm: Any, promise: str) -> None:
    harm(mongo_store)
    assert promise in promises(mongo_store, pair[0])


def unfinished_upload(store: MongoStore, home: Path) -> None:
    store.database["uploads"].insert_one({"_id": str(ObjectId()), "run": "stormy", "attempt": 1})


def held_lock(store: MongoStore, home: Path) -> None:
    assert store.lock("repair", "me", 60.0, gap_s=1.0) is not None


def unpointed_file(store: MongoStore, home: Path) -> None:
    store.database["checkpoints"].delete_one({"run": "stormy"})


def chunk_without_file(store: MongoStore, home: Path) -> None:
    store.database["artifacts.files"].delete_one({"metadata.run": "stormy"})


def run_directory(store: MongoStore, home: Path) -> None:
    (home / "runs" / "here" / "stormy-1").mkdir(parents=True)


def half_a_mail(store: MongoStore, home: Path) -> None:
    (home / "mail").mkdir()
    (home / "mail" / ".stormy-1-finished.77").touch()


@pytest.mark.parametrize(
    ("harm", "promise"),
    [
        (unfinished_upload, "no unfinished upload"),
        (held_lock, "no lock"),
        (unpointed_file, "no orphaned file"),
        (chunk_without_file, "no orphaned chunk"),
        (run_directory, "no run directory"),
        (half_a_mail, "no temporary file"),
    ],
)
def test_what_is_left_over_is_found(
    mongo_store: MongoStore, pair: Any, tmp_path: Path, harm: Any, promise: str
) -> None:
    harm(mongo_store, tmp_path)
    found = {violation.promise for violation in check_leftovers(mongo_store, tmp_path)}
    assert promise in found


def test_a_process_of_the_lab_is_found(mongo_store: MongoStore, tmp_path: Path) -> None:

    process = subprocess.Popen(["sleep", "60"], env={**os.environ, "LABQ_HOME": str(tmp_path)})
    try:
        (violation,) = check_leftovers(mongo_store, tmp_path)
        assert re.match(rf"{process.pid} of {os.getpid()}: sleep 60", violation.detail)
    finally:
        process.kill()
        process.wait()


def test_only_an_ended_run_is_done_to_the_last() -> None:
    assert share_done([(State.FINISHED, 0.5), (State.FAILED, 0.0)]) == 1.0
    assert share_done([(State.RUNNING, 1.0), (State.FINISHED, 1.0)]) < 1.0
    assert share_done([]) == 0.0
