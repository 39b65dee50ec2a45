"""Before an attempt begins: has this machine what the run needs? What it lacks sends the run to others, unharmed."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from queueing.placeholders import FILES, fill, names_in
from queueing.refusal import Objection
from queueing.units import format_size
from store.runs import Run
from store.samples import Peaks
from worker.machine import free_disk_bytes, free_memory_bytes, total_memory_bytes
from worker.rundir import promises

CHECKPOINTS_AT_ONCE = 3
"""On the disk of a run: the one it resumes from, the newest one, and the one being written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What must be free before the run begins. `memory_bytes` None: unknown."""

    disk_bytes: int
    memory_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What there is. `unpromised_bytes`: the memory that no other run on this machine may come to use."""

    disk_bytes: int
    memory_bytes: int = 0
    unpromised_bytes: int = 0


def needs(run: Run, siblings: Peaks, disk_floor_bytes: int, *, alone: bool) -> Needs:
    """From what the run declares and what its siblings were seen to use.

    A measured need of memory counts only beside other runs: measured too high, it must not keep a run from an idle
    machine.
    """
    checkpoints = CHECKPOINTS_AT_ONCE * siblings.checkpoint_bytes
    measured = None if alone else siblings.memory_bytes or None
    return Needs(
        disk_bytes=max(run.resources.disk_bytes or 0, checkpoints, disk_floor_bytes),
        memory_bytes=run.resources.memory_bytes or measured,
    )


def shortage(needed: Needs, found: Found) -> Objection | None:
    """What there is not enough of, or None."""
    if found.disk_bytes < needed.disk_bytes:
        return Objection(message=_short("disk in the run directory", needed.disk_bytes, found.disk_bytes))
    if needed.memory_bytes is None:
        return None
    if found.memory_bytes < needed.memory_bytes:
        return Objection(message=_short("memory", needed.memory_bytes, found.memory_bytes))
    if found.unpromised_bytes < needed.memory_bytes:
        return Objection(
            message=_short("memory", needed.memory_bytes, found.unpromised_bytes, " of other runs' limits")
        )
    return None


def examine(runs_dir: Path, *, memory: bool = True) -> Found:
    """Look at this machine. Raises OSError when its disk does not answer.

    Without `memory`, which takes the kernel a millisecond to add up, none is found.
    """
    if not memory:
        return Found(disk_bytes=free_disk_bytes(runs_dir))
    return Found(
        disk_bytes=free_disk_bytes(runs_dir),
        memory_bytes=free_memory_bytes(),
        unpromised_bytes=total_memory_bytes() - sum(promises(runs_dir)),
    )


def missing(run: Run, environ: Mapping[str, str]) -> Objection | None:
    """The working folder or the programme, where this machine does not have it: no waiting brings it."""
    problem = _missing(run, environ)
    return Objection(message=problem, lasting=True) if problem else None


def _missing(run: Run, environ: Mapping[str, str]) -> str:
    workdir = Path(run.task.workdir)
    if not workdir.is_dir():
        return f"there is no folder {workdir}"
    if not os.access(workdir, os.X_OK):
        return f"the folder {workdir} may not be entered"
    if run.task.trainer is not None or not run.task.command:
        return ""
    programme = _programme(run)
    path = run.task.env.get("PATH", environ.get("PATH", os.defpath))
    if programme and shutil.which(workdir / programme if "/" in programme else programme, path=path) is None:
        return f"there is no programme {programme!r}"
    return ""


def _programme(run: Run) -> str:
    """A command that cannot be filled in is no matter of the machine: it fails when it is started."""
    try:
        first = run.task.command[0]
        if run.task.files and any(name in FILES for name in names_in(first)):
            return ""  # a template, which is not there yet
        return fill([first], run.params, run.repeat)[0]
    except (ValueError, KeyError):
        return ""


def _short(what: str, needed_bytes: int, found_bytes: int, whereof: str = "") -> str:
    return f"{format_size(needed_bytes)} of {what} are needed, {format_size(max(0, found_bytes))} are free{whereof}"
