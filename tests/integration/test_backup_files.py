"""Backups of a real database: one moment of it while others write, files that nobody may delete meanwhile, and back."""

import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from backup_lab import WORKER, add_points, make_run, publish
from pymongo.errors import OperationFailure

from queueing.backup.restoring import restore
from queueing.backup.taking import take
from queueing.cli.main import main
from store.archive import check
from store.errors import BackupRunning, BeingRestored, NoBackup, StoreUnavailable, UserError
from store.mongo import MongoStore, open_store
from store.mongo.backup import HOLD, Holding, dump, is_dead, look_at, whoami
from store.mongo.restore import Restoring
from store.mongo.schema import INDEXES, VERSION
from store.servers.places import places
from store.settings import Settings
from store.states import State
from store.store import RunQuery


def silent(*_: object) -> None:
    """Progress that nobody looks at."""


@pytest.fixture
def settings(servers: Settings, mongo_store: MongoStore) -> Settings:
    return replace(servers, mongo_database=mongo_store.database.name, mongo_timeout_s=10.0)


@pytest.fixture
def other(servers: Settings) -> Iterator[MongoStore]:
    """An empty database beside it."""
    name = f"t{uuid.uuid4().hex[:12]}"
    store = open_store(places(servers.home).mongo_url, name, 10.0)
    store.client.drop_database(name)
    yield store
    store.client.drop_database(name)
    store.close()


def content(store: MongoStore) -> dict[str, list[dict[str, Any]]]:
    names = store.database.list_collection_names(filter={"type": "collection"})
    return {
        name: list(store.database[name].find().sort("_id", 1))
        for name in sorted(names)
        if not name.startswith("system.") and name not in ("locks", "meta", "workers")
    }


def test_all_of_a_database_comes_back_with_its_indexes_and_views(
    settings: Settings, mongo_store: MongoStore, other: MongoStore, tmp_path: Path
) -> None:
    for number in range(3):
        run = make_run(mongo_store, f"run-{number}", finished=True)
        add_points(mongo_store, run, 1)
        publish(mongo_store, tmp_path, run, 1, b"w" * 600_000)
    make_run(mongo_store, "empty", finished=True)
    mongo_store.database["mine"].insert_many([{"_id": 1, "a": float("nan")}, {"_id": "one"}, {"_id": {"b": 2}}])
    before = content(mongo_store)
    taken = take(settings, tmp_path / "b.tar.gz", None, silent)
    assert taken.tail.moment
    assert taken.tail.lacking == 0
    done = restore(settings, taken.file, other.database.name, replace=False, progress=silent)
    assert (done.requeued, done.left_out) == (0, 0)
    after = content(other)
    assert repr(after) == repr(before)
    for name, indexes in INDEXES.items():
        assert len(other.database[name].index_information()) == len(indexes) + 1
    assert other.database["run_table"].count_documents({}) == 4
    run = other.run("run-1")
    assert run.checkpoint is not None
    assert other.fetch_checkpoint(run.checkpoint, tmp_path / "back").read_bytes() == b"w" * 600_000


def test_a_backup_is_of_one_moment_while_others_write(
    settings: Settings, mongo_store: MongoStore, tmp_path: Path
) -> None:
    """Whatever is written after the first batch is not in it, in whichever collection."""
    run = make_run(mongo_store, "first")
    add_points(mongo_store, run, 1)
    written: list[str] = []

    def write(collection: str, _documents: int, _size_bytes: int) -> None:
        make_run(mongo_store, f"late-{len(written)}", finished=True)
        add_points(mongo_store, run, 2)
        written.append(collection)

    head = look_at(mongo_store, "test")
    file = tmp_path / "b.tar.gz"
    with open(file, "wb") as sink:
        tail = dump(mongo_store, head, sink, write)
    assert tail.moment
    assert written[0] == "runs"
    counts = {name: one["documents"] for name, one in tail.collections.items()}
    assert (counts["runs"], counts["metrics"], counts["events"]) == (1, 1, 1)
    check(file)


def test_a_snapshot_that_is_too_old_is_gone_on_without_and_later_attempts_are_left_out(
    settings: Settings, mongo_store: MongoStore, other: MongoStore, tmp_path: Path
) -> None:
    """Runs were read first: what attempts wrote that they do not know must not meet the attempts that follow."""
    run = make_run(mongo_store, "r")
    add_points(mongo_store, run, 1)
    admin = mongo_store.client.admin
    before = admin.command("getParameter", 1, minSnapshotHistoryWindowInSeconds=1)
    happened: list[str] = []

    def settle_and_wait(collection: str, _documents: int, _size_bytes: int) -> None:
        if collection != "runs" or happened:
            return
        happened.append(collection)
        store = mongo_store
        store.database["runs"].update_one({"_id": "r"}, {"$set": {"attempt": 2}})
        add_points(store, store.run("r"), 2)
        late = make_run(store, "late")
        add_points(store, late, 1)
        _until_too_old(store)

    admin.command("setParameter", 1, minSnapshotHistoryWindowInSeconds=0)
    try:
        file = tmp_path / "b.tar.gz"
        with open(file, "wb") as sink:
            tail = dump(mongo_store, look_at(mongo_store, "test"), sink, settle_and_wait)
    finally:
        value = before["minSnapshotHistoryWindowInSeconds"]
        admin.command("setParameter", 1, minSnapshotHistoryWindowInSeconds=value)
    assert not tail.moment
    assert tail.collections["metrics"]["documents"] == 3
    done = restore(settings, file, other.database.name, replace=False, progress=silent)
    assert done.left_out >= 2
    assert [(one["run"], one["attempt"]) for one in other.database["metrics"].find()] == [("r", 1)]
    assert [one.id for one in other.runs(RunQuery())] == ["r"]
    assert {one["run"] for one in other.database["events"].find()} == {"r"}


def _until_too_old(store: MongoStore) -> None:
    """Writes move the server's oldest timestamp on."""
    with store.client.start_session(snapshot=True) as session:
        store.database["runs"].find_one({}, session=session)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            store.database["scratch"].insert_one({})
            try:
                store.database["runs"].find_one({}, session=session)
            except OperationFailure as error:
                if error.code in (239, 246):
                    return
                raise
            time.sleep(0.05)
    raise AssertionError("the snapshot does not grow old")


def test_no_file_is_deleted_while_a_backup_is_held(mongo_store: MongoStore, tmp_path: Path) -> None:
    run = make_run(mongo_store, "r")
    publish(mongo_store, tmp_path, run, 1, b"first" * 100_000, keep=1)
    holding = Holding(mongo_store.client, mongo_store.database, 10.0)
    with holding.held(whoami()):
        publish(mongo_store, tmp_path, run, 2, b"second" * 100_000, keep=1)
        assert len(mongo_store.checkpoints("r")) == 2
        mongo_store.database["uploads"].update_many({}, {"$set": {"state": "doomed"}})
        assert mongo_store.tidy(5.0) == 0
        assert mongo_store.database["checkpoint_files.files"].count_documents({}) == 2
        mongo_store.database["uploads"].update_many({}, {"$set": {"state": "kept"}})
    publish(mongo_store, tmp_path, run, 3, b"third" * 100_000, keep=1)
    assert [one.step for one in mongo_store.checkpoints("r")] == [3]
    assert mongo_store.database["checkpoint_files.files"].count_documents({}) == 1


def test_a_checkpoint_that_is_replaced_during_a_backup_is_whole_in_it(
    settings: Settings, mongo_store: MongoStore, other: MongoStore, tmp_path: Path
) -> None:
    run = make_run(mongo_store, "r")
    publish(mongo_store, tmp_path, run, 1, b"first" * 300_000, keep=1)
    published: list[str] = []

    def replace_it(collection: str, *_: int) -> None:
        if collection == "runs" and not published:
            published.append(collection)
            for step in (2, 3, 4):
                publish(mongo_store, tmp_path, run, step, b"later" * 300_000, keep=1)

    taken = take(settings, tmp_path / "b.tar.gz", None, replace_it)
    assert published
    assert taken.tail.lacking == 0
    restore(settings, taken.file, other.database.name, replace=False, progress=silent)
    checkpoint = other.run("r").checkpoint
    assert checkpoint is not None
    assert checkpoint.step == 1
    assert other.fetch_checkpoint(checkpoint, tmp_path / "back").read_bytes() == b"first" * 300_000


def test_files_that_the_database_lacks_are_counted_and_the_rest_is_saved(
    settings: Settings, mongo_store: MongoStore, tmp_path: Path
) -> None:
    run = make_run(mongo_store, "r")
    for step in (1, 2):
        publish(mongo_store, tmp_path, run, step, b"w" * 600_000)
    mongo_store.database["checkpoint_files.chunks"].delete_one({"n": 1})
    taken = take(settings, tmp_path / "b.tar.gz", None, silent)
    assert taken.tail.lacking == 1
    assert taken.tail.collections["checkpoint_files.chunks"]["documents"] == 5


def test_two_at_once_are_refused_and_a_dead_one_is_not(mongo_store: MongoStore) -> None:
    holding = Holding(mongo_store.client, mongo_store.database, 10.0)
    with holding.held("process 1 on somewhere-else"), pytest.raises(BackupRunning, match="process 1 on somewhere-else"):
        holding.held(whoami()).__enter__()
    dead = whoami().replace("process ", "process 99")
    assert is_dead(dead)
    assert not is_dead(whoami())
    assert holding.hold(dead) is not None
    with holding.held(whoami()):
        assert (mongo_store.database["locks"].find_one({"_id": HOLD}) or {})["owner"] == whoami()
    assert mongo_store.database["locks"].find_one({"_id": HOLD}) is None


def test_a_backup_that_did_not_hold_its_lease_all_the_time_ends(
    settings: Settings, mongo_store: MongoStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("queueing.backup.taking._RENEW_S", 0.0)
    seen: list[str] = []

    def lose_it(collection: str, *_: int) -> None:
        seen.append(collection)
        if len(seen) == 2:
            mongo_store.database["locks"].update_one({"_id": HOLD}, {"$set": {"owner": "somebody else"}})

    make_run(mongo_store, "r")
    with pytest.raises(StoreUnavailable, match="begin again"):
        take(settings, tmp_path / "b.tar.gz", None, lose_it)
    assert list(tmp_path.iterdir()) == []


def test_what_ran_is_queued_again_under_a_number_that_no_survivor_holds(
    settings: Settings, mongo_store: MongoStore, other: MongoStore, tmp_path: Path
) -> None:
    """A worker that lived through it all holds a later attempt than the backup knows."""
    running = make_run(mongo_store, "running")
    paused = make_run(mongo_store, "paused", finished=True)
    mongo_store.database["runs"].update_one({"_id": paused.id}, {"$set": {"state": "paused", "ended_at": None}})
    finished = make_run(mongo_store, "finished", finished=True)
    taken = take(settings, tmp_path / "b.tar.gz", None, silent)
    done = restore(settings, taken.file, other.database.name, replace=False, progress=silent)
    assert done.requeued == 1
    back = other.run(running.id)
    assert (back.state, back.setbacks, back.lease) == (State.QUEUED, 0, None)
    assert back.attempt >= running.attempt + 1000
    assert "when the backup" in (back.history[-1].ending.message if back.history[-1].ending else "")
    assert other.run(paused.id).attempt >= 1000
    assert other.run(finished.id).attempt == finished.attempt
    claimed = other.claim(WORKER, 20.0)
    assert claimed is not None
    for attempt in range(1, 6):
        with pytest.raises(Exception, match="no longer holds it"):
            other.renew(running.id, attempt, 20.0)


def test_a_database_that_is_not_empty_is_left_alone_without_a_word(
    settings: Settings, mongo_store: MongoStore, tmp_path: Path
) -> None:
    make_run(mongo_store, "r", finished=True)
    taken = take(settings, tmp_path / "b.tar.gz", None, silent)
    make_run(mongo_store, "later", finished=True)
    with pytest.raises(UserError, match=r"not empty .*--into NAME .*--replace"):
        restore(settings, taken.file, "", replace=False, progress=silent)
    assert len(mongo_store.runs(RunQuery())) == 2
    restore(settings, taken.file, "", replace=True, progress=silent)
    assert [run.id for run in mongo_store.runs(RunQuery())] == ["r"]


def test_a_database_with_living_workers_is_left_alone_even_so(
    settings: Settings, mongo_store: MongoStore, tmp_path: Path
) -> None:
    make_run(mongo_store, "r", finished=True)
    taken = take(settings, tmp_path / "b.tar.gz", None, silent)
    mongo_store.seen(WORKER)
    with pytest.raises(UserError, match=f"stop {WORKER.name} first"):
        restore(settings, taken.file, "", replace=True, progress=silent)
    mongo_store.gone(WORKER.name)
    restore(settings, taken.file, "", replace=True, progress=silent)


def test_nobody_gets_into_half_of_a_database(
    settings: Settings, mongo_store: MongoStore, other: MongoStore, tmp_path: Path, servers: Settings
) -> None:
    """Whoever connects in the middle waits; whoever is stopped there leaves it closed; the same command begins anew."""
    run = make_run(mongo_store, "r", finished=True)
    add_points(mongo_store, run, 1)
    taken = take(settings, tmp_path / "b.tar.gz", None, silent)
    url, name = places(servers.home).mongo_url, other.database.name

    def interrupt(collection: str, *_: int) -> None:
        if collection == "metrics":
            with pytest.raises(BeingRestored, match=f"labq restore {taken.file}"):
                open_store(url, name, 5.0)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        restore(settings, taken.file, name, replace=False, progress=interrupt)
    with pytest.raises(BeingRestored):
        open_store(url, name, 5.0)
    with pytest.raises(BeingRestored, match="half restored"):
        look_at(other, "test")
    restore(settings, taken.file, name, replace=False, progress=silent)
    open_store(url, name, 5.0).close()
    assert repr(content(other)) == repr(content(mongo_store))


def test_two_restores_at_once_do_not_meet(
    settings: Settings, mongo_store: MongoStore, other: MongoStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("store.mongo.restore.LEASE_S", 2.0)
    make_run(mongo_store, "r", finished=True)
    taken = take(settings, tmp_path / "b.tar.gz", None, silent)
    first = Restoring(other.client, other.database, 10.0)
    said: list[str] = []
    stop = threading.Event()

    def hold_on() -> None:
        while not stop.wait(0.2):
            first.take("process 1 on elsewhere", taken.file)

    first.take("process 1 on elsewhere", taken.file)
    thread = threading.Thread(target=hold_on)
    thread.start()
    try:
        with pytest.raises(UserError, match="just being restored by process 1 on elsewhere"):
            restore(settings, taken.file, other.database.name, replace=False, progress=lambda *_: said.append("!"))
    finally:
        stop.set()
        thread.join()
    assert said == []
    restore(settings, taken.file, other.database.name, replace=False, progress=silent)


def test_a_backup_of_a_newer_labq_is_refused_and_of_an_older_is_brought_up(
    settings: Settings, mongo_store: MongoStore, other: MongoStore, tmp_path: Path
) -> None:
    make_run(mongo_store, "r", finished=True)
    meta = mongo_store.database["meta"]
    meta.update_one({"_id": "schema"}, {"$set": {"version": VERSION + 1}})
    newer = take(settings, tmp_path / "newer.tar.gz", None, silent)
    with pytest.raises(NoBackup, match=f"schema {VERSION + 1}, this labq knows {VERSION}: upgrade labq"):
        restore(settings, newer.file, other.database.name, replace=False, progress=silent)
    assert Restoring(other.client, other.database, 10.0).holds() == {}
    meta.update_one({"_id": "schema"}, {"$set": {"version": 2}})
    older = take(settings, tmp_path / "older.tar.gz", None, silent)
    assert older.head.schema == 2
    assert (meta.find_one({"_id": "schema"}) or {})["version"] == 2  # a backup upgrades nothing
    restore(settings, older.file, other.database.name, replace=False, progress=silent)
    assert (other.database["meta"].find_one({"_id": "schema"}) or {})["version"] == VERSION


def test_a_folder_keeps_the_newest(settings: Settings, mongo_store: MongoStore, tmp_path: Path) -> None:
    make_run(mongo_store, "r", finished=True)
    name = mongo_store.database.name
    for day in ("01", "02", "03"):
        (tmp_path / f"labq-{name}-202001{day}T000000Z.tar.gz").write_text("old")
    (tmp_path / "labq-other-20200101T000000Z.tar.gz").write_text("somebody else's")
    taken = take(settings, tmp_path, 2, silent)
    assert len(taken.removed) == 2
    left = sorted(one.name for one in tmp_path.iterdir())
    assert left == sorted(
        ["labq-other-20200101T000000Z.tar.gz", f"labq-{name}-20200103T000000Z.tar.gz", taken.file.name]
    )
    assert taken.file.stat().st_mode & 0o777 == 0o600


def test_what_is_wrong_is_said_in_one_line(
    settings: Settings, mongo_store: MongoStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("LABQ_HOME", str(settings.home))
    monkeypatch.setenv("LABQ_MONGO_DATABASE", settings.mongo_database)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("x")

    def said(*arguments: str) -> tuple[int, str]:
        code = main(list(arguments))
        return code, capsys.readouterr().err

    assert said("backup") == (2, "labq: where to? labq backup FILE, or a folder; labq backup --check FILE reads one\n")
    code, text = said("backup", "none/b.tar.gz")
    assert (code, "there is no folder none" in text) == (2, True)
    assert said("backup", "b.tar.gz", "--keep", "3") == (2, "labq: --keep: b.tar.gz is no folder\n")
    code, text = said("backup", "--check", "file")
    assert (code, "file: is no backup of labq" in text) == (2, True)
    code, text = said("restore", "file")
    assert (code, "file: is no backup of labq" in text) == (2, True)
    code, text = said("restore", "file", "--into", "a/b")
    assert (code, "--into is 'a/b'; allowed" in text) == (2, True)
    monkeypatch.setenv("LABQ_MONGO_DATABASE", "nothing-here")
    code, text = said("backup", "b.tar.gz")
    assert (code, "holds nothing of labq" in text) == (2, True)
    monkeypatch.setattr("queueing.backup.taking.shutil.disk_usage", lambda _: type("Full", (), {"free": 10}))
    monkeypatch.setenv("LABQ_MONGO_DATABASE", settings.mongo_database)
    code, text = said("backup", "b.tar.gz")
    assert (code, "10 B are free, the database takes" in text) == (2, True)
    assert [one.name for one in tmp_path.iterdir()] == ["file"]
