"""Why a child ended: from how it was stopped, its exit code, and its last words. Pure."""

import errno
import re
import signal
from collections.abc import Callable

from store.runs import Ending
from store.states import Reason

OUT_OF_MEMORY = re.compile(
    r"\bMemoryError\b|\bout of memory\b|Cannot allocate memory|std::bad_alloc|OutOfMemoryError|RESOURCE_EXHAUSTED",
    re.IGNORECASE,
)
DISK_FULL = re.compile(r"No space left on device|Disk quota exceeded|\[Errno 28\]|\[Errno 122\]")
LAST_LINES = 40
_TELLS_TO_STOP = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
TERMINATED = (*(-number for number in _TELLS_TO_STOP), *(128 + number for number in _TELLS_TO_STOP))
"""Exit codes of a command, and of a shell around it, that was told to stop and has no handler."""

_FULL_DISK = "the disk of the run directory is full; "
"""The child's own last words rarely say so: they did not fit."""

_BY_OTHERS = (-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP)
"""Ends that nobody dies of a full disk."""

MACHINE_TROUBLE = frozenset(
    {
        errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE,
        errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE,
    }
)  # fmt: skip
"""Why a child may fail to start here that would start elsewhere, or later: disk, memory, processes, open files."""


def classify(
    *,
    stopped_for: Reason | None,
    exit_code: int,
    said: str,
    tail: str,
    peak_memory_bytes: int | None,
    disk_is_full: Callable[[], bool] = lambda: False,
) -> Ending:
    """The ending. A stop that we asked for explains whatever exit code follows it."""
    signal_number = -exit_code if exit_code < 0 else None
    reason = stopped_for or _own_reason(exit_code, said, tail)
    speechless = reason in (Reason.ERROR, Reason.KILLED) and exit_code not in _BY_OTHERS and disk_is_full()
    reason = Reason.DISK_FULL if speechless else reason
    said_why = _FULL_DISK if speechless or stopped_for is Reason.DISK_FULL else ""
    return Ending(
        reason=reason,
        exit_code=exit_code if exit_code >= 0 else None,
        signal=signal_number,
        peak_memory_bytes=peak_memory_bytes,
        message="" if reason is None else said_why + _message(exit_code, signal_number, tail),
    )


def is_machine_trouble(error: Exception) -> bool:
    """Whether a child that could not be started might well be elsewhere, or later."""
    return isinstance(error, OSError) and error.errno in MACHINE_TROUBLE


def reason_of_trouble(error: OSError) -> Reason:
    """What the record says when a machine could not carry out an attempt."""
    return Reason.DISK_FULL if error.errno in (errno.ENOSPC, errno.EDQUOT) else Reason.REFUSED


def traceback_in(tail: str) -> str:
    """The last Python traceback in the output, or an empty text."""
    start = tail.rfind("Traceback (most recent call last):")
    if start < 0:
        return ""
    lines = tail[start:].splitlines()
    for number, line in enumerate(lines[1:], 1):
        if line and not line[0].isspace():
            return "\n".join(lines[: number + 1])
    return "\n".join(lines)


def _own_reason(exit_code: int, said: str, tail: str) -> Reason | None:
    if said == Reason.DIVERGED:
        return Reason.DIVERGED
    if exit_code == 0:
        return None
    last = "\n".join(tail.splitlines()[-LAST_LINES:])
    if DISK_FULL.search(last):
        return Reason.DISK_FULL
    if OUT_OF_MEMORY.search(last):
        return Reason.OUT_OF_MEMORY
    return Reason.KILLED if exit_code < 0 else Reason.ERROR


def _message(exit_code: int, signal_number: int | None, tail: str) -> str:
    trace = traceback_in(tail)
    if trace and signal_number is None:
        return trace.splitlines()[-1][:500]
    if signal_number is not None:
        return f"ended by signal {signal_number} ({_signal_name(signal_number)})"
    words = [line for line in tail.splitlines() if line.strip()]
    return f"exit code {exit_code}" + (f": {words[-1].strip()[:400]}" if words else "")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"
