"""Daemons of a cluster for tests: children that die with the tests, on ports that nobody has."""

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil
from lab import PATIENCE

_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG
DAEMONS = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
"""Where daemons lie: an ordinary user's PATH leaves their folders out."""


class ClusterMissing(Exception):
    """The cluster cannot be had on this machine; the text says why."""


def need(programmes: Sequence[str], packages: str) -> None:
    """Raises ClusterMissing when one of them is not installed."""
    if missing := [name for name in programmes if shutil.which(name, path=DAEMONS) is None]:
        raise ClusterMissing(f"not installed: {', '.join(missing)} (Debian: {packages})")


def free_ports(count: int) -> list[int]:
    """All different: each is held until the last is found."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


def daemon(command: Sequence[str], log: Path, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """A child that a killed pytest takes with it."""
    programme = shutil.which(command[0], path=DAEMONS)
    assert programme is not None, command
    with log.open("ab") as stream:
        return subprocess.Popen(
            [programme, *command[1:]],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            env=dict(env),
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )


def _die_with_parent() -> None:
    ctypes.CDLL(None, use_errno=True).prctl(_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)


def end(process: subprocess.Popen[bytes], patience_s: float = 10.0) -> None:
    """SIGTERM, then SIGKILL; gone in any case."""
    if process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(patience_s)
        process.kill()
    process.wait()


def end_those_with(variable: str, value: str) -> None:
    """Processes that have this in their environment: jobs and job-steps that outlived their cluster."""
    found = list(_with_variable(variable, value))
    for process in found:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(found, timeout=5)


def _with_variable(variable: str, value: str) -> Iterable[psutil.Process]:
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.environ().get(variable) == value:
                yield process


def until(condition: Callable[[], object], timeout_s: float, what: Callable[[], str] | str) -> None:
    """Wait for it; AssertionError says what did not happen."""
    timeout_s *= PATIENCE
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not in {timeout_s:g} s: {what if isinstance(what, str) else what()}")
        time.sleep(0.05)
