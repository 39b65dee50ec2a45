"""The embedded servers: started once, recognised after any accident, gone when told."""

import os
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from pymongo.errors import PyMongoError

from queueing.cli.doctor import examine
from queueing.cli.main import main
from store.connect import connect
from store.errors import BadSettings, ServerFailed, StoreUnavailable
from store.servers import binaries, lifecycle, process
from store.servers.places import places
from store.settings import Settings

LABQ = [sys.executable, "-P", "-m", "queueing.cli.main"]


@pytest.fixture
def settings() -> Iterator[Settings]:
    home = Path(tempfile.mkdtemp(prefix="labq-servers-"))
    chosen = Settings(home=home)
    yield chosen
    lifecycle.down(chosen)
    shutil.rmtree(home, ignore_errors=True)


def network_listeners(process: psutil.Process) -> list[object]:
    return [c for c in process.net_connections(kind="inet") if c.status == psutil.CONN_LISTEN]


def test_up_is_idempotent_private_and_listens_on_no_network(settings: Settings) -> None:
    assert set(lifecycle.up(settings).started) == {"redis", "mongod"}
    again = lifecycle.up(settings)
    assert (again.started, set(again.already)) == ((), {"redis", "mongod"})
    running = lifecycle.running(settings)
    assert all(network_listeners(process) == [] for process in running.values())
    assert stat.S_IMODE(places(settings.home).sockets.stat().st_mode) == 0o700
    assert set(lifecycle.down(settings)) == {"redis", "mongod"}
    assert lifecycle.down(settings) == ()
    assert not places(settings.home).sockets.exists()


def test_two_shells_at_once_start_one_pair(settings: Settings) -> None:
    env = {**os.environ, "LABQ_HOME": str(settings.home)}
    shells = [subprocess.Popen([*LABQ, "up"], env=env, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    said = [shell.communicate(timeout=180)[0] for shell in shells]
    assert [shell.returncode for shell in shells] == [0, 0, 0]
    assert sum("mongod: started" in text for text in said) == 1
    marker = str(settings.home)
    mine = [p for p in psutil.process_iter() if p.name() in ("mongod", "valkey-server", "redis-server")]
    assert sum(any(marker in word for word in p.cmdline()) for p in mine) == 2


@pytest.mark.parametrize("name", ["redis", "mongod"])
def test_up_after_kill_9_keeps_the_data(settings: Settings, name: str) -> None:
    lifecycle.up(settings)
    store = connect(settings)
    blob = store.add_blob("kept")
    lifecycle.running(settings)[name].kill()
    assert lifecycle.up(settings).started == (name,)
    assert connect(settings).blob(blob) == "kept"
    store.close()


def test_a_moved_home_works_on(settings: Settings) -> None:
    lifecycle.up(settings)
    store = connect(settings)
    blob = store.add_blob("kept")
    store.close()
    lifecycle.down(settings)
    moved = Settings(home=settings.home.with_name(settings.home.name + "-moved"))
    settings.home.rename(moved.home)
    try:
        lifecycle.up(moved)
        assert connect(moved).blob(blob) == "kept"
    finally:
        lifecycle.down(moved)
        shutil.rmtree(moved.home)


def test_a_long_path_gets_short_sockets(tmp_path: Path) -> None:
    chosen = Settings(home=tmp_path / ("long" * 30))
    try:
        lifecycle.up(chosen)
        assert len(str(places(chosen.home).mongo_socket)) < 100
        assert connect(chosen).counts() == {}
    finally:
        lifecycle.down(chosen)
    assert not places(chosen.home).sockets.exists()


def test_an_interrupted_up_takes_back_what_it_started(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("store.servers.mongod._await_primary", interrupted)
    with pytest.raises(KeyboardInterrupt):
        lifecycle.up(settings)
    assert lifecycle.running(settings) == {}


def test_configured_servers_are_used_and_nothing_is_started(settings: Settings) -> None:
    chosen = Settings(home=settings.home, mongo_url="mongodb://x/", redis_url="redis://y/")
    assert lifecycle.up(chosen).external == ("redis", "mongod")
    assert list(settings.home.iterdir()) == []


def test_doctor_finds_a_healthy_lab(settings: Settings) -> None:
    lifecycle.up(settings)
    findings = {finding.subject: finding for finding in examine(settings)}
    assert all(finding.ok for finding in findings.values()), findings
    assert "6.0" in findings["mongodb"].text
    assert str(settings.home) in findings["redis"].text


def test_doctor_says_what_is_wrong_and_what_to_do(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LABQ_HOME", str(settings.home))
    assert main(["doctor"]) == 1
    said = capsys.readouterr().out
    assert "WRONG mongodb" in said
    assert "labq up" in said


def test_a_missing_library_is_named_with_its_debian_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "mongod"
    fake.write_text("#!/bin/sh\necho 'error while loading shared libraries: libcurl.so.4' >&2\nexit 127\n")
    fake.chmod(0o755)
    ldd = tmp_path / "ldd"
    ldd.write_text("#!/bin/sh\necho '\tlibcurl.so.4 => not found'\n")
    ldd.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(ServerFailed, match=r"libcurl\.so\.4.*apt-get install libcurl4"):
        binaries.find_mongod()


def test_without_any_server_the_advice_is_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    monkeypatch.setattr("store.servers.binaries._package_folder", lambda _: None)
    with pytest.raises(ServerFailed, match="labq\\[embedded\\]"):
        binaries.find_mongod()
    with pytest.raises(ServerFailed, match="redis_url"):
        binaries.find_redis()


def test_a_second_up_waits_for_the_first(settings: Settings) -> None:
    done: list[lifecycle.Brought] = []
    threads = [threading.Thread(target=lambda: done.append(lifecycle.up(settings))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(len(one.started) for one in done) == [0, 2]


def test_down_leaves_the_servers_of_another_machine_alone(settings: Settings) -> None:
    where = places(settings.home)
    where.sockets.mkdir(parents=True)
    where.host_file.write_text("another-machine")
    with pytest.raises(ServerFailed, match=r"run on another-machine: .*labq down"):
        lifecycle.down(settings)
    assert where.sockets.exists()
    where.host_file.unlink()


def test_down_stops_what_runs_here_whatever_the_machine_was_called(settings: Settings) -> None:
    lifecycle.up(settings)
    places(settings.home).host_file.write_text("the-old-name")
    assert set(lifecycle.down(settings)) == {"redis", "mongod"}
    assert lifecycle.running(settings) == {}


@pytest.mark.prompt
def test_a_server_that_nobody_reaps_has_ended() -> None:
    parent = subprocess.Popen(["sh", "-c", "sleep 600 & echo $!; exec sleep 601"], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    started = time.monotonic()
    process.stop(child, patience_s=5.0)
    assert time.monotonic() - started < 4.0
    assert child.status() == psutil.STATUS_ZOMBIE
    parent.kill()
    parent.communicate()


def test_a_name_that_cannot_be_looked_up_is_a_server_that_is_away() -> None:
    with pytest.raises(StoreUnavailable, match="cannot be looked up"):
        connect(Settings(mongo_url="mongodb+srv://db.nowhere-labq.invalid/"))
    with pytest.raises(BadSettings, match="port"):
        connect(Settings(mongo_url="mongodb+srv://db.nowhere-labq.invalid:27017/"))


HALF_A_TRANSACTION = """
import pathlib, sys, time
from store.connect import connect
from store.settings import Settings

store = connect(Settings(home=pathlib.Path(sys.argv[1])))
session = store.client.start_session()
session.start_transaction()
store.database["blobs"].update_one({}, {"$set": {"text": "half"}}, session=session)
print("written", flush=True)
time.sleep(600)
"""


def test_a_transaction_of_a_killed_process_does_not_block_others_for_a_minute(settings: Settings) -> None:
    lifecycle.up(settings)
    store = connect(settings)
    store.add_blob("whole")
    writer = subprocess.Popen(
        [sys.executable, "-c", HALF_A_TRANSACTION, str(settings.home)], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == "written\n"
    writer.kill()
    writer.communicate()
    killed_at = time.monotonic()

    def write() -> bool:
        try:
            return store.in_transaction(
                lambda session: bool(store.database["blobs"].update_one({}, {"$set": {"text": "new"}}, session=session))
            )
        except PyMongoError:
            return False

    while not write():
        assert time.monotonic() - killed_at < 30
    store.close()
