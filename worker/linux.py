"""What only the kernel can promise: children that die with their parent, orphans that come to us, exits that wake us.

On systems without prctl and pidfd the promises are weaker: polling notices a dead child, the sweep kills what it finds.
"""

import ctypes
import os
import select
import signal
import sys
from collections.abc import Callable
from contextlib import suppress

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NAME = 15
_POLL_S = 0.05

# Looked up now: between fork and exec another thread may have held the loader's lock.
_PRCTL = ctypes.CDLL(None, use_errno=True).prctl if sys.platform == "linux" else None


def die_with_parent(parent: int) -> None:
    """Ask for SIGKILL when the parent dies; a parent that died before we could ask counts too.

    The signal is bound to the parent's *thread*, so processes are started from main threads only.
    """
    if _PRCTL is not None:
        _PRCTL(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)


def call_me(name: str) -> None:
    """What `ps` and `top` show of this process: 15 bytes at most."""
    if _PRCTL is not None:
        _PRCTL(_PR_SET_NAME, ctypes.create_string_buffer(name.encode()[:15]), 0, 0, 0)


def dies_with_me() -> Callable[[], None]:
    """A preexec function for a child of the calling process."""
    parent = os.getpid()
    return lambda: die_with_parent(parent)


def adopt_orphans() -> None:
    """Descendants whose parent dies become our children instead of init's, so that the sweep can find them."""
    if _PRCTL is not None:
        _PRCTL(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def wait_readable(pid: int, wake: int, timeout_s: float | None) -> None:
    """Return when the process has ended, when `wake` is readable, or after the timeout, whichever is first."""
    descriptor = _pidfd(pid)
    try:
        if descriptor is None:
            patience_s = _POLL_S if timeout_s is None else min(timeout_s, _POLL_S)
            select.select([wake], [], [], patience_s)
        else:
            select.select([descriptor, wake], [], [], timeout_s)
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _pidfd(pid: int) -> int | None:
    if not hasattr(os, "pidfd_open"):
        return None
    with suppress(OSError):
        return os.pidfd_open(pid)
    return None
