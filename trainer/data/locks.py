"""One process at a time prepares what has a key. The kernel frees the lock of a process that dies."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def locked(folder: Path, key: str) -> Iterator[None]:
    """Waits for the lock. Where there are no locks it goes on without: the work is then done twice."""
    descriptor = _opened(folder, key)
    try:
        if descriptor is not None:
            _take(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def free_of(folder: Path, key: str) -> bool:
    """Whether nobody holds the lock; False when that cannot be known."""
    descriptor = _opened(folder, key)
    if descriptor is None:
        return False
    try:
        return _take(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(descriptor)


def _opened(folder: Path, key: str) -> int | None:
    """Keys share 256 lock files, which are never removed: a removed one would be two locks."""
    try:
        return os.open(folder / f".lock-{key[:2]}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError:
        return None


def _take(descriptor: int, operation: int) -> bool:
    try:
        fcntl.flock(descriptor, operation)
    except OSError:
        return False
    return True
