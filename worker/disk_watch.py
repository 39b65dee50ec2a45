"""The disk of the run directory, which is the spool: once it is full, nothing that the child reports is kept.

A full disk often takes the reason with it, for the child's last words do not fit any more. So we look ourselves.
"""

import errno
import os
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from worker.threads import start

LOOK_S = 1.0
LOOKS = 4
"""In a row: a script that tidies up and tries again is left alone."""

_NOTHING_BYTES = 1 << 16
_FULL = (errno.ENOSPC, errno.EDQUOT)


class DiskWatch:
    """Calls `full` once when the disk has been full for a few seconds. A thread: a disk may not answer."""

    def __init__(self, folder: Path, full: Callable[[], None], look_s: float = LOOK_S) -> None:
        self._folder, self._full, self._look_s = folder, full, look_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="disk", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        start(self._thread)

    def stop(self) -> None:
        """No further looks. Does not wait for one that hangs."""
        self._stop.set()

    def _work(self) -> None:
        seen = 0
        while not self._stop.wait(self._look_s):
            seen = seen + 1 if is_full(self._folder) else 0
            if seen == LOOKS:
                self._full()
                return


def is_full(folder: Path) -> bool:
    """Whether the file system has room for nothing more. Asking costs a few microseconds and writes nothing."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return False
    blocks = found.f_bfree if os.geteuid() == 0 else found.f_bavail
    no_files = found.f_files > 0 and found.f_ffree == 0
    return no_files or blocks * found.f_frsize < _NOTHING_BYTES


def cannot_grow(folder: Path) -> bool:
    """Whether a small file fits no more: quotas do not show in what the file system says of itself."""
    if is_full(folder):
        return True
    with suppress(FileNotFoundError):
        try:
            with tempfile.TemporaryFile(dir=folder) as file:
                file.write(bytes(_NOTHING_BYTES))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            return error.errno in _FULL
    return False
