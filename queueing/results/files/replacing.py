"""A file that is there as a whole or not at all."""

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from store.errors import UserError

_FULL = frozenset({errno.ENOSPC, errno.EIO, errno.EDQUOT})


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A new file beside `target`, which takes its place when all of it is on the disk. Raises UserError.

    Whoever is killed in between leaves the old file as it was, and a hidden `.NAME.….partial` beside it.
    """
    try:
        place = target.expanduser().resolve()
        if place.exists() and not place.is_file():
            raise UserError(f"{target}: is {'a folder' if place.is_dir() else 'no regular file'}")
        partial = place.with_name(f".{place.name[:200]}.{secrets.token_hex(4)}.partial")
        mode = place.stat().st_mode & 0o777 if place.exists() else None
        _create(partial)
    except (OSError, RuntimeError, ValueError) as error:
        raise _cannot(target, error) from error
    try:
        yield partial
        if mode is not None:
            partial.chmod(mode)
        _to_disk(partial)
        partial.replace(place)
    except OSError as error:
        if error.errno in _FULL:
            raise
        raise _cannot(target, error) from error
    finally:
        partial.unlink(missing_ok=True)


def _create(path: Path) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666))


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _cannot(target: Path, error: Exception) -> UserError:
    if isinstance(error, FileNotFoundError):
        return UserError(f"{target}: there is no folder {target.parent}")
    return UserError(f"{target}: cannot be written: {getattr(error, 'strerror', None) or error}")
