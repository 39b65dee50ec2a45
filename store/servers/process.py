"""Detached server processes: started, recognised, stopped."""

import resource
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

STOP_S = 15.0
_POLL_S = 0.02


def start_detached(command: list[str], output: Path) -> subprocess.Popen[bytes]:
    """In a session of its own, so that a Ctrl-C in the shell does not reach it."""
    with open(output, "wb") as sink, _many_files():
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, start_new_session=True, cwd="/"
        )


@contextmanager
def _many_files() -> Iterator[None]:
    """A child may open as many files as this user ever may.

    A shell's 1024 are soon taken by MongoDB's tables and connections, and MongoDB ends itself when it gets no more.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def find(names: tuple[str, ...], is_ours: Callable[[list[str]], bool]) -> list[psutil.Process]:
    """Live processes of ours with such a name and command line. Pid files lie after a kill -9; this does not."""
    me = psutil.Process().uids().real
    found = []
    for process in psutil.process_iter():
        try:
            if process.name() not in names or process.uids().real != me:
                continue
            if process.status() != psutil.STATUS_ZOMBIE and is_ours(process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    return found


def stop(process: psutil.Process, patience_s: float = STOP_S) -> None:
    """SIGTERM, then SIGKILL for the one that does not listen."""
    try:
        process.terminate()
        if not _ends(process, patience_s):
            process.kill()
            _ends(process, patience_s)
    except psutil.NoSuchProcess:
        pass


def _ends(process: psutil.Process, patience_s: float) -> bool:
    """Within that time. A zombie has ended: in a container whose first process reaps nobody it stays one for ever."""
    deadline = time.monotonic() + patience_s
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True
