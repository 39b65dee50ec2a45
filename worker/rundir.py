"""The folder of one attempt on this machine. What matters in it reaches MongoDB; then it goes."""

import fcntl
import json
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from store.runs import Run

_MAKING = ".making-"
_MAKING_S = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDir:
    """Files of the reporter protocol."""

    path: Path
    lock: int

    @property
    def params(self) -> Path:
        """LABQ_PARAMS"""
        return self.path / "params.json"

    @property
    def events(self) -> Path:
        """LABQ_EVENTS"""
        return self.path / "events.jsonl"

    @property
    def output(self) -> Path:
        """stdout and stderr, in the order they were written."""
        return self.path / "output.log"

    @property
    def checkpoints(self) -> Path:
        """LABQ_CHECKPOINTS"""
        return self.path / "checkpoints"

    @property
    def resume(self) -> Path:
        """LABQ_RESUME"""
        return self.path / "resume"

    def remove(self) -> None:
        """Forget the attempt on this machine."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self.lock)


def make_run_dir(runs_dir: Path, run: Run) -> RunDir:
    """A fresh folder, locked by this process as long as it lives. Raises OSError."""
    runs_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = runs_dir / f"{run.id}-{run.attempt}"
    making = runs_dir / f"{_MAKING}{path.name}"
    for leftover in (path, making):
        if leftover.exists():
            shutil.rmtree(leftover)
    (making / "checkpoints").mkdir(mode=0o700, parents=True)
    descriptor = os.open(making / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    making.rename(path)  # only now: a folder under its final name without a lock is one whose removal was cut short
    made = RunDir(path=path, lock=descriptor)
    made.params.write_text(json.dumps(run.params), encoding="utf-8")
    made.events.touch(mode=0o600)
    return made


def sweep(runs_dir: Path) -> list[str]:
    """Remove folders whose supervisor is gone (nobody holds their lock any more), and what still runs in their name.

    A double-forked grandchild outlives a SIGKILL of the worker and its supervisor together; its environment names it.
    """
    abandoned = [path for path in runs_dir.iterdir() if _is_abandoned(path)] if runs_dir.is_dir() else []
    if abandoned:
        _kill_processes_of({str(path) for path in abandoned})
    for path in abandoned:
        shutil.rmtree(path, ignore_errors=True)
    return [path.name for path in abandoned]


def _kill_processes_of(folders: set[str]) -> None:
    for process in psutil.process_iter():
        try:
            if process.environ().get("LABQ_DIR") in folders:
                process.kill()
        except psutil.Error:
            continue  # somebody else's, or gone


def _is_abandoned(path: Path) -> bool:
    try:
        descriptor = os.open(path / "lock", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return not path.name.startswith(_MAKING) or time.time() - path.stat().st_mtime > _MAKING_S
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True
