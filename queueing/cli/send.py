"""`labq send`: what a script without Python says about its run. It appends to the files that labq's handle appends to.

So it is as quick and as safe: a line, once written, survives whatever happens next, and MongoDB may be away.
"""

import argparse
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from queueing.script_folder import FINISH, ScriptFolder, folder_here
from store.errors import ExitCode, LabqError, UserError

_STARTING = "worker.script.start_cli:start_script"
_UNSENT = "worker.script.unsent_cli:send_unsent"
_INT64 = 2**63
_LOOK_S, _CLEARING_S = 0.05, 3.0


class Over(LabqError):
    """The run is not being carried out here any more."""


def send(options: argparse.Namespace) -> int:
    """All that was given is checked first; then it is written, each part once."""
    _check_together(options)
    if options.start or options.unsent:
        module, function = (_STARTING if options.start else _UNSENT).split(":")
        return int(getattr(import_module(module), function)(options))
    events = _events(options)
    log = _log(options.log)
    if not events and not log and not options.checkpoint and not options.finish:
        raise UserError("labq send: nothing to send; such as: labq send step=10 loss=0.3 (labq send --help)")
    folder = folder_here(options.run, os.environ)
    if folder is None:
        raise Over(f"{_whose(options.run)} is not being carried out here any more: nothing was sent")
    try:
        _write(folder, events, log, options.checkpoint, _step(options.assigned))
    except OSError as error:
        raise Over(f"{error.filename or folder.path}: {error.strerror}: not all was sent") from error
    if options.finish and not folder.is_started:
        print(f"labq: run {folder.run} ends when its command does: nothing to finish", file=sys.stderr)
    elif options.finish:
        return _finish(folder, options.exit_code, options.wait)
    if options.json:
        print(json.dumps({"run": folder.run, "events": len(events)}))
    return ExitCode.OK


def _whose(asked: str | None) -> str:
    return f"run {asked or os.environ.get('LABQ_RUN', '')}"


def _check_together(options: argparse.Namespace) -> None:
    for name in ("name", "key", "param", "tag", "notify", "pid", "export", "if_away"):
        if getattr(options, name) and not options.start:
            raise UserError(f"--{name.replace('_', '-')} is for labq send --start")
    if options.exit_code is not None and not options.finish:
        raise UserError("--exit-code is for labq send --finish")
    alone = [name for name in ("start", "finish", "unsent") if getattr(options, name)]
    if len(alone) > 1:
        raise UserError(f"--{alone[0]} and --{alone[1]} exclude each other")


# ── what was given ──
def _events(options: argparse.Namespace) -> list[dict[str, Any]]:
    """As the reporter protocol has them. Raises UserError."""
    events: list[dict[str, Any]] = []
    if metrics := _metrics(options.assigned, has_checkpoint=options.checkpoint is not None):
        events.append(metrics)
    if options.progress is not None:
        events.append({"_progress": progress_of(options.progress)})
    events += [{"_artifact": str(path)} for path in _files(options.file)]
    if options.stop is not None:
        events.append({"_stop": options.stop})
    return events


def _metrics(assigned: Sequence[str], *, has_checkpoint: bool) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for text in assigned:
        name, sign, value = text.partition("=")
        if not sign or not name or name.startswith("_") or name in found:
            raise UserError(f"{text!r}: allowed: NAME=NUMBER, such as loss=0.3, each name once, and step=N")
        found[name] = _whole(text, value) if name == "step" else _number(text, value)
    if set(found) == {"step"}:
        if has_checkpoint:
            return {}
        raise UserError(f"step={found['step']}: of what? Such as: labq send step={found['step']} loss=0.3")
    return found


def _number(text: str, value: str) -> float:
    try:
        return float(value)
    except ValueError as error:
        raise UserError(f"{text!r}: {value!r} is no number; texts go with --log, files with --file") from error


def _whole(text: str, value: str) -> int:
    if not re.fullmatch(r"[+-]?[0-9]{1,19}", value) or not abs(int(value)) < _INT64:
        raise UserError(f"{text!r}: a step is a whole number of at most 64 bits")
    return int(value)


def _step(assigned: Sequence[str]) -> int | None:
    return next((int(text.partition("=")[2]) for text in assigned if text.startswith("step=")), None)


def progress_of(text: str) -> list[float]:
    """`0.4`, `40%`, `30/120` as [done, total]. Raises UserError."""
    done, sign, total = text.partition("/")
    try:
        if sign:
            found = [float(done), float(total)]
        elif text.endswith("%"):
            found = [float(text[:-1]), 100.0]
        else:
            found = [float(text), 1.0]
    except ValueError:
        found = []
    if not found or not 0 <= found[0] <= found[1] < float("inf") or found[1] == 0:
        raise UserError(f"--progress {text!r}: allowed: 0.4, 40% or 30/120")
    return found


def _files(given: Sequence[str]) -> list[Path]:
    for name in given:
        if not Path(name).is_file():
            hint = "; metrics go before --file" if re.fullmatch(r"\w+=\S*", name) else ""
            what = "a folder; allowed: files" if Path(name).is_dir() else f"no such file{hint}"
            raise UserError(f"--file {name}: {what}")
    return [Path(name).resolve() for name in given]


def _log(given: Sequence[str]) -> bytes:
    texts = [sys.stdin.buffer.read() if text == "-" else text.encode(errors="surrogateescape") for text in given]
    return b"".join(text if text.endswith(b"\n") else text + b"\n" for text in texts if text)


# ── writing ──
def _write(
    folder: ScriptFolder, events: Sequence[dict[str, Any]], log: bytes, published: str | None, step: int | None
) -> None:
    if log:
        _append(folder.output, log)
    now = round(time.time(), 3)
    if events:
        _append(folder.events, b"".join(_line({**event, "_t": now}) for event in events))
    if published is not None:
        _append(folder.events, _line({**_publish(folder, Path(published), step), "_t": now}))


def _line(event: dict[str, Any]) -> bytes:
    return (json.dumps(event, separators=(",", ":")) + "\n").encode()


def _append(file: Path, data: bytes) -> None:
    """One write, so that lines of several senders do not mix."""
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    try:
        if os.write(descriptor, data) != len(data):
            raise OSError(28, os.strerror(28), str(file))
    finally:
        os.close(descriptor)


def _publish(folder: ScriptFolder, given: Path, step: int | None) -> dict[str, Any]:
    """A copy, renamed into place: a checkpoint is there as a whole, or not at all. Raises UserError, OSError."""
    if not given.exists():
        raise UserError(f"--checkpoint {given}: no such file or folder")
    ending = f"{step:012d}" if step is not None and step >= 0 else f"at-{time.time_ns()}"
    name = f"{re.sub(r'[^A-Za-z0-9_-]+', '_', given.stem).strip('_') or 'checkpoint'}-{ending}{given.suffix}"
    hidden, published = folder.checkpoints / f".{name}.partial-{os.getpid()}", folder.checkpoints / name
    if given.is_dir():
        shutil.copytree(given, hidden, copy_function=shutil.copyfile)
        shutil.rmtree(published, ignore_errors=True)
    else:
        shutil.copyfile(given, hidden)
    hidden.replace(published)
    return {"_checkpoint": name, **({"step": step} if step is not None else {})}


def _is_cleared_away(path: Path) -> bool:
    deadline = time.monotonic() + _CLEARING_S
    while path.exists() and time.monotonic() < deadline:
        time.sleep(_LOOK_S)
    return not path.exists()


def _finish(folder: ScriptFolder, exit_code: int | None, wait_s: float) -> int:
    """Say it, and wait until it is stored: the script's end may take with it whoever stores it."""
    hidden = folder.path / f".{FINISH}-{os.getpid()}"
    hidden.write_text(str(exit_code or 0))
    hidden.replace(folder.path / FINISH)
    deadline = time.monotonic() + wait_s
    while folder.is_held():
        if time.monotonic() > deadline:
            print(f"labq: run {folder.run}: not everything is stored yet; labq goes on trying", file=sys.stderr)
            return ExitCode.UNAVAILABLE
        time.sleep(_LOOK_S)
    if not _is_cleared_away(folder.path):
        print(f"labq: run {folder.run}: not stored, for MongoDB is away; later: labq send --unsent", file=sys.stderr)
        return ExitCode.UNAVAILABLE
    return ExitCode.OK
