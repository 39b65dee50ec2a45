"""The child process of an attempt: started in a session of its own, ended with everything it started."""

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from worker.launch import Launch
from worker.limits import be_nice
from worker.linux import dies_with_me
from worker.tree import descendants

Stream = int | IO[bytes] | None
Streams = tuple[Stream, Stream, Stream]
_REAP_S = 5.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.0005, 0.05


def _prepare(nice: int, enter: Callable[[], None]) -> Callable[[], None]:
    """Between fork and exec: it dies with us, and hears a Ctrl-C of its own like any programme; we ignore ours."""
    die_with_us = dies_with_me()

    def prepare() -> None:
        die_with_us()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        be_nice(nice)
        enter()

    return prepare


class Child:
    """A running child. Start it from the main thread: its death signal is bound to the thread that forks it.

    `said`: how it ended, where neither exit code nor output tell.
    """

    def __init__(
        self,
        launch: Launch,
        output: Path,
        enter: Callable[[], None] = lambda: None,
        starter: Sequence[str] = (),
        answer: Path | None = None,
    ) -> None:
        """`enter` runs in the child before anything of the command does; a `starter` takes its place.

        `answer`: where stdout goes when it is not to go with stderr into `output`. Raises OSError, ValueError.
        """
        self.peak_memory_bytes = 0
        self.said = ""
        with self._streams(output, answer) as (told, heard, complained):
            self._process = subprocess.Popen(
                [*starter, *launch.command],
                cwd=launch.workdir,
                env=launch.env,
                stdin=told,
                stdout=heard,
                stderr=complained,
                start_new_session=True,
                preexec_fn=None if starter else _prepare(launch.nice, enter),
            )

    @contextmanager
    def _streams(self, output: Path, answer: Path | None, /) -> Iterator[Streams]:
        """stdin, stdout and stderr of the command."""
        with open(output, "ab") as sink, open(answer or os.devnull, "wb") as told:
            yield subprocess.DEVNULL, told if answer else sink, sink

    @property
    def pid(self) -> int:
        """The child's process id, which is its session and its process group too."""
        return self._process.pid

    def poll(self) -> int | None:
        """The exit code, minus the signal, or None while it runs."""
        self._reap(os.WNOHANG)
        code: int | None = self._process.returncode
        return code

    def _reap(self, options: int) -> None:
        """As Popen does, but with what it used: the kernel tells only whoever reaps it."""
        if self._process.returncode is None:
            pid, status, usage = os.wait4(self.pid, options)
            if pid:
                self._process.returncode = os.waitstatus_to_exitcode(status)
                self.peak_memory_bytes = _peak_memory_bytes(usage)

    def ended(self) -> None:
        """It and all that it started are dead: what is left of its words goes to `output`."""

    def terminate(self) -> None:
        """Ask the whole process group to leave: a shell does not pass SIGTERM on to what it started."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """End the whole tree, and wait for the child itself."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._reap(0)  # before the sweep, which would lose its exit code
        sweep_descendants()


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """Whether nothing is left, and the largest resident set of any process that was waited for."""

    complete: bool
    peak_memory_bytes: int = 0


def sweep_descendants() -> Swept:
    """Kill every descendant of this process: double-forked ones too, which a subreaper gets as its own children.

    The kernel's list of children may miss some while others die; that we have none left to wait for cannot be wrong.
    """
    peak = 0
    pause_s, deadline = _FIRST_PAUSE_S, time.monotonic() + _REAP_S
    while True:
        try:
            pid, _, usage = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return Swept(complete=True, peak_memory_bytes=peak)
        if pid:
            peak = max(peak, _peak_memory_bytes(usage))
            pause_s, deadline = _FIRST_PAUSE_S, time.monotonic() + _REAP_S
            continue
        if time.monotonic() > deadline:
            return Swept(complete=False, peak_memory_bytes=peak)
        for descendant in descendants(os.getpid()):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(descendant, signal.SIGKILL)
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


def _peak_memory_bytes(usage: resource.struct_rusage) -> int:
    """Of a process and of those that it waited for."""
    return usage.ru_maxrss if sys.platform == "darwin" else usage.ru_maxrss * 1024
