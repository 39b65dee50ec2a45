"""Detached server processes: started, recognised, stopped."""

import subprocess
from pathlib import Path

import psutil

STOP_S = 15.0


def start_detached(command: list[str], output: Path) -> subprocess.Popen[bytes]:
    """In a session of its own, so that a Ctrl-C in the shell does not reach it."""
    with open(output, "wb") as sink:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, start_new_session=True, cwd="/"
        )


def find(marker: str, *names: str) -> psutil.Process | None:
    """The live process of ours whose command line holds `marker`. Pid files lie after a kill -9; this does not."""
    me = psutil.Process().uids().real
    for process in psutil.process_iter():
        try:
            if process.uids().real != me or process.status() == psutil.STATUS_ZOMBIE:
                continue
            if process.name() in names and any(marker in word for word in process.cmdline()):
                return process
        except psutil.Error:
            continue
    return None


def stop(process: psutil.Process, patience_s: float = STOP_S) -> None:
    """SIGTERM, then SIGKILL for the one that does not listen."""
    try:
        process.terminate()
        process.wait(patience_s)
    except psutil.TimeoutExpired:
        process.kill()
        process.wait(patience_s)
    except psutil.NoSuchProcess:
        pass
