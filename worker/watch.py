"""Watching a child until it has ended: of itself, or because somebody, a limit or a lost lease wants it to."""

import time

from store.logbook import say, warn
from store.runs import Run
from store.states import Reason
from worker.child import Child
from worker.classify import TERMINATED
from worker.keeper import Call, Keeper
from worker.leaving import Leaving
from worker.linux import wait_readable
from worker.memory_limit import MemoryLimit
from worker.pacing import Pacing
from worker.stopping import Requests

_REASONS = {Call.CANCEL: Reason.STOPPED, Call.LEAVE: Reason.DRAINED, Call.DISK_FULL: Reason.DISK_FULL}

_ECHO_S = 1.0
"""What stops a whole machine may tell the child a moment before us."""


class Watch:
    """Why the attempt has to stop, as far as anybody has said so: signals, the threads beside it, limits.

    `interfered`: the child did not end of itself. `memory_said`: which limit of memory it exceeded. `time_is_over`: of
    the worker.
    """

    def __init__(self, run: Run, requests: Requests, limit: MemoryLimit, leaving: Leaving, pacing: Pacing) -> None:
        self._run, self._requests = run, requests
        self._leaving, self._pacing = leaving, pacing
        self.time_is_over = False
        self.limit = limit
        self.stop_for: Reason | None = None
        self.superseded = False
        self.interfered = False
        self.memory_said = ""

    def on_request(self) -> None:
        """By a signal."""
        self.stop_for = self.stop_for or Reason.DRAINED

    def on_call(self, call: Call) -> None:
        """From the threads."""
        if call is Call.SUPERSEDED:
            self.superseded = True
        elif self.stop_for is None:
            self.stop_for = _REASONS[call]
        self._requests.wake()

    def until_ended(self, child: Child, keeper: Keeper, started_at: float) -> int:
        """The child's exit code. Its end is noticed at once. `started_at`: on the monotonic clock, for its time."""
        kill_at: float | None = None
        was_killed = False
        while (exit_code := child.poll()) is None:
            now = time.monotonic()
            self._check_clocks(now, keeper, started_at)
            self._check_memory()
            if kill_at is not None:
                kill_at = min(kill_at, now + self._leaving.gone_in_s())
            if self._is_over() or (kill_at is not None and now >= kill_at):
                self.interfered = was_killed = True
                child.kill()
                continue
            if self.stop_for is not None and kill_at is None:
                say("stopping", run=self._run.id, attempt=self._run.attempt, reason=self.stop_for)
                self.interfered = True
                child.terminate()
                self._leaving.asked(keeper.terms.grace_s)
                kill_at = now + min(keeper.terms.grace_s, self._leaving.gone_in_s())
            wait_readable(child.pid, self._requests.descriptor, self._patience_s(now, keeper, started_at, kill_at))
            self._requests.forget_wakes()
        if not was_killed:
            self._pacing.left()
        if exit_code != 0:
            self._check_memory()  # the kernel ends a run before it wakes us
        if exit_code in TERMINATED and self.stop_for is None:
            self._requests.listen_for(_ECHO_S)
        # Asked to leave a moment before: what stops a whole machine told the child without us.
        self.interfered = self.interfered or self.stop_for is not None
        return exit_code

    def _is_over(self) -> bool:
        return self.superseded or self._requests.hurry or bool(self.memory_said)

    def _check_clocks(self, now: float, keeper: Keeper, started_at: float) -> None:
        limit_s = self._run.resources.time_s
        if self.stop_for is not None:
            return
        if limit_s is not None and now >= started_at + limit_s:
            self.stop_for = Reason.TIME_LIMIT
        elif now >= keeper.stop_at:
            warn("fenced", run=self._run.id, attempt=self._run.attempt, alone_s=keeper.terms.alone_s)
            self.stop_for = Reason.DRAINED
        elif self._leaving.ask_in_s() <= 0:
            say("time-over", run=self._run.id, attempt=self._run.attempt, allocation=self._leaving.allocation)
            self.stop_for, self.time_is_over = Reason.DRAINED, True

    def _check_memory(self) -> None:
        """At once and without a grace: a run that goes on allocating takes the machine with it."""
        self.memory_said = self.memory_said or self.limit.exceeded()
        if self.memory_said and self.stop_for is None:
            say("stopping", run=self._run.id, attempt=self._run.attempt, reason=Reason.OUT_OF_MEMORY)
            self.stop_for = Reason.OUT_OF_MEMORY

    def _patience_s(self, now: float, keeper: Keeper, started_at: float, kill_at: float | None) -> float:
        look_s = self.limit.look_in_s()
        if kill_at is not None:
            return max(0.0, min(kill_at - now, look_s, self._leaving.gone_in_s()))
        limit_s = self._run.resources.time_s
        deadlines = [keeper.stop_at] + ([started_at + limit_s] if limit_s is not None else [])
        return max(0.0, min(min(deadlines) - now, look_s, self._leaving.look_in_s()))
