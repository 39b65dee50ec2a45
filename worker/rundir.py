"""The folder of one attempt on this machine. What matters in it reaches MongoDB; then it goes."""

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from store.logbook import warn
from store.runs import Run

_TURN, _BEGINNING = ".turn", ".beginning"
_DIE_S = 5.0


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
    def files(self) -> Path:
        """LABQ_FILES: the filled-in copies of templates."""
        return self.path / "files"

    @property
    def result(self) -> Path:
        """What the result command printed."""
        return self.path / "result.tsv"

    @property
    def promised(self) -> Path:
        """How much memory the run may come to use, for those who begin beside it."""
        return self.path / "promised-bytes"

    @property
    def resume(self) -> Path:
        """LABQ_RESUME"""
        return self.path / "resume"

    def remove(self) -> None:
        """Forget the attempt on this machine."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self.lock)


def make_run_dir(runs_dir: Path, run: Run) -> RunDir:
    """A fresh folder, locked by this process as long as it lives. Raises OSError.

    No two attempts share a name, not even those of two databases with one home.
    """
    runs_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _no_sweep(runs_dir):  # a folder whose lock is not taken yet looks abandoned
        path = Path(tempfile.mkdtemp(prefix=f"{run.id}-{run.attempt}-", dir=runs_dir))
        descriptor = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    made = RunDir(path=path, lock=descriptor)
    made.checkpoints.mkdir(mode=0o700)
    made.params.write_text(json.dumps(run.params), encoding="utf-8")
    made.events.touch(mode=0o600)
    return made


def promises(runs_dir: Path) -> list[int]:
    """The memory that each run on this machine may come to use, in bytes; 0 for those of which nothing is known."""
    folders = [path for path in runs_dir.iterdir() if path.is_dir()] if runs_dir.is_dir() else []
    return [_promised(folder / "promised-bytes") for folder in folders]


def _promised(file: Path) -> int:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return 0


@contextmanager
def beginning(runs_dir: Path) -> Iterator[None]:
    """One run at a time begins on this machine, so that no two count on the same memory. Raises OSError."""
    runs_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(runs_dir / _BEGINNING):
        yield


def sweep(runs_dir: Path) -> list[str]:
    """Remove folders whose supervisor is gone (nobody holds their lock any more), and what still runs in their name.

    A grandchild outlives a SIGKILL of the worker and its supervisor together; its environment names the folder. When
    this returns it is dead, so nothing of an earlier attempt runs beside what this machine claims next.
    """
    if not runs_dir.is_dir():
        return []
    try:
        with _no_sweep(runs_dir):
            left = [path for path in runs_dir.iterdir() if _is_abandoned(path)]
            if left:
                _kill_processes_of({str(path) for path in left})
    except OSError as error:
        warn("cannot-sweep", folder=runs_dir, error=error)
        return []
    for path in left:
        shutil.rmtree(path, ignore_errors=True)
    return [path.name for path in left]


def abandoned(runs_dir: Path) -> list[Path]:
    """What `sweep` would remove now."""
    if not runs_dir.is_dir():
        return []
    with _no_sweep(runs_dir):
        return sorted(path for path in runs_dir.iterdir() if _is_abandoned(path))


def _no_sweep(runs_dir: Path) -> AbstractContextManager[None]:
    """One process at a time makes or sweeps."""
    return _alone(runs_dir / _TURN)


@contextmanager
def _alone(file: Path) -> Iterator[None]:
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _kill_processes_of(folders: set[str]) -> None:
    """Again until there is none: one that forks is in no list while it does."""
    while found := [process for process in psutil.process_iter() if _folder_of(process) in folders]:
        for process in found:
            with suppress(psutil.Error):
                process.kill()
        _, alive = psutil.wait_procs(found, timeout=_DIE_S)
        if alive:
            warn("does-not-die", pids=",".join(str(process.pid) for process in alive))
            return


def _folder_of(process: psutil.Process) -> str | None:
    try:
        return None if process.status() == psutil.STATUS_ZOMBIE else process.environ().get("LABQ_DIR")
    except psutil.Error:
        return None  # somebody else's, or gone


def _is_abandoned(path: Path) -> bool:
    if path.name in (_TURN, _BEGINNING):
        return False
    try:
        descriptor = os.open(path / "lock", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return True  # its making or its removal was cut short
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True
