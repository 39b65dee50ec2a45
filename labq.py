"""What a training script imports to report to labq. One file, standard library only.

It may be copied next to a script of any Python from 3.8. Under a labq worker the calls below write into the
run directory, where the supervisor reads them; outside labq the same calls work and print, so a script needs no `if`.

    import labq

    p = labq.params()                            # {"lr": 0.01, ...}
    at = labq.resume()                           # None at the first start
    weights = at.arrays()["w"] if at else init()
    for step in range(at.step + 1 if at else 0, p["steps"]):
        loss = train_one(weights)
        labq.log(step, loss=loss)                # once written, survives SIGKILL of this script
        if step % 100 == 0 or labq.should_stop():
            labq.checkpoint({"w": weights}, step=step)
        if labq.should_stop():                   # the worker asked us to leave: SIGTERM
            raise SystemExit(0)

The wire below it is plain enough for any language: see "The reporter protocol" in the README.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any, Mapping, Union

__all__ = [
    "Resumed", "artifact", "attempt", "checkpoint", "log", "params", "progress",
    "resume", "run_id", "should_stop", "stop",
]  # fmt: skip

# Where labq is installed as a whole, these come too; they are imported when first used.
_API = {
    **dict.fromkeys(("enqueue", "results", "runs", "series", "ask", "tell"), "queueing.api"),
    **dict.fromkeys(("as_completed", "handle", "submit", "submit_all"), "queueing.handles"),
}

_TOLD_TO_STOP = False
_HANDLES_SIGTERM = False
_EVENTS_FD: int | None = None
_LINE_BROKEN = False


class Resumed:
    """The checkpoint this attempt goes on from: `step` it was taken at and the `path` of its file or directory."""

    def __init__(self, step: int, path: Path) -> None:
        self.step = step
        self.path = path

    def arrays(self) -> dict[str, Any]:
        """The dict of NumPy arrays that `checkpoint({...})` was given. Never unpickles."""
        import numpy

        with numpy.load(self.path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}

    def __repr__(self) -> str:
        return f"Resumed(step={self.step}, path={str(self.path)!r})"


def run_id() -> str | None:
    """The run's id, or None outside labq."""
    return os.environ.get("LABQ_RUN")


def attempt() -> int:
    """Which attempt of the run this is: 1, 2, …; 0 outside labq."""
    return int(os.environ.get("LABQ_ATTEMPT", "0"))


def params() -> dict[str, Any]:
    """The run's parameters as the experiment file gave them; {} outside labq."""
    path = os.environ.get("LABQ_PARAMS")
    if not path:
        return {}
    loaded: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
    return loaded


def log(step: int, **metrics: float) -> None:
    """Record metrics at a step: `log(120, loss=0.31, val_loss=0.35)`. One unbuffered append, about 5 µs."""
    _emit({"step": int(step), **{name: _number(name, value) for name, value in metrics.items()}})


def progress(done: float, total: float) -> None:
    """How far the run is, in any unit: drives the percentage and the time left in `labq ls`."""
    _emit({"_progress": [float(done), float(total)]})


def checkpoint(what: Union[str, os.PathLike[str], Mapping[str, Any]], *, step: int, best: bool = False) -> None:
    """Publish a checkpoint: a file, a directory, or a dict of NumPy arrays (saved as .npz).

    Call it after `log` of the same step: what was logged before belongs to the checkpoint, what comes later is
    dropped and made again when a later attempt goes on from here. The newest one called `best` is kept beside
    the newest ones: `labq checkpoint RUN --best` fetches it.
    """
    folder = os.environ.get("LABQ_CHECKPOINTS")
    if not folder:
        print(f"labq: checkpoint at step {step} (outside labq nothing is kept)", file=sys.stderr)
        return
    name, write = _checkpoint_writer(what, f"{step:012d}-best" if best else f"{step:012d}")
    hidden, published = Path(folder, f".{name}.partial"), Path(folder, name)
    _remove(hidden)
    write(hidden)
    _remove(published)
    hidden.rename(published)
    _emit({"_checkpoint": name, "step": int(step), **({"_best": True} if best else {})})


def resume() -> Resumed | None:
    """The checkpoint to go on from, or None when there is nothing to resume from."""
    folder = os.environ.get("LABQ_RESUME")
    if not folder:
        return None
    (path,) = Path(folder).iterdir()
    return Resumed(int(os.environ.get("LABQ_RESUME_STEP", "-1")), path)


def should_stop() -> bool:
    """True once the worker asked the script to checkpoint and leave (SIGTERM).

    The first call takes over SIGTERM; a script that never calls it keeps the system's default and simply ends.
    """
    global _HANDLES_SIGTERM
    if not _HANDLES_SIGTERM:
        signal.signal(signal.SIGTERM, _remember_stop)
        _HANDLES_SIGTERM = True
    return _TOLD_TO_STOP


def stop(reason: str) -> None:
    """Declare the run over, in a word: 'diverged' fails it, any other word is kept as a remark."""
    _emit({"_stop": str(reason)})


def artifact(path: Union[str, os.PathLike[str]]) -> None:
    """Keep a file with the run: it is stored when the attempt ends."""
    _emit({"_artifact": str(Path(path).resolve())})


def __getattr__(name: str) -> Any:
    if name in _API:
        return getattr(importlib.import_module(_API[name]), name)
    raise AttributeError(f"module 'labq' has no attribute {name!r}")


def _number(name: str, value: Any) -> float:
    if isinstance(value, (str, bytes)):
        raise TypeError(f"labq.log: metric {name!r} is {value!r}; a metric is a number")
    return float(value)


def _remember_stop(_signal: int, _frame: Any) -> None:
    global _TOLD_TO_STOP
    _TOLD_TO_STOP = True


def _emit(event: dict[str, Any]) -> None:
    path = os.environ.get("LABQ_EVENTS")
    if not path:
        print("labq:", json.dumps(event), file=sys.stderr)
        return
    global _EVENTS_FD
    if _EVENTS_FD is None:
        _EVENTS_FD = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    event["_t"] = round(time.time(), 3)
    _append(_EVENTS_FD, (json.dumps(event, separators=(",", ":")) + "\n").encode())


def _append(fd: int, line: bytes) -> None:
    """One write per line. After a write cut short (full disk) a newline comes first, so that only one line is lost."""
    global _LINE_BROKEN
    data = b"\n" + line if _LINE_BROKEN else line
    _LINE_BROKEN = True
    if os.write(fd, data) != len(data):
        raise OSError(28, "labq: no space left for the event", os.environ.get("LABQ_EVENTS"))
    _LINE_BROKEN = False


def _checkpoint_writer(what: Any, ending: str) -> tuple[str, Any]:
    """The published name, and a function that writes the content to a given path."""
    if isinstance(what, Mapping):
        return f"checkpoint-{ending}.npz", lambda target: _save_arrays(target, what)
    source = Path(what)
    stem = re.sub(r"[^A-Za-z0-9_-]+", "_", source.stem).strip("_") or "checkpoint"
    name = f"{stem}-{ending}{''.join(source.suffixes[-1:])}"
    if source.is_dir():
        # Fresh times: the copy is a new thing, however old what was copied.
        return name, lambda target: shutil.copytree(source, target, copy_function=shutil.copyfile)
    return name, lambda target: shutil.copyfile(source, target)


def _save_arrays(target: Path, arrays: Mapping[str, Any]) -> None:
    import numpy

    named: dict[str, Any] = {name: numpy.asarray(value) for name, value in arrays.items()}
    with open(target, "wb") as file:
        numpy.savez(file, **named)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
