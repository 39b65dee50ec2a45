"""Several workers on one machine: one process each, started again when one dies."""

import os
import select
import signal
import socket
import subprocess
import sys
import time

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

    def run(self) -> int:
        """Until SIGTERM or Ctrl-C, or until every worker has left of itself. Returns the exit code."""
        signal.set_wakeup_fd(self._wake_in.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._members = [self._start() for _ in range(self._count)]
        while self._members:
            select.select([self._wake_out], [], [], 1.0)
            self._wake_out.setblocking(False)
            self._drain()
            self._replace_dead()
        return 0

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self._command, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=dies_with_me(), env=os.environ
        )

    def _replace_dead(self) -> None:
        for member in [member for member in self._members if member.poll() is not None]:
            self._members.remove(member)
            if member.returncode == 0 or self._signals:
                continue
            warn("worker-died", pid=member.pid, status=member.returncode, restart_s=self._restart_s)
            time.sleep(self._restart_s)
            self._restart_s = min(self._restart_s * 2, _SLOWEST_RESTART_S)
            self._members.append(self._start())

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
