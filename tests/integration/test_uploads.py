"""Files in GridFS under bad luck: given up in the middle, superseded, too large for one command."""

import hashlib
import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.monitoring import CommandListener, CommandStartedEvent, CommandSucceededEvent

from queueing.people import requeue_change
from store.errors import StoreUnavailable, Superseded
from store.mongo import MongoStore, open_store
from store.mongo.uploads import Bucket
from store.runs import Checkpoint, Run, Task
from store.servers.places import places
from store.settings import Settings
from store.states import Reason, State
from store.store import Settlement
from store.workers import Worker

WORKER = Worker(name="w1", host="here", pid=1, cpus=4, memory_bytes=8 << 30)
MB = 1_000_000


def claimed(store: MongoStore) -> Run:
    task = Task(command=("true",), workdir="/")
    store.add_runs([Run(id="r1", key="r1", experiment="e", params={}, task=task, queued_at=store.now())])
    return claim(store)


def claim(store: MongoStore) -> Run:
    run = store.claim(WORKER, 60.0)
    assert run is not None
    return run


def described(run: Run, line: int = 1) -> Checkpoint:
    return Checkpoint(
        id="", run=run.id, attempt=run.attempt, step=line, line=line, name="w.bin", is_dir=False, size_bytes=0,
        sha256="", created_at=run.queued_at,
    )  # fmt: skip


def left(store: MongoStore) -> dict[str, int]:
    """How many documents of files there are."""
    names = ["uploads", "artifact_uploads", *(f"{bucket}.{kind}" for bucket in Bucket for kind in ("files", "chunks"))]
    return {name: count for name in names if (count := store.database[name].count_documents({}))}


def supersede(store: MongoStore, run: Run) -> Run:
    store.settle(run.id, run.attempt, Settlement(state=State.QUEUED, reason=Reason.LOST))
    return claim(store)


class Interrupted(io.BytesIO):
    """A file of 20 MB; something happens while it is read, once."""

    def __init__(self, happens: Callable[[], Any]) -> None:
        super().__init__(b"z" * 20 * MB)
        self._happens = happens
        self.was_read = 0

    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell() > 6 * MB:
            happens, self._happens = self._happens, lambda: None
            happens()
        data = super().read(size)
        self.was_read += len(data)
        return data


UPLOADS: dict[str, Callable[[MongoStore, Run, Path], Any]] = {
    "checkpoint": lambda store, run, path: store.publish_checkpoint(described(run), path, 2),
    "artifact": lambda store, run, path: store.add_artifact(run.id, run.attempt, path),
}


@pytest.mark.parametrize("kind", UPLOADS)
def test_an_upload_that_is_superseded_in_the_middle_leaves_nothing(
    mongo_store: MongoStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    run = claimed(mongo_store)
    file = Interrupted(lambda: supersede(mongo_store, run))
    monkeypatch.setattr("store.mongo.uploads.open_regular", lambda _: file)
    with pytest.raises(Superseded):
        UPLOADS[kind](mongo_store, run, tmp_path / "w.bin")
    assert file.was_read < 20 * MB, "the rest was not even read"
    assert left(mongo_store) == {}


@pytest.mark.parametrize("kind", UPLOADS)
def test_who_wakes_up_after_its_upload_was_cleared_away_adds_nothing(
    mongo_store: MongoStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Frozen, superseded, cleared away, awake for one block, and killed before it could tidy up after itself."""
    run = claimed(mongo_store)
    small = tmp_path / "small.bin"
    small.write_bytes(b"s" * 1000)

    def meanwhile() -> None:
        monkeypatch.undo()
        after = supersede(mongo_store, run)
        mongo_store.publish_checkpoint(described(after), small, 2)
        assert mongo_store.tidy(10.0) == (0 if kind == "checkpoint" else 1), "its own prune has done the other"
        monkeypatch.setattr(MongoStore, "_check_held", lambda *_: None)  # as if it had looked a moment before
        monkeypatch.setattr(MongoStore, "_forget", killed)

    def killed(*_: object) -> None:
        raise SystemExit

    monkeypatch.setattr("store.mongo.uploads.open_regular", lambda _: Interrupted(meanwhile))
    with pytest.raises(SystemExit):
        UPLOADS[kind](mongo_store, run, tmp_path / "w.bin")
    assert left(mongo_store) == {"uploads": 1, "checkpoint_files.files": 1, "checkpoint_files.chunks": 1}


@pytest.mark.parametrize("kind", UPLOADS)
def test_what_a_killed_upload_left_is_cleared_once_its_attempt_is_over_and_not_before(
    mongo_store: MongoStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    run = claimed(mongo_store)

    def killed() -> None:
        raise SystemExit

    monkeypatch.setattr("store.mongo.uploads.open_regular", lambda _: Interrupted(killed))
    with pytest.raises(SystemExit):
        UPLOADS[kind](mongo_store, run, tmp_path / "w.bin")
    assert left(mongo_store)
    assert mongo_store.tidy(10.0) == 0, "for all that anybody knows it is still being written"
    mongo_store.settle(run.id, 1, Settlement(state=State.FINISHED))
    assert mongo_store.tidy(10.0) == 1
    assert left(mongo_store) == {}


def test_the_checkpoint_of_a_run_that_begins_from_scratch_is_cleared(mongo_store: MongoStore, tmp_path: Path) -> None:
    run = claimed(mongo_store)
    file = tmp_path / "w.bin"
    file.write_bytes(b"w" * MB)
    mongo_store.publish_checkpoint(described(run), file, 2)
    mongo_store.add_artifact(run.id, 1, file)
    mongo_store.settle(run.id, 1, Settlement(state=State.FAILED, reason=Reason.ERROR))
    mongo_store.change([run.id], requeue_change(scratch=True))
    assert mongo_store.tidy(10.0) == 1
    assert left(mongo_store) == {"artifacts.files": 1, "artifacts.chunks": 4}, "the artifact stays"


class Commands(CommandListener):
    """How many documents each deletion took."""

    def __init__(self) -> None:
        self.deleted: list[int] = []

    def started(self, event: CommandStartedEvent) -> None:
        pass

    def succeeded(self, event: CommandSucceededEvent) -> None:
        if event.command_name == "delete":
            self.deleted.append(event.reply["n"])

    def failed(self, event: Any) -> None:
        pass


def test_a_large_checkpoint_is_deleted_in_pieces(mongo_store: MongoStore, servers: Settings, tmp_path: Path) -> None:
    run = claimed(mongo_store)
    large, small = tmp_path / "large.bin", tmp_path / "small.bin"
    with open(large, "wb") as file:
        file.truncate(120 * MB)
    small.write_bytes(b"s")
    commands = Commands()
    client: MongoClient[dict[str, Any]] = MongoClient(places(servers.home).mongo_url, event_listeners=[commands])
    store = MongoStore(client, client[mongo_store.database.name], 10.0)
    stored = store.publish_checkpoint(described(run, 1), large, 1)
    assert stored.sha256 == hashlib.sha256(large.read_bytes()).hexdigest()
    commands.deleted.clear()
    store.publish_checkpoint(described(run, 2), small, 1)
    store.close()
    assert sum(commands.deleted) > 120 * MB / 261_120
    assert max(commands.deleted) <= 64, "16 MB"
    assert left(mongo_store) == {"uploads": 1, "checkpoint_files.files": 1, "checkpoint_files.chunks": 1}


def test_a_round_of_tidying_ends_in_time_and_the_next_one_goes_on(mongo_store: MongoStore, tmp_path: Path) -> None:
    run = claimed(mongo_store)
    large = tmp_path / "large.bin"
    with open(large, "wb") as file:
        file.truncate(60 * MB)
    mongo_store.publish_checkpoint(described(run), large, 1)
    mongo_store.settle(run.id, 1, Settlement(state=State.FAILED, reason=Reason.ERROR))
    mongo_store.change([run.id], requeue_change(scratch=True))
    assert mongo_store.tidy(0.0) == 0
    assert left(mongo_store)["uploads"] == 1, "its name goes last"
    assert mongo_store.tidy(10.0) == 1
    assert left(mongo_store) == {}


def test_a_checkpoint_that_takes_longer_than_the_longest_wait_comes_back(
    mongo_store: MongoStore, servers: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = claimed(mongo_store)
    file = tmp_path / "w.bin"
    file.write_bytes(bytes(range(256)) * 100_000)
    hasty = open_store(places(servers.home).mongo_url, mongo_store.database.name, 1.0)

    def slow_hash(*_: object) -> Any:
        digest = hashlib.new("sha256")

        class Slow:
            hexdigest = digest.hexdigest

            def update(self, block: bytes) -> None:
                time.sleep(0.25)
                digest.update(block)

        return Slow()

    monkeypatch.setattr("store.mongo.checkpoints.hashlib.sha256", slow_hash)
    began = time.monotonic()
    stored = hasty.publish_checkpoint(described(run), file, 2)
    assert hasty.fetch_checkpoint(stored, tmp_path / "resume").read_bytes() == file.read_bytes()
    assert time.monotonic() - began > 2.0
    hasty.close()


def test_a_transaction_that_a_frozen_supervisor_left_open_does_not_cost_the_next_one_its_checkpoint(
    mongo_store: MongoStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = claimed(mongo_store)
    file = tmp_path / "w.bin"
    file.write_bytes(b"w")

    def held(*_: object) -> None:
        raise StoreUnavailable("its upload is locked")

    monkeypatch.setattr(MongoStore, "_prune", held)
    stored = mongo_store.publish_checkpoint(described(run), file, 2)
    assert mongo_store.run(run.id).checkpoint == stored
