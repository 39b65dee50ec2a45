"""What a machine must have before a run begins there."""

import os
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from store.runs import Resources, Run, Task
from store.samples import Peaks
from worker.machine import free_disk_bytes, free_memory_bytes, total_memory_bytes
from worker.preflight import Found, Needs, examine, missing, needs, shortage

FLOOR = 200
PLENTY = Found(disk_bytes=10**12, memory_bytes=10**12, unpromised_bytes=10**12)


def a_run(workdir: Path | str = "/", command: tuple[str, ...] = ("true",), **changes: object) -> Run:
    run = Run(
        id="r", key="k", experiment="x", params={"tool": "true"}, task=Task(command=command, workdir=str(workdir)),
        queued_at=datetime(2026, 1, 1, tzinfo=UTC),
    )  # fmt: skip
    return replace(run, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("declared", "checkpoint", "needed"), [(None, 0, FLOOR), (500, 0, 500), (500, 1000, 3000), (None, 10, FLOOR)]
)
def test_disk_is_needed_for_what_is_declared_and_for_checkpoints_as_siblings_make_them(
    declared: int | None, checkpoint: int, needed: int
) -> None:
    run = a_run(resources=Resources(disk_bytes=declared))
    assert needs(run, Peaks(checkpoint_bytes=checkpoint), FLOOR, alone=True).disk_bytes == needed


@pytest.mark.parametrize(
    ("declared", "measured", "alone", "needed"),
    [(None, 0, False, None), (7, 9, False, 7), (None, 9, False, 9), (None, 9, True, None), (7, 9, True, 7)],
)
def test_measured_memory_counts_only_beside_other_runs(
    declared: int | None, measured: int, alone: bool, needed: int | None
) -> None:
    run = a_run(resources=Resources(memory_bytes=declared))
    assert needs(run, Peaks(memory_bytes=measured), FLOOR, alone=alone).memory_bytes == needed


def test_a_shortage_is_said_in_sizes_and_passes() -> None:
    needed = Needs(disk_bytes=2 * 10**9, memory_bytes=3 * 10**9)
    assert shortage(needed, PLENTY) is None
    disk = shortage(needed, replace(PLENTY, disk_bytes=10**9))
    assert disk is not None
    assert (disk.message, disk.lasting) == (
        "2.0 GB of disk in the run directory are needed, 1.0 GB are free",
        False,
    )
    memory = shortage(needed, replace(PLENTY, memory_bytes=10**9))
    assert memory is not None
    assert (memory.message, memory.lasting) == ("3.0 GB of memory are needed, 1.0 GB are free", False)
    promised = shortage(needed, replace(PLENTY, unpromised_bytes=-(10**9)))
    assert promised is not None
    assert promised.message == "3.0 GB of memory are needed, 0 B are free of other runs' limits"
    assert shortage(replace(needed, memory_bytes=None), replace(PLENTY, memory_bytes=0)) is None


def said(run: Run, environ: dict[str, str]) -> str:
    lacking = missing(run, environ)
    assert lacking is None or lacking.lasting
    return lacking.message if lacking else ""


def test_programmes_are_found_as_the_child_will_find_them(tmp_path: Path) -> None:
    tool = tmp_path / "bin" / "tool"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\n")
    base = {"PATH": os.defpath}
    assert said(a_run(tmp_path, ("tool",)), base) == "there is no programme 'tool'"
    assert said(a_run(tmp_path, ("bin/tool",)), base) == "there is no programme 'bin/tool'", "not executable yet"
    tool.chmod(0o755)
    assert said(a_run(tmp_path, ("bin/tool",)), base) == ""
    assert said(a_run(tmp_path, (str(tool),)), base) == ""
    assert said(a_run(tmp_path, ("tool",)), {"PATH": str(tool.parent)}) == ""
    assert said(a_run(task=Task(command=("tool",), workdir="/", env={"PATH": str(tool.parent)})), base) == ""
    assert said(a_run(tmp_path, ("{tool}",)), base) == ""
    assert said(a_run(tmp_path, ("{tool:d}",)), base) == "", "its start will say so"


def test_folders_and_trainers(tmp_path: Path) -> None:
    assert said(a_run(tmp_path / "gone"), {}) == f"there is no folder {tmp_path / 'gone'}"
    assert said(a_run(task=Task(trainer="rnn", workdir=str(tmp_path))), {}) == ""


def test_this_machine_can_be_examined(tmp_path: Path) -> None:
    found = examine(tmp_path / "not" / "there" / "yet")
    assert missing(a_run(command=(sys.executable,)), os.environ) is None
    assert found.unpromised_bytes == total_memory_bytes()
    assert found.disk_bytes == pytest.approx(free_disk_bytes(tmp_path), rel=0.1)
    assert 0 < found.memory_bytes <= total_memory_bytes()
    assert 0 < free_memory_bytes() <= total_memory_bytes()
