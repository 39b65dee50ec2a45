"""Workers in the background of this machine: they outlive the terminal, and are found again by their environment."""

import os
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress

import psutil

from store.allocations import Phase
from store.errors import SubmissionRefused
from store.schedulers import Scheduler
from store.settings import PROTOCOL_VARIABLES
from worker.cluster.cluster import Job
from worker.cluster.place import Batch, Place, title
from worker.cluster.script import local_script

MOST = 64


class Local:
    """This machine as a cluster that has a place for everybody."""

    scheduler = Scheduler.LOCAL
    first_task = 0

    def name(self) -> str:
        """The machine."""
        return socket.gethostname()

    def most_at_once(self) -> int:
        """More would be a mistake."""
        return MOST

    def hosts(self, _place: Place, /) -> frozenset[str]:
        """Here."""
        return frozenset({socket.gethostname()})

    def check(self, _place: Place, /) -> None:
        """Whatever a machine lacks, its worker does not offer."""

    def script(self, place: Place, batch: Batch) -> str:
        """A shell script like those of the schedulers; `$1` is the number of the worker."""
        return local_script(place, batch)

    def submit(self, script: str, submission: str, count: int, env: Mapping[str, str]) -> list[str]:
        """Each in a session of its own: a terminal that closes takes nobody with it."""
        return [self._start(script, submission, task, env) for task in range(count)]

    def _start(self, script: str, submission: str, task: int, env: Mapping[str, str]) -> str:
        try:
            process = subprocess.Popen(
                ["/bin/bash", "-c", script, title(submission), str(task)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**_outer_environment(), **env, "LABQ_ALLOCATION": f"{submission}-{task}"},
                start_new_session=True,
                preexec_fn=_ignore_hangups,
            )
        except OSError as error:
            raise SubmissionRefused(f"no process can be started: {error}", full=True) from error
        return find_number(process.pid)

    def jobs(self) -> list[Job]:
        """Sessions that labq has begun, as long as their first process lives."""
        return [job for process in psutil.process_iter() if (job := _job(process)) is not None]

    def keep_from_coming_back(self, numbers: Sequence[str]) -> None:
        """Nobody starts them again."""

    def cancel(self, numbers: Sequence[str]) -> None:
        """SIGTERM: what they run checkpoints and goes back to the queue."""
        for number in numbers:
            with suppress(psutil.Error, ValueError):
                process = psutil.Process(int(number.partition("@")[0]))
                if _number(process) == number:
                    process.send_signal(signal.SIGTERM)


def _outer_environment() -> dict[str, str]:
    """Ours, as it is outside of a run."""
    return {name: value for name, value in os.environ.items() if name not in PROTOCOL_VARIABLES}


def _ignore_hangups() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def find_number(pid: int) -> str:
    """Of a process that was just started. It may be over already: its log says why."""
    try:
        return _number(psutil.Process(pid))
    except psutil.Error:
        return f"{pid}@0"


def _number(process: psutil.Process) -> str:
    """A process, also after its number has been given to another one."""
    return f"{process.pid}@{int(process.create_time())}"


def _job(process: psutil.Process) -> Job | None:
    """A process that leads its session and knows its allocation, unless it is the child of a run."""
    with suppress(psutil.Error, OSError):
        if process.uids().real != os.getuid() or os.getsid(process.pid) != process.pid:
            return None
        known = process.environ()
        submission, _, task = known.get("LABQ_ALLOCATION", "").rpartition("-")
        is_ours = submission and task.isdecimal() and "LABQ_RUN" not in known
        if is_ours and process.status() != psutil.STATUS_ZOMBIE:
            return Job(number=_number(process), title=title(submission), task=int(task), phase=Phase.RUNNING)
    return None
