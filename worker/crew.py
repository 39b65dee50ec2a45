"""Several workers on one machine: one process each, started again when one dies."""

import os
import select
import signal
import socket
import subprocess
import sys
import time

from store.errors import ExitCode
from store.logbook import say, warn
from worker.cluster.here import granted_here
from worker.linux import dies_with_me
from worker.stopping import HURRY, NOTICES, STOP_SIGNALS, held, means_hurry

_SLOWEST_RESTART_S = 30.0


class Crew:
    """Starts `count` workers in sessions of their own, so that a Ctrl-C reaches them once, through us."""

    def __init__(self, count: int, arguments: list[str]) -> None:
        self._command = [sys.executable, "-P", "-m", "queueing.cli.main", "worker", *arguments]
        self._count = count
        self._members: list[subprocess.Popen[bytes]] = []
        self._told_at: float | None = None
        self._restart_s = 0.5
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        self._exit_code = 0
        self._in_a_job = granted_here(os.environ) is not None

    def run(self) -> int:
        """Until SIGTERM or Ctrl-C, or until every worker has left of itself. Returns the exit code."""
        signal.set_wakeup_fd(self._wake_in.fileno(), warn_on_full_buffer=False)
        for number in STOP_SIGNALS:
            signal.signal(number, self._on_signal)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            signal.signal(signal.SIGHUP, self._on_signal)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for _ in range(self._count):
            self._start()
        while self._members:
            self._pause(1.0)
            self._replace_dead()
        return self._exit_code

    def _start(self) -> None:
        """Another member, unless we were told to stop; one that was started while the signal came hears of it too."""
        if self._stopping:
            return
        with held(NOTICES):  # by the member, too: a scheduler's warning waits until it listens, and does not end it
            member = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                preexec_fn=dies_with_me(),
                env=os.environ,
            )
            self._members.append(member)
        self._pass_on(member)

    def _pass_on(self, member: subprocess.Popen[bytes]) -> None:
        if self._stopping:
            member.send_signal(signal.SIGTERM)

    def _replace_dead(self) -> None:
        for member in [member for member in self._members if member.poll() is not None]:
            self._members.remove(member)
            if member.returncode in (ExitCode.OK, ExitCode.USER_ERROR) or self._stopping:
                self._exit_code = max(self._exit_code, member.returncode if not self._stopping else 0)
                continue
            warn("worker-died", pid=member.pid, status=member.returncode, restart_s=self._restart_s)
            self._pause(self._restart_s)
            self._restart_s = min(self._restart_s * 2, _SLOWEST_RESTART_S)
            self._start()

    def _pause(self, pause_s: float) -> None:
        """That long, or until a signal."""
        select.select([self._wake_out], [], [], pause_s)
        self._drain()

    def _on_signal(self, number: int, _frame: object) -> None:
        if number == signal.SIGUSR1:  # they know whether it means anything
            self._tell(number)
            return
        now = time.monotonic()
        since_s = None if self._told_at is None else now - self._told_at
        hurry = means_hurry(number, since_s, in_a_job=self._in_a_job)
        self._told_at = self._told_at or now
        say("stopping", workers=len(self._members), signal=number)
        self._tell(HURRY if hurry else number if number in (signal.SIGTERM, signal.SIGUSR2) else signal.SIGINT)

    def _tell(self, number: int) -> None:
        for member in self._members:
            member.send_signal(number)

    @property
    def _stopping(self) -> bool:
        return self._told_at is not None

    def _drain(self) -> None:
        try:
            while self._wake_out.recv(64):
                pass
        except BlockingIOError:
            pass
