"""The disk of the run directory is full: the run ends with that reason, its checkpoint is whole, it goes on later.

A real file system of 24 MB, so that nobody else's disk is filled.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lab import Lab, child_of, is_alive, until

from store.runs import Run
from store.states import Reason, State

ROOM = {"LABQ_DISK_FLOOR_MB": "1"}


@pytest.fixture
def small_disk(lab: Lab) -> Iterator[Path]:
    """The folder of all run directories, on a disk of its own."""
    if os.geteuid() != 0 or sys.platform != "linux":
        pytest.skip("only root may mount a small file system (Linux)")
    folder = lab.home / "runs"
    folder.mkdir(exist_ok=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "labq-test", folder], capture_output=True, text=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"this container may not mount: {mounted.stderr.strip()}")
    yield folder
    for process in lab.processes:
        process.kill()
        process.wait()
    until(lambda: subprocess.run(["umount", folder], check=False).returncode == 0, what="unmounting")


def fill(folder: Path) -> Path:
    """Somebody else's file takes all there is."""
    filler = folder / "filler"
    with open(filler, "wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            return filler


def check_goes_on(lab: Lab, run: Run, undisturbed: dict[str, Any]) -> None:
    """From the checkpoint that MongoDB has, as if nothing had been."""
    before = lab.run(run)
    assert before.checkpoint is not None
    assert lab.store.fetch_checkpoint(before.checkpoint, lab.home / f"fetched-{run.id}").is_file()
    lab.labq("requeue", run.id)
    lab.worker("--burst", **ROOM)
    until(lambda: lab.run(run).attempt == before.attempt + 1, what="the next attempt")
    lab.wait_until_ended(run)
    resumed = lab.run(run).history[-1].resumed_from_step
    assert resumed == before.checkpoint.step
    assert lab.outcome(run) == undisturbed


def test_a_script_that_dies_of_a_full_disk_fails_with_that_reason_and_goes_on_later(
    lab: Lab, undisturbed: dict[str, Any], small_disk: Path
) -> None:
    run = lab.enqueue_steps("disk-full")
    lab.worker("--burst", **ROOM)
    lab.wait_for_checkpoint(run)
    filler = fill(small_disk)
    ended = lab.wait_until_ended(run)
    assert (ended.state, ended.reason, ended.attempt) == (State.FAILED, Reason.DISK_FULL, 1)
    filler.unlink()
    check_goes_on(lab, run, undisturbed)


DEAF = """
import os, sys, time
import numpy as np
import labq

for step in range(10_000):
    try:
        labq.log(step, loss=1.0)
        labq.checkpoint({"w": np.zeros(10)}, step=step)
    except OSError:
        pass  # it knows better
    time.sleep(0.05)
"""


def test_a_script_that_goes_on_regardless_is_stopped(lab: Lab, small_disk: Path) -> None:
    script = lab.write("deaf.py", DEAF)
    command = json.dumps([sys.executable, str(script)])
    text = f'name = "deaf"\ncommand = {command}\ngrace = "1s"\nworkdir = {json.dumps(str(Path(__file__).parents[2]))}\n'
    done = lab.labq("enqueue", "--json", str(lab.write("deaf.toml", text)))
    run = lab.store.run(json.loads(done.stdout)["ids"][0])
    worker = lab.worker(**ROOM)
    before = lab.wait_for_checkpoint(run)
    child = until(lambda: next(p for p in supervised(worker) if "deaf.py" in " ".join(p.cmdline())))
    fill(small_disk)
    ended = lab.wait_until_ended(run, 15)
    assert (ended.state, ended.reason, ended.attempt) == (State.FAILED, Reason.DISK_FULL, 1)
    assert not is_alive(child)
    assert ended.checkpoint is not None
    assert before.checkpoint is not None
    assert ended.checkpoint.step >= before.checkpoint.step
    lab.store.fetch_checkpoint(ended.checkpoint, lab.home / "deaf-fetched")
    (series,) = [lab.store.series(run.id, "loss")]
    assert series.steps[: ended.checkpoint.step + 1] == tuple(range(ended.checkpoint.step + 1))


def supervised(worker: Any) -> Any:
    from lab import supervisor_of

    return supervisor_of(worker).children()


def test_a_command_that_cannot_say_why_it_died_fails_with_that_reason(lab: Lab, small_disk: Path) -> None:
    command = json.dumps(["sh", "-c", 'cat /dev/zero > "$LABQ_DIR/all-there-is"; exit 3'])
    text = f'name = "speechless"\ncommand = {command}\n'
    done = lab.labq("enqueue", "--json", str(lab.write("speechless.toml", text)))
    run = lab.store.run(json.loads(done.stdout)["ids"][0])
    lab.worker("--burst", **ROOM)
    ended = lab.wait_until_ended(run)
    assert (ended.state, ended.reason) == (State.FAILED, Reason.DISK_FULL)
    assert ended.ending is not None
    assert (ended.ending.message, ended.ending.exit_code) == (
        "the disk of the run directory is full; exit code 3", 3,
    )  # fmt: skip
    assert lab.store.log_tail(run.id, 1, 1000) == b""


def test_a_disk_that_is_full_for_a_moment_stops_nobody(lab: Lab, undisturbed: dict[str, Any], small_disk: Path) -> None:
    run = lab.enqueue_steps("full-for-a-moment")
    worker = lab.worker("--burst", **ROOM)
    lab.wait_for_checkpoint(run)
    child = child_of(worker)
    child.suspend()
    fill(small_disk).unlink()
    child.resume()
    assert lab.wait_until_ended(run).attempt == 1
    assert lab.outcome(run) == undisturbed
