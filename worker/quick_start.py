"""Starting a command without a copy of this process.

What has to happen between fork and exec is Python, and Python needs a fork: the kernel copies the page tables of the
whole supervisor, 4 ms and more, longer than the start of an interpreter. util-linux' setpriv asks the kernel for the
same death signal and then becomes the command. But it cannot tell us why a command does not start. So it starts only
what this process has started the long way before, and nothing that wants more than to die with us.

A supervisor that is killed before setpriv has asked leaves its child to the worker's sweep, like any grandchild. An
exclusive run must not be left to that.
"""

import functools
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from worker.launch import Launch

_TRY_S = 5.0
_Programme = tuple[str, str, int, int, int]


@functools.cache
def starter() -> tuple[str, ...]:
    """The beginning of a command line that dies with us; empty where there is no such programme."""
    setpriv = shutil.which("setpriv")
    if setpriv is None or not Path("/proc/self").exists():
        return ()
    command = (setpriv, "--pdeathsig", "KILL", "--")
    try:
        done = subprocess.run([*command, "true"], capture_output=True, timeout=_TRY_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return command if done.returncode == 0 else ()


class Proven:
    """The programmes that this process has started."""

    def __init__(self, find_starter: Callable[[], tuple[str, ...]] = starter) -> None:
        self._find_starter = find_starter
        self._programmes: set[_Programme] = set()

    def add(self, launch: Launch) -> None:
        """It has just been started."""
        if (programme := _programme(launch)) is not None:
            self._programmes.add(programme)

    def starter(self, launch: Launch) -> tuple[str, ...]:
        """What to put before the command so that it needs no fork; nothing when it does."""
        known = launch.is_plain and _programme(launch) in self._programmes
        return self._find_starter() if known else ()


def _programme(launch: Launch) -> _Programme | None:
    """The file that is executed. None: there is none, or not for us."""
    name = launch.command[0]
    path = launch.workdir / name if "/" in name else shutil.which(name, path=launch.env.get("PATH"))
    try:
        found = Path(path).stat() if path else None
    except OSError:
        return None
    return (name, str(path), found.st_ino, found.st_mtime_ns, found.st_size) if found else None
