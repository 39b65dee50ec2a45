"""The child process of an attempt: started in a session of its own, ended with everything it started."""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from queueing.placeholders import fill
from store.runs import Run
from worker.gpus import Gpu, cuda_variables
from worker.limits import be_nice, thread_variables
from worker.linux import dies_with_me
from worker.rundir import RunDir

TRAINER_MODULES = {"rnn": "trainer"}
HIDDEN_VARIABLES = frozenset({"LABQ_SMTP_PASSWORD"})
_REAP_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """What is executed, where, with which variables."""

    command: tuple[str, ...]
    workdir: Path
    env: dict[str, str]
    nice: int = 0


def plan(run: Run, folder: RunDir, base: Mapping[str, str], resume: Path | None, gpus: Sequence[Gpu] = ()) -> Launch:
    """The launch of a run on these GPUs. Variables of the experiment file go before those that hold it to its limits.

    Raises ValueError when a format does not fit its value.
    """
    if run.task.trainer is not None:
        command: Sequence[str] = [sys.executable, "-P", "-E", "-m", TRAINER_MODULES[run.task.trainer]]
    else:
        command = fill(run.task.command, run.params, run.repeat)
    inherited = {name: value for name, value in base.items() if name not in HIDDEN_VARIABLES}
    inherited.pop("LABQ_RESUME", None)
    protocol = {
        "LABQ_RUN": run.id,
        "LABQ_ATTEMPT": str(run.attempt),
        "LABQ_DIR": str(folder.path),
        "LABQ_PARAMS": str(folder.params),
        "LABQ_EVENTS": str(folder.events),
        "LABQ_CHECKPOINTS": str(folder.checkpoints),
    }
    if resume is not None and run.checkpoint is not None:
        protocol |= {"LABQ_RESUME": str(resume), "LABQ_RESUME_STEP": str(run.checkpoint.step)}
    limits = {**thread_variables(run.resources.cpus, run.task.env), **cuda_variables(gpus, base)}
    env = {**inherited, "PYTHONUNBUFFERED": "1", **limits, **run.task.env, **protocol}
    return Launch(command=tuple(command), workdir=Path(run.task.workdir), env=env, nice=run.resources.nice)


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
    """A running child. Start it from the main thread: its death signal is bound to the thread that forks it."""

    def __init__(self, launch: Launch, output: Path, enter: Callable[[], None] = lambda: None) -> None:
        """`enter` runs in the child before anything of the command does. Raises OSError, ValueError."""
        with open(output, "ab") as sink:
            self._process = subprocess.Popen(
                launch.command,
                cwd=launch.workdir,
                env=launch.env,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_prepare(launch.nice, enter),
            )

    @property
    def pid(self) -> int:
        """The child's process id, which is its session and its process group too."""
        return self._process.pid

    def poll(self) -> int | None:
        """The exit code, minus the signal, or None while it runs."""
        return self._process.poll()

    def terminate(self) -> None:
        """Ask the whole process group to leave: a shell does not pass SIGTERM on to what it started."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """End the whole tree, and wait for the child itself."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()  # before the sweep, which would reap it and lose its exit code
        sweep_descendants()


def sweep_descendants() -> int:
    """Kill every descendant of this process: double-forked ones too, which a subreaper gets as its own children."""
    killed = 0
    while found := psutil.Process().children(recursive=True):
        for process in found:
            with suppress(psutil.Error):
                process.kill()
        gone, _ = psutil.wait_procs(found, timeout=_REAP_S)
        killed += len(gone)
        if not gone:
            break
    return killed


def peak_memory_bytes() -> int:
    """The largest resident set of any descendant that was waited for."""
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
