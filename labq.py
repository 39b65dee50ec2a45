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
import math
import os
import re
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any, Mapping, Union

__all__ = [
    "Resumed", "Watch", "artifact", "attempt", "checkpoint", "log", "params", "progress",
    "resume", "run_id", "should_stop", "stop", "watch",
]  # fmt: skip

# Where labq is installed as a whole, these come too; they are imported when first used.
_API = {
    **dict.fromkeys(("enqueue", "results", "run", "runs", "curves", "series", "ask", "tell"), "queueing.api"),
    **dict.fromkeys(("BadQuery", "LabqError", "StoreUnavailable", "UserError"), "store.errors"),
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


def watch(
    weights: Any = None,
    gradients: Any = None,
    activations: Any = None,
    samples: Any = None,
    every: int = 100,
    updates: bool = True,
    activation: str = "auto",
) -> Watch:
    """Report how a network fares, so that labq can tell what it suffers from; `w.log(step)` after each update.

        w = labq.watch(weights=model)                         # a torch module; its gradients come from .grad
        w = labq.watch(weights={"W": W, "b": b})              # NumPy arrays that are changed in place
        w = labq.watch(weights=lambda: params, every=50)      # JAX: a pytree of dicts, a new one after each update
        for step in range(steps):
            train_one(); labq.log(step, loss=loss); w.log(step)

    `weights`, `gradients`, `activations`: a mapping of names to arrays (mappings within it give names such as
    `encoder.W`), an iterable of (name, array), a module with `named_parameters`, or a function that returns one of
    these when asked. `samples`: a text, a mapping or a list, or a function that returns one; kept as `samples.txt`.
    `activation`: "relu", "tanh", "sigmoid", or "auto": tanh where values are negative too, else relu.

    Every `every`-th step: norm_NAME, gradient_norm_NAME, gradient_norm, update_ratio_NAME and update_ratio (length of
    the last update over that of the weights), activation_mean_NAME, activation_std_NAME, dead_units and flat_states
    (share of hidden units, and of their states, whose slope is nought or nearly). Other steps cost under 1 µs.

    A look at ten million weights and gradients in float32 took 6 ms with NumPy and 10 ms with torch on one core; the
    ratios, for which a copy of the weights is held from the step before, made that 70 and 24 ms: `updates=False` does
    without. On a GPU each array is waited for.
    """
    return Watch(weights, gradients, activations, samples, every, updates, activation)


class Watch:
    """What `watch` returns."""

    def __init__(
        self,
        weights: Any = None,
        gradients: Any = None,
        activations: Any = None,
        samples: Any = None,
        every: int = 100,
        updates: bool = True,
        activation: str = "auto",
    ) -> None:
        if not isinstance(every, int) or every < 1:
            raise ValueError(f"labq.watch: every is {every!r}; allowed: a whole number from 1")
        if activation not in ("auto", "relu", "tanh", "sigmoid"):
            raise ValueError(f"labq.watch: activation is {activation!r}; allowed: auto, relu, tanh, sigmoid")
        if all(what is None for what in (weights, gradients, activations, samples)):
            raise ValueError("labq.watch: nothing to watch; give weights, gradients, activations or samples")
        self._weights, self._gradients = _kept(weights), _kept(gradients)
        self._activations, self._samples = _kept(activations), samples
        self._every, self._updates, self._activation = every, updates and weights is not None, activation
        self._step: int | None = None
        self._stride = 1
        self._before: dict[str, Any] | None = None
        self._announced = False

    def log(self, step: int) -> dict[str, float] | None:
        """To be called after each update: reports at every `every`-th step, else returns None at once."""
        step = int(step)
        last = step - 1 if self._step is None else self._step
        self._step, self._stride = step, max(1, step - last)
        metrics = self._look(step) if self._passes(last, step) else None
        if self._updates and self._passes(step, step + self._stride):
            self._before = {name: _copy(array) for name, array in _named(self._weights)}
        return metrics

    def _passes(self, last: int, step: int) -> bool:
        """Whether a multiple of `every` lies between: that depends on the steps alone, not on where a run was cut."""
        return (step + 1) // self._every > (last + 1) // self._every

    def _look(self, step: int) -> dict[str, float]:
        weights = list(_named(self._weights))
        norms = {name: _norm(array) for name, array in weights}
        metrics = {f"norm_{name}": length for name, length in norms.items()}
        metrics.update(_all("gradient_norm", {name: _norm(array) for name, array in self._slopes()}))
        metrics.update(self._ratios(weights, norms))
        metrics.update(_states(list(_named(self._activations)), self._activation))
        if metrics:
            log(step, **metrics)
        if self._samples is not None:
            self._keep_samples(step)
        return metrics

    def _slopes(self) -> Any:
        if self._gradients is not None:
            return _named(self._gradients)
        found = ((name, getattr(array, "grad", None)) for name, array in _named(self._weights, whole=True))
        return ((name, gradient) for name, gradient in found if _is_array(gradient))

    def _ratios(self, weights: Any, norms: dict[str, float]) -> dict[str, float]:
        before, self._before = self._before, None
        if before is None:
            return {}
        moved = {name: _norm(_difference(array, before[name])) for name, array in weights if name in before}
        ratios = {f"update_ratio_{name}": moved[name] / norms[name] if norms[name] else 0.0 for name in moved}
        length = math.hypot(*(norms[name] for name in moved)) if moved else 0.0
        return {**ratios, "update_ratio": math.hypot(*moved.values()) / length} if length else ratios

    def _keep_samples(self, step: int) -> None:
        text = _text(self._samples() if callable(self._samples) else self._samples)
        folder = os.environ.get("LABQ_DIR")
        if not folder:
            print(f"labq: samples at step {step}:\n{text}", file=sys.stderr)
            return
        path = Path(folder, "samples.txt")
        path.write_text(f"step {step}\n{text}\n", encoding="utf-8")
        if not self._announced:
            artifact(path)
            self._announced = True


def __getattr__(name: str) -> Any:
    if name in _API:
        return getattr(importlib.import_module(_API[name]), name)
    raise AttributeError(f"module 'labq' has no attribute {name!r}")


def _number(name: str, value: Any) -> float:
    if isinstance(value, (str, bytes)):
        raise TypeError(f"labq.log: metric {name!r} is {value!r}; a metric is a number")
    return float(value)


# ── arrays of any library, by what they can do ──
def _kept(what: Any) -> Any:
    """An iterator that could be read once only is read now: its arrays are the same ones later."""
    return list(what) if hasattr(what, "__next__") else what


def _named(what: Any, prefix: str = "", whole: bool = False) -> Any:
    """(name, array) of all arrays, as plain values; `whole`: as they are, with their gradients."""
    if what is None:
        return
    if hasattr(what, "named_parameters"):
        what = what.named_parameters()
    elif callable(what):
        yield from _named(what(), prefix, whole)
        return
    for name, array in what.items() if isinstance(what, Mapping) else what:
        if isinstance(array, Mapping):
            yield from _named(array, f"{prefix}{name}.", whole)
        elif array is not None:
            yield f"{prefix}{name}", array if whole or not hasattr(array, "detach") else array.detach()


def _is_array(what: Any) -> bool:
    return what is not None and (hasattr(what, "reshape") or isinstance(what, (int, float, list, tuple)))


def _copy(array: Any) -> Any:
    if hasattr(array, "clone"):
        return array.clone()
    return array.copy() if hasattr(array, "copy") else array


def _difference(array: Any, before: Any) -> Any:
    if hasattr(array, "reshape"):
        return array - before
    return [one - other for one, other in zip(_flat(array), _flat(before))]  # noqa: B905 - Python 3.8


def _flat(array: Any) -> Any:
    """One dimension; lists and numbers become a list of floats."""
    if hasattr(array, "reshape"):
        return array.reshape(-1)
    return [float(value) for value in array] if isinstance(array, (list, tuple)) else [float(array)]


def _norm(array: Any) -> float:
    """The Euclidean length, in the precision of the array; where that overflows, scaled first."""
    array = array.detach() if hasattr(array, "detach") else array
    flat = _flat(array)
    if isinstance(flat, list):
        return math.hypot(*flat)
    if hasattr(flat, "norm"):
        return float(flat.norm() if flat.is_floating_point() else flat.float().norm())
    if str(flat.dtype)[:3] in ("int", "uin", "boo", "flo") and str(flat.dtype) not in ("float32", "float64"):
        flat = flat.astype("float32")
    if not flat.shape[0]:
        return 0.0
    try:
        length = math.sqrt(float(flat.dot(flat)))
    except FloatingPointError:  # where somebody has asked NumPy to raise it
        length = math.inf
    if not math.isinf(length):
        return length
    most = float(abs(flat).max())
    scaled = flat / most if math.isfinite(most) else flat
    return most * math.sqrt(float(scaled.dot(scaled))) if math.isfinite(most) else most


def _all(name: str, lengths: dict[str, float]) -> dict[str, float]:
    """Each with its name, and that of all together."""
    found = {f"{name}_{one}": length for one, length in lengths.items()}
    return {**found, name: math.hypot(*lengths.values())} if lengths else {}


def _states(layers: Any, activation: str) -> dict[str, float]:
    """Arrays whose last dimension counts units: mean, standard deviation, and what no longer takes part."""
    metrics: dict[str, float] = {}
    dead = units = still = states = 0.0
    for name, values in layers:
        values = values.detach() if hasattr(values, "detach") else values
        metrics[f"activation_mean_{name}"] = float(values.mean())
        metrics[f"activation_std_{name}"] = float(values.std())
        flat = _is_flat(values, activation).reshape(-1, values.shape[-1])
        dead, units = dead + float(flat.all(0).sum()), units + flat.shape[1]
        still, states = still + float(flat.sum()), states + flat.shape[0] * flat.shape[1]
    return {**metrics, "dead_units": dead / units, "flat_states": still / states} if states else metrics


def _is_flat(values: Any, activation: str) -> Any:
    """As in labq's own trainer: within 0.01 of an end of a range that is 2 wide; a rectified unit at 0."""
    if activation == "auto":
        activation = "tanh" if float(values.min()) < 0 and float(abs(values).max()) <= 1 else "relu"
    if activation == "tanh":
        return abs(values) > 0.99
    return (values < 0.005) | (values > 0.995) if activation == "sigmoid" else values <= 0


def _text(what: Any) -> str:
    if isinstance(what, Mapping):
        return "\n".join(f"{name}: {value}" for name, value in what.items())
    return "\n".join(str(one) for one in what) if isinstance(what, (list, tuple)) else str(what)


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
