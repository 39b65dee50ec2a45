"""The supervisor's process: forked from the worker, so that it starts in a millisecond with everything imported.

The worker itself never touches MongoDB and has no threads: that is what makes the fork safe.
"""

import os
import signal
import sys
import traceback
from collections.abc import Callable
from enum import IntEnum

import psutil

from store.logbook import warn
from worker.linux import adopt_orphans, die_with_parent


class Outcome(IntEnum):
    """How a look ended: the exit code of the forked process."""

    NOTHING = 0
    RAN = 10
    STORE_AWAY = 11
    CRASHED = 12


class Horse:
    """A forked process that does one look."""

    def __init__(self, look: Callable[[], Outcome]) -> None:
        parent = os.getpid()
        sys.stdout.flush()
        sys.stderr.flush()
        # A signal between fork and the child's own handlers would run the worker's handlers in the child.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
        self.pid = os.fork()
        if self.pid == 0:
            os._exit(_inside(look, parent))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT})

    def terminate(self) -> None:
        """Once: checkpoint and requeue. Twice: now."""
        try:
            os.kill(self.pid, signal.SIGTERM)
        except ProcessLookupError:
            pass

    def wait(self) -> Outcome:
        """How it ended. What it left behind when it was killed is swept: its orphans have become ours."""
        _, status = os.waitpid(self.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        outcome = Outcome(code) if code in set(Outcome) else Outcome.CRASHED
        if outcome is Outcome.CRASHED:
            warn("supervisor-died", pid=self.pid, status=code)
            _sweep_orphans()
        return outcome


def _inside(look: Callable[[], Outcome], parent: int) -> int:
    try:
        die_with_parent(parent)
        adopt_orphans()
        os.setpgrp()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT})
        return look()
    except BaseException:  # noqa: BLE001 - nothing may escape into the worker's stack below this fork
        traceback.print_exc()
        return Outcome.CRASHED
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def _sweep_orphans() -> None:
    orphans = psutil.Process().children(recursive=True)
    for orphan in orphans:
        try:
            orphan.kill()
        except psutil.NoSuchProcess:
            pass
    psutil.wait_procs(orphans, timeout=5)
