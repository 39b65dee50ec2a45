"""A backup is read back: checked first, then into a database that is closed until all of it is there.

What ran when the backup was made is queued again at once: its worker is no more, or holds an attempt of another time.
Tickets are no part of a backup; they are rung for anew, here and by the repair loop of every worker.
"""

import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from queueing.doorbell import Doorbell
from queueing.repair import ring_missing
from queueing.retry import verdict
from queueing.units import format_size
from store.archive import Head, Tail, check
from store.connect import connect_as_it_is, redis_url
from store.errors import DoorbellUnavailable, NoBackup, StoreUnavailable, Superseded, UserError
from store.mongo import MongoStore
from store.mongo.backup import Progress, whoami
from store.mongo.restore import LEASE_S, Restoring
from store.mongo.schema import VERSION
from store.runs import Ending
from store.settings import Settings
from store.states import Reason

_AT_ONCE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What was read back. `left_out`: documents of attempts that had not begun when the runs were read."""

    database: str
    head: Head
    tail: Tail
    requeued: int
    left_out: int
    rung: int


def restore(settings: Settings, file: Path, into: str, *, replace: bool, progress: Progress) -> Restored:
    """Raises NoBackup, BackupDamaged, UserError before anything is changed; StoreUnavailable at any time."""
    head, tail = check(file)
    if head.schema > VERSION:
        raise NoBackup(f"{file}: holds schema {head.schema}, this labq knows {VERSION}: upgrade labq")
    store = connect_as_it_is(settings, into)
    try:
        target, owner = Restoring(store.client, store.database, settings.mongo_timeout_s), whoami()
        _check_target(target, settings, head, replace=replace)
        with target.held(owner, file.resolve()):
            target.clear()
            left_out = target.load(file, head, tail, _Renewing(target, owner, file.resolve(), progress))
            requeued = _requeue(store, target, head)
            target.leap((store.now() - datetime.fromisoformat(head.taken_at)).total_seconds())
        rung = 0 if into and into != settings.mongo_database else _ring(store, settings)
    finally:
        store.close()
    return Restored(database=store.database.name, head=head, tail=tail, requeued=requeued, left_out=left_out, rung=rung)


class _Renewing:
    """Renews the lease now and then."""

    def __init__(self, target: Restoring, owner: str, file: Path, then: Progress) -> None:
        self._target, self._owner, self._file, self._then = target, owner, file, then
        self._renewed_at = time.monotonic()

    def __call__(self, collection: str, documents: int, size_bytes: int) -> None:
        if time.monotonic() - self._renewed_at > LEASE_S / 5:
            if other := self._target.take(self._owner, self._file):
                raise StoreUnavailable(f"this took so long that another restore has begun: {other}")
            self._renewed_at = time.monotonic()
        self._then(collection, documents, size_bytes)


def _check_target(target: Restoring, settings: Settings, head: Head, *, replace: bool) -> None:
    name = target.database.name
    if living := target.living(settings.living_s):
        more = " …" if len(living) > 3 else ""
        raise UserError(f"database {name} is in use: stop {', '.join(living[:3])}{more} first, then wait a minute")
    found = {} if target.is_unfinished() else target.holds()
    if found and not replace:
        what = ", ".join(f"{count} in {collection}" for collection, count in list(found.items())[:4])
        raise UserError(
            f"database {name} is not empty ({what}): --into NAME restores beside it, --replace deletes what is there"
        )
    free = target.free_bytes()
    if 0 < free < head.storage_bytes:
        raise UserError(
            f"MongoDB's disk has {format_size(free)} free; the backup will take {format_size(head.storage_bytes)}"
        )


def _requeue(store: MongoStore, target: Restoring, head: Head) -> int:
    """Not their fault: it counts as no setback."""
    ending = Ending(reason=Reason.DRAINED, message=f"it ran when the backup of {head.taken_at} was made")
    done = 0
    while running := target.running(_AT_ONCE):
        for run, attempt in running:
            with suppress(Superseded):
                store.settle(run, attempt, lambda now: verdict(now, ending))
                done += 1
    return done


def _ring(store: MongoStore, settings: Settings) -> int:
    doorbell = Doorbell(redis_url(settings), settings.redis_timeout_s)
    try:
        return ring_missing(store, doorbell)
    except DoorbellUnavailable:
        return 0
    finally:
        doorbell.close()
