"""Backup and restore by real processes: a lab is lost with all its servers and comes back; whoever is killed on the way
leaves nothing that anybody could take for a backup, or for a database."""

import json
import os
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bson
import pytest
from lab import LABQ, Lab, until

from store.archive import Piece, check, read
from store.mongo import MongoStore
from store.runs import Run
from store.servers import lifecycle
from store.servers.places import places
from store.states import State

BIG_BYTES = 120 << 20
"""Random bytes in the database: some seconds of backup, so that there is a middle."""


@pytest.fixture
def fresh() -> Iterator[Lab]:
    """A lab of its own, for it will be destroyed."""
    made = Lab()
    yield made
    made.close()


@pytest.fixture(scope="module")
def full(shared_lab: Lab) -> Lab:
    """Large files in it that nothing looks into."""
    _fill(shared_lab.store)
    return shared_lab


def _fill(store: MongoStore) -> None:
    size = 255 * 1024
    for number in range(BIG_BYTES // (size * 40)):
        file = os.urandom(12).hex()
        store.database["kept"].insert_many([{"file": file, "n": n, "data": os.urandom(size)} for n in range(40)])
        assert number >= 0


def files_in(folder: Path) -> set[str]:
    return {one.name for one in folder.iterdir()}


def popen(lab: Lab, *arguments: str, **more: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*LABQ, *arguments],
        env=lab.env,
        cwd=lab.home,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **more,
    )


def wait_for_half(folder: Path) -> Path:
    def half() -> Path | None:
        return next((one for one in folder.glob(".*.partial") if one.stat().st_size > 8 << 20), None)

    return until(half, what="half a backup")


@pytest.mark.timeout(600)
def test_a_lab_that_is_lost_with_all_its_servers_comes_back(
    fresh: Lab, undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    """Runs are running; then both servers and all their data are gone, and the workers with them."""
    done = fresh.enqueue_steps("done")
    fresh.worker("--burst").wait()
    fresh.wait_until_ended(done)
    running = [fresh.enqueue_steps(f"running-{number}", pause_s=0.4) for number in range(2)]
    waiting = [fresh.enqueue_steps(f"waiting-{number}", steps=20) for number in range(3)]
    fresh.worker("-n", "2")
    for run in running:
        fresh.wait_for_checkpoint(run)
    said = json.loads(fresh.labq("backup", "--json", str(tmp_path / "lab.tar.gz")).stdout)
    assert said["moment"] is True
    at_backup = _runs_in(tmp_path / "lab.tar.gz")
    assert [at_backup[run.id]["state"] for run in running] == ["running", "running"]
    for run in running:  # what happens after the backup is lost, and is made again
        before = at_backup[run.id]["progress"]["done"]
        until(lambda run=run, before=before: _step(fresh, run) > before + 2, what="steps after the backup")

    _destroy(fresh)
    fresh.up()
    told = fresh.labq("restore", str(tmp_path / "lab.tar.gz")).stdout
    assert "queued again: 2" in told
    fresh.labq("doctor", "--fix")  # run directories of the killed workers
    assert all(fresh.run(run).state is State.QUEUED for run in running)
    assert fresh.run(done).state is State.FINISHED
    fresh.worker("-n", "2")
    for run in [*running, *waiting]:
        fresh.wait_until_ended(run, 200)
        assert fresh.run(run).state is State.FINISHED
        assert fresh.settles(run) == 1
    for run in [done, *running]:
        assert fresh.outcome(run) == undisturbed
    for run in running:
        history = fresh.run(run).history
        assert [one.number == 1 or one.number > 1000 for one in history] == [True, True]
        assert history[-1].resumed_from_step is not None
    shown = json.loads(fresh.labq("logs", "--json", running[0].id).stdout)
    assert "step 119" in shown["output"]


def _step(lab: Lab, run: Run) -> int:
    now = lab.run(run)
    return int(now.progress.done) if now.progress else 0


def _runs_in(file: Path) -> dict[str, dict[str, Any]]:
    pieces = (part.data for part in read(file) if isinstance(part, Piece) and part.collection == "runs")
    return {one["_id"]: one for data in pieces for one in bson.decode_all(data)}


def _destroy(lab: Lab) -> None:
    for name in ("mongod", "redis"):
        lab.kill_server(name)
    for process in lab.processes:
        process.kill()
        process.wait()
    lab.processes.clear()
    if lab._store is not None:
        lab._store.close()
        lab._store = None
    shutil.rmtree(places(lab.home).servers)


@pytest.mark.timeout(600)
def test_workers_that_live_through_a_restore_disturb_nothing(
    fresh: Lab, undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    """They train on while MongoDB is away, and meet a database of an earlier time when it is back."""
    run = fresh.enqueue_steps("survivor", pause_s=0.4)
    fresh.worker()
    fresh.wait_for_checkpoint(run)
    fresh.labq("backup", str(tmp_path / "lab.tar.gz"))
    before = _runs_in(tmp_path / "lab.tar.gz")[run.id]
    assert before["state"] == "running"
    until(lambda: _step(fresh, run) > before["progress"]["done"] + 2, what="steps after the backup")
    for name in ("mongod", "redis"):
        fresh.kill_server(name)
    fresh._store = fresh._store and fresh._store.close()
    shutil.rmtree(places(fresh.home).servers)
    env = {**fresh.env, "LABQ_HOME": str(fresh.home)}
    lifecycle.up(fresh.settings)
    for _ in range(30):  # the worker says that it lives as soon as it can: then the restore is refused
        done = subprocess.run(
            [*LABQ, "restore", "--replace", str(tmp_path / "lab.tar.gz")],
            env=env,
            cwd=fresh.home,
            capture_output=True,
            text=True,
        )
        if done.returncode == 0:
            break
        assert done.returncode == 2
        assert "is in use: stop" in done.stderr
        fresh.processes[0].send_signal(signal.SIGSTOP)
        time.sleep(1)
    assert done.returncode == 0, done.stderr
    fresh.processes[0].send_signal(signal.SIGCONT)
    fresh.worker()
    ended = fresh.wait_until_ended(run, 200)
    assert ended.state is State.FINISHED
    assert fresh.outcome(run) == undisturbed
    assert fresh.settles(run) == 1


def test_a_backup_that_is_killed_leaves_nothing_that_looks_like_one(full: Lab, lab: Lab, tmp_path: Path) -> None:
    target = tmp_path / "lab.tar.gz"
    lab.labq("backup", str(target))
    before = target.stat().st_ino
    process = popen(lab, "backup", str(target))
    wait_for_half(tmp_path)
    process.kill()
    process.communicate()
    assert target.stat().st_ino == before
    check(target)
    assert len(files_in(tmp_path)) == 2
    lab.labq("backup", str(target))
    assert files_in(tmp_path) == {"lab.tar.gz"}
    assert target.stat().st_ino != before
    check(target)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_backup_that_is_interrupted_leaves_nothing(full: Lab, lab: Lab, tmp_path: Path, number: int) -> None:
    process = popen(lab, "backup", str(tmp_path / "lab.tar.gz"))
    wait_for_half(tmp_path)
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (130, "", "")
    assert files_in(tmp_path) == set()
    lab.labq("backup", str(tmp_path / "lab.tar.gz"))


def test_mongodb_goes_away_during_a_backup(full: Lab, lab: Lab, tmp_path: Path) -> None:
    process = popen(lab, "backup", str(tmp_path / "lab.tar.gz"))
    wait_for_half(tmp_path)
    process.send_signal(signal.SIGSTOP)
    lab.kill_server("mongod")
    process.send_signal(signal.SIGCONT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 3
    assert err.startswith("labq: MongoDB does not answer")
    assert "Traceback" not in err
    assert files_in(tmp_path) == set()
    lab.up()
    until(lambda: lab.store.now(), what="MongoDB")
    lab.labq("backup", str(tmp_path / "lab.tar.gz"))


def test_a_full_disk_ends_a_backup_and_the_old_one_stays(full: Lab, lab: Lab, tmp_path: Path) -> None:
    target = tmp_path / "lab.tar.gz"
    target.write_text("the one of yesterday")
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20 << 20, 20 << 20))  # noqa: E731
    process = popen(lab, "backup", str(target), preexec_fn=limit)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err == f"labq: {target}: cannot be written: File too large; nothing is left of it\n"
    assert files_in(tmp_path) == {"lab.tar.gz"}
    assert target.read_text() == "the one of yesterday"


def test_a_small_file_system_is_refused_before_it_is_full(full: Lab, lab: Lab, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    if (
        os.geteuid() != 0
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", small], check=False).returncode
    ):
        pytest.skip("no tmpfs can be mounted here: not root")
    try:
        done = lab.labq("backup", str(small), ok=False)
        assert done.returncode == 2
        assert "8.4 MB are free, the database takes" in done.stderr
        assert files_in(small) == set()
    finally:
        subprocess.run(["umount", small], check=True)


def test_two_backups_at_once(full: Lab, lab: Lab, tmp_path: Path) -> None:
    first = popen(lab, "backup", str(tmp_path / "a.tar.gz"))
    wait_for_half(tmp_path)
    first.send_signal(signal.SIGSTOP)
    second = lab.labq("backup", str(tmp_path / "b.tar.gz"), ok=False)
    assert second.returncode == 1
    assert f"a backup is being made (process {first.pid} on " in second.stderr
    first.send_signal(signal.SIGCONT)
    _, err = first.communicate(timeout=60)
    assert (first.returncode, err) == (0, "")
    assert files_in(tmp_path) == {"a.tar.gz"}


def test_a_backup_takes_little_memory(full: Lab, lab: Lab, tmp_path: Path) -> None:
    """Whatever the size of the database: it is read, packed and written piece by piece; so is a restore."""
    code = "import re, sys; from queueing.cli.main import main; code = main(sys.argv[1:]); "
    # Not ru_maxrss: a child begins with that of its parent, and the tests are large.
    code += "print(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1]); sys.exit(code)"
    for words in (
        ["backup", str(tmp_path / "lab.tar.gz")],
        ["restore", str(tmp_path / "lab.tar.gz"), "--into", "copy"],
    ):
        done = subprocess.run(
            [*LABQ[:2], "-c", code, *words], env=lab.env, cwd=Path(__file__).parents[2], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert int(done.stdout.splitlines()[-1]) < 260_000
    assert (tmp_path / "lab.tar.gz").stat().st_size > BIG_BYTES * 0.9
    lab.store.client.drop_database("copy")


def test_a_restore_that_is_killed_leaves_the_database_closed_and_is_repeated(
    full: Lab, lab: Lab, tmp_path: Path
) -> None:
    target, env = str(tmp_path / "lab.tar.gz"), {**lab.env, "LABQ_MONGO_DATABASE": "again"}
    run = lab.enqueue_steps("a-run", steps=3)
    lab.labq("backup", target)
    expected = lab.store.database["kept"].estimated_document_count()
    process = popen(lab, "restore", target, "--into", "again")
    again = lab.store.client["again"]
    until(lambda: 0 < again["kept"].estimated_document_count() < expected, what="half a restore")
    process.kill()
    process.communicate()
    looked = subprocess.run([*LABQ, "ls"], env=env, cwd=lab.home, capture_output=True, text=True)
    assert looked.returncode == 3
    assert f"being restored from {target}; if that was interrupted: labq restore {target}" in looked.stderr
    lab.labq("restore", target, "--into", "again")
    assert again["kept"].count_documents({}) == expected
    looked = subprocess.run([*LABQ, "ls", "--json"], env=env, cwd=lab.home, capture_output=True, text=True)
    assert run.id in looked.stdout
    lab.store.client.drop_database("again")
