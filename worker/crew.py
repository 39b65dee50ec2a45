"""Several workers on one machine: one process each, started again when one dies."""

import os
import select
import signal
import socket
import subprocess
import sys

from store.errors import ExitCode
from store.logbook import say, warn
from worker.linux import dies_with_me

_SLOWEST_RESTART_S = 30.0


class Crew:
    """Starts `count` workers in sessions of their own, so that a Ctrl-C reaches them once, through us."""

    def __init__(self, count: int, arguments: list[str]) -> None:
        self._command = [sys.executable, "-P", "-m", "queueing.cli.main", "worker", *arguments]
        self._count = count
        self._members: list[subprocess.Popen[bytes]] = []
        self._signals = 0
        self._restart_s = 0.5
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        self._exit_code = 0

    def run(self) -> int:
        """Until SIGTERM or Ctrl-C, or until every worker has left of itself. Returns the exit code."""
        signal.set_wakeup_fd(self._wake_in.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
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
        if self._signals:
            return
        member = subprocess.Popen(
            self._command, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=dies_with_me(), env=os.environ
        )
        self._members.append(member)
        self._pass_on(member)

    def _pass_on(self, member: subprocess.Popen[bytes]) -> None:
        if self._signals:
            member.send_signal(signal.SIGTERM)

    def _replace_dead(self) -> None:
        for member in [member for member in self._members if member.poll() is not None]:
            self._members.remove(member)
            if member.returncode in (ExitCode.OK, ExitCode.USER_ERROR) or self._signals:
                self._exit_code = max(self._exit_code, member.returncode if not self._signals else 0)
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
        self._signals += 1
        say("stopping", workers=len(self._members), signal=number)
        for member in self._members:
            member.send_signal(signal.SIGTERM)

    def _drain(self) -> None:
        try:
            while self._wake_out.recv(64):
                pass
        except BlockingIOError:
            pass
