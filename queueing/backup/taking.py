"""A backup is made: beside its place, under a lease, and put into place when all of it is on the disk."""

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from glob import escape
from importlib.metadata import version
from pathlib import Path

from queueing.results.files.replacing import replacing
from queueing.units import format_size
from store.archive import SUFFIX, Head, Tail
from store.connect import connect_as_it_is
from store.errors import LabqError, StoreUnavailable, UserError
from store.mongo.backup import HOLD_S, Holding, Progress, dump, look_at, whoami
from store.settings import Settings

_RENEW_S = HOLD_S / 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A backup that was made. `removed`: older ones beside it."""

    file: Path
    size_bytes: int
    head: Head
    tail: Tail
    removed: tuple[Path, ...] = ()


def take(settings: Settings, target: Path, keep: int | None, progress: Progress) -> Taken:
    """Into a file, or into a folder under a name of its own. Raises UserError, BackupRunning, StoreUnavailable."""
    store = connect_as_it_is(settings)
    try:
        head = look_at(store, version("labq"))
        file = _file(target, head, keep)
        _check_space(file, head)
        holding, owner = Holding(store.client, store.database, settings.mongo_timeout_s), whoami()
        with holding.held(owner), _written(file) as partial, open(partial, "wb") as sink:
            fcntl.flock(sink, fcntl.LOCK_EX | fcntl.LOCK_NB)
            tail = dump(store, head, sink, _Renewing(holding, owner, progress))
    finally:
        store.close()
    removed = _older(file, head, keep) if keep else ()
    return Taken(file=file, size_bytes=file.stat().st_size, head=head, tail=tail, removed=removed)


class _Renewing:
    """Renews the lease now and then, and ends the backup when it was not held all the time."""

    def __init__(self, holding: Holding, owner: str, then: Progress) -> None:
        self._holding, self._owner, self._then = holding, owner, then
        self._renewed_at, self._held_s = time.monotonic(), 0.0

    def __call__(self, collection: str, documents: int, size_bytes: int) -> None:
        if time.monotonic() - self._renewed_at > _RENEW_S:
            held_s = self._holding.hold(self._owner)
            if held_s is None or held_s < self._held_s:
                raise StoreUnavailable(f"no word got to MongoDB for {HOLD_S:.0f} s: files may be gone; begin again")
            self._renewed_at, self._held_s = time.monotonic(), held_s
        self._then(collection, documents, size_bytes)


def _file(target: Path, head: Head, keep: int | None) -> Path:
    if target.is_dir():
        moment = datetime.fromisoformat(head.taken_at)
        return target / f"{_stem(head)}{moment:%Y%m%dT%H%M%SZ}{SUFFIX}"
    if keep:
        raise UserError(f"--keep: {target} is no folder")
    if not target.parent.is_dir():
        raise UserError(f"{target}: there is no folder {target.parent}")
    return target


def _stem(head: Head) -> str:
    return f"labq-{head.database}-"


def _check_space(file: Path, head: Head) -> None:
    """What MongoDB has compressed does not get much smaller."""
    free = shutil.disk_usage(file.parent).free
    if free < head.storage_bytes:
        raise UserError(
            f"{file.parent}: {format_size(free)} are free, the database takes {format_size(head.storage_bytes)}"
        )


@contextmanager
def _written(file: Path) -> Iterator[Path]:
    _clear(file)
    with replacing(file) as partial:
        partial.chmod(0o600)  # commands, paths and addresses of everybody are in it
        try:
            yield partial
        except OSError as error:
            raise LabqError(f"{file}: cannot be written: {error.strerror}; nothing is left of it") from error
    _sync_folder(file.parent)


def _clear(file: Path) -> None:
    """What killed processes have left of this file."""
    for partial in file.parent.glob(f".{escape(file.name[:200])}.*.partial"):
        with open(partial, "rb") as left:
            try:
                fcntl.flock(left, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue
            partial.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _older(file: Path, head: Head, keep: int) -> tuple[Path, ...]:
    """Of the same database in the same folder: all but the newest, by their names."""
    stem = f"{_stem(head)}[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]T[0-9][0-9][0-9][0-9][0-9][0-9]Z{SUFFIX}"
    gone = tuple(sorted(file.parent.glob(stem)))[:-keep]
    for one in gone:
        one.unlink(missing_ok=True)
    return gone
