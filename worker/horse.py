"""The supervisor's process: forked from the worker, so that it starts in a millisecond with everything imported.

The worker itself never touches MongoDB and has no threads: that is what makes the fork safe.
"""

import os
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from enum import IntEnum

import psutil

from store.logbook import warn
from worker.linux import adopt_orphans, die_with_parent
from worker.stopping import HEARD_BELOW


class Outcome(IntEnum):
    """How a look ended: the exit code of the forked process."""

    NOTHING = 0
    RAN = 10
    STORE_AWAY = 11
    CRASHED = 12
    TROUBLE = 13
    HOPELESS = 14
    REFUSED = 15
    DRAINED = 16
    STUDY = 17
    RAN_DRY = 18
    """Some runs, then there was nothing to do."""
    TIME_OVER = 19
    NOT_NEEDED = 20
    """The one run that this worker is for needs it no more."""


class Horse:
    """A forked process that does one look. Make it while stop signals are held: the child would run our handlers."""

    def __init__(self, look: Callable[[], Outcome]) -> None:
        parent = os.getpid()
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            os._exit(_inside(look, parent))

    def stop(self, number: int) -> None:
        """Checkpoint and requeue; with HURRY: at once."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

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
        for number in HEARD_BELOW:
            signal.signal(number, signal.SIG_DFL)
        return look()  # stop signals stay held until somebody is there to hear them
    except BaseException:  # noqa: BLE001 - nothing may escape into the worker's stack below this fork
        traceback.print_exc()
        return Outcome.CRASHED
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def _sweep_orphans() -> None:
    orphans = psutil.Process().children(recursive=True)
    for orphan in orphans:
        with suppress(psutil.Error):
            orphan.kill()
    psutil.wait_procs(orphans, timeout=5)
