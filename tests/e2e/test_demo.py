"""`labq demo`, whole and interrupted."""

import json
import os
import signal
import subprocess
import tempfile
from pathlib import Path

import psutil
import pytest
from lab import LABQ, until


def demo_processes(folder: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if str(folder) in " ".join(process.cmdline()) or process.environ().get("LABQ_HOME", "").startswith(
                str(folder)
            ):
                found.append(process)
        except psutil.Error:
            continue
    return found


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(tempfile.mkdtemp(prefix="d"))


def environment(folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LABQ_")}
    return kept | {"TMPDIR": str(folder)}


def test_the_demo_ends_well_and_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [*LABQ, "demo", "--json", "--keep", str(tmp_path / "kept")],
        env=environment(folder), capture_output=True, text=True, timeout=280,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    assert report.pop("seconds") > 0
    assert report == {"runs": 5, "finished": 5, "killed": 1, "resumed": 1, "identical": True, "mails": 4}
    assert "kill -9" in done.stderr
    assert len(list((tmp_path / "kept").glob("*.eml"))) == 4
    assert len(list((tmp_path / "kept").glob("*.png"))) == 4
    assert list(folder.iterdir()) == []
    assert demo_processes(folder) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_leaves_nothing(folder: Path, number: int) -> None:
    process = subprocess.Popen([*LABQ, "demo"], env=environment(folder), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    until(lambda: "Starting two workers" in (process.stdout.readline() if process.stdout else ""), what="the workers")
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert list(folder.iterdir()) == []
    assert demo_processes(folder) == []
