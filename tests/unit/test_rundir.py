"""Run directories of processes that live, die, and make and sweep at the same time."""

import os
import subprocess
import sys
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path

from store.runs import Run, Task
from worker.rundir import RunDir, beginning, make_run_dir, promises, sweep

RUN = Run(
    id="a", key="a", experiment="x", params={"lr": 1}, task=Task(workdir="/"), attempt=1,
    queued_at=datetime(2026, 1, 1, tzinfo=UTC),
)  # fmt: skip


def is_whole(made: RunDir) -> bool:
    return all(path.exists() for path in (made.params, made.events, made.checkpoints, made.path / "lock"))


def test_the_same_attempt_of_another_database_gets_a_folder_of_its_own(tmp_path: Path) -> None:
    one, other = make_run_dir(tmp_path, RUN), make_run_dir(tmp_path, RUN)
    assert one.path != other.path
    other.remove()
    assert is_whole(one)
    assert sweep(tmp_path) == []
    one.remove()
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")] == []


def test_what_runs_may_come_to_use_is_known_to_those_that_begin_beside_them(tmp_path: Path) -> None:
    assert promises(tmp_path / "nobody yet") == []
    with beginning(tmp_path):
        one = make_run_dir(tmp_path, RUN)
        one.promised.write_text("12000000000")
    other = make_run_dir(tmp_path, RUN)
    assert sorted(promises(tmp_path)) == [0, 12_000_000_000]
    one.remove()
    assert promises(tmp_path) == [0]
    other.remove()
    assert sweep(tmp_path) == []
    assert promises(tmp_path) == []


def test_a_folder_without_owner_goes_and_what_runs_in_its_name_is_dead_then(tmp_path: Path) -> None:
    made = make_run_dir(tmp_path, RUN)
    env = {**os.environ, "LABQ_DIR": str(made.path)}
    orphan = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], env=env)
    os.close(made.lock)  # as the kernel does when the supervisor dies
    assert sweep(tmp_path) == [made.path.name]
    assert orphan.poll() is not None
    assert not made.path.exists()


def _sweep_until_told(folder: Path, over: str) -> None:
    while not Path(over).exists():
        sweep(folder)


def test_a_sweep_never_takes_a_folder_that_is_being_made(tmp_path: Path) -> None:
    runs, over = tmp_path / "runs", tmp_path / "over"
    runs.mkdir()
    sweeper = get_context("spawn").Process(target=_sweep_until_told, args=(runs, str(over)))
    sweeper.start()
    try:
        for _ in range(500):
            made = make_run_dir(runs, RUN)
            assert is_whole(made)
            made.remove()
    finally:
        over.touch()
        sweeper.join()
    assert sweeper.exitcode == 0
