"""`[resources] memory`, held: by the kernel where a cgroup of version 2 is ours to divide, else by looking.

The kernel's limit cannot be outrun. Looking takes half a second, a tenth of one near the limit: a run that allocates
gigabytes in between may use them for that long. Both end the whole tree, with the reason out-of-memory.
"""

import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from queueing.units import format_size
from store.logbook import warn
from store.runs import Run
from worker.machine import own_cgroup
from worker.tree import proportional_bytes, resident_bytes

_PREFIX = "labq-"
_EMPTY_S = 2.0
_COST, _LONGEST_PAUSE_S = 100, 5.0
LOOK_S = 0.5
CLOSE_LOOK_S = 0.1
CLOSE = 0.7
"""From this share of the limit on we look more often, but at a hundredth of a core's cost: shared pages are dear."""


class MemoryLimit(Protocol):
    """What the supervisor asks while a child runs, and after its end."""

    def enter(self) -> None:
        """In the child, between fork and exec: come under the limit."""

    def around(self, _pid: int, /) -> "MemoryLimit":
        """The limit that the started child is really under."""

    def look_in_s(self) -> float:
        """When the supervisor should look next, from now."""

    def exceeded(self) -> str:
        """In words, once the run has used more than it may; else an empty text."""

    def close(self) -> None:
        """The run has ended: nothing of the limit stays behind."""


class NoLimit:
    """A run that declares no memory may use all of it."""

    def enter(self) -> None:
        """Nothing to enter."""

    def around(self, _pid: int, /) -> MemoryLimit:
        """None."""
        return self

    def look_in_s(self) -> float:
        """Never."""
        return float("inf")

    def exceeded(self) -> str:
        """Never."""
        return ""

    def close(self) -> None:
        """Nothing to remove."""


class Polled:
    """Adds up the resident memory of our descendants; shared pages are told apart only when that is too much."""

    def __init__(
        self,
        limit_bytes: int,
        resident: Callable[[], int] = lambda: resident_bytes(os.getpid()),
        exact: Callable[[], int] = lambda: proportional_bytes(os.getpid()),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit_bytes, self._resident, self._exact, self._clock = limit_bytes, resident, exact, clock
        self._next_at = clock()
        self._said = ""

    def enter(self) -> None:
        """Nothing to enter: we look from outside."""

    def around(self, _pid: int, /) -> MemoryLimit:
        """This one: it needs no help of the kernel."""
        return self

    def look_in_s(self) -> float:
        """Until the next look is due."""
        return max(0.0, self._next_at - self._clock())

    def exceeded(self) -> str:
        """Looks only when a look is due."""
        if self._said or self._clock() < self._next_at:
            return self._said
        began = self._clock()
        used = self._resident()
        if used > self._limit_bytes:
            used = self._exact()
        ended = self._clock()
        pause_s = CLOSE_LOOK_S if used > CLOSE * self._limit_bytes else LOOK_S
        self._next_at = ended + max(pause_s, min(_COST * (ended - began), _LONGEST_PAUSE_S))
        if used > self._limit_bytes:
            self._said = f"{format_size(used)} were used, [resources] memory is {format_size(self._limit_bytes)}"
        return self._said

    def close(self) -> None:
        """Nothing to remove."""


class Cgroup:
    """A cgroup of version 2 around the run. Its whole tree is ended when it reaches the limit, as if it were one."""

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        """Raises OSError where the kernel does not let us."""
        self._folder, self._limit_bytes = folder, limit_bytes
        folder.mkdir()
        try:
            (folder / "memory.max").write_text(str(limit_bytes))
            (folder / "memory.oom.group").write_text("1")
            with suppress(OSError):  # a kernel without swap accounting
                (folder / "memory.swap.max").write_text("0")
            self._entrance = os.open(folder / "cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)
        except OSError:
            _remove(folder, time.monotonic())
            raise

    def enter(self) -> None:
        """The calling process, and all that it will start. Whether the kernel let it in, `around` finds out."""
        with suppress(OSError):
            os.write(self._entrance, b"0")

    def around(self, pid: int, /) -> MemoryLimit:
        """This one, unless the kernel refuses: then we look ourselves."""
        try:
            os.write(self._entrance, str(pid).encode())
        except ProcessLookupError:
            return self  # it has ended already
        except OSError as error:
            warn("no-cgroup", pid=pid, error=error)
            self.close()
            return Polled(self._limit_bytes)
        return self

    def look_in_s(self) -> float:
        """Never: the kernel ends the child, and that wakes us."""
        return float("inf")

    def exceeded(self) -> str:
        """Whether the kernel has ended anything for it."""
        with suppress(OSError, ValueError):
            events = dict(line.split() for line in (self._folder / "memory.events").read_text().splitlines())
            if int(events.get("oom_kill", 0)) + int(events.get("oom_group_kill", 0)) > 0:
                return f"[resources] memory is {format_size(self._limit_bytes)}: ended by the kernel"
        return ""

    def close(self) -> None:
        """A cgroup can be removed once its last process has been waited for."""
        os.close(self._entrance)
        with suppress(OSError):
            (self._folder / "cgroup.kill").write_text("1")
        _remove(self._folder, time.monotonic() + _EMPTY_S)


def memory_limit(run: Run) -> MemoryLimit:
    """The best that this machine can do for the run."""
    limit_bytes = run.resources.memory_bytes
    if limit_bytes is None:
        return NoLimit()
    site = site_for_runs()
    if site is not None:
        try:
            return Cgroup(site / f"{_PREFIX}{run.id}-{run.attempt}-{os.getpid()}", limit_bytes)
        except OSError as error:
            warn("no-cgroup", run=run.id, attempt=run.attempt, error=error)
    return Polled(limit_bytes)


def site_for_runs(own: Path | None = None) -> Path | None:
    """Where cgroups for runs can be made: our own, or the one above it (systemd: Delegate=yes, DelegateSubgroup=…).

    A cgroup that holds processes cannot divide its memory among children, so ours rarely can; the one above may.
    """
    own = own or own_cgroup()
    for folder in [own, own.parent] if own is not None else []:
        if os.access(folder, os.W_OK) and "memory" in _words(folder / "cgroup.subtree_control"):
            return folder
    return None


def sweep_cgroups() -> None:
    """Remove those of runs whose supervisor was killed."""
    site = site_for_runs()
    for folder in site.glob(f"{_PREFIX}*") if site is not None else []:
        owner = re.fullmatch(rf"{_PREFIX}.+-(\d+)", folder.name)
        if owner is not None and not Path(f"/proc/{owner[1]}").exists():
            _remove(folder, time.monotonic())


def _remove(folder: Path, deadline: float) -> None:
    while True:
        try:
            folder.rmdir()
            return
        except FileNotFoundError:
            return
        except OSError:
            if time.monotonic() >= deadline:
                return
            time.sleep(0.02)


def _words(file: Path) -> list[str]:
    try:
        return file.read_text().split()
    except OSError:
        return []
