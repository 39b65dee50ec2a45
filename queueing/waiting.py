"""Waiting for runs to end: one light query for all of them, however many; a MongoDB that is away is waited for too."""

import time
from collections.abc import Iterator, Sequence

from store.connect import connect
from store.errors import StoreUnavailable
from store.mongo import MongoStore
from store.runs import Run
from store.settings import Settings
from store.states import ENDED
from store.store import RunQuery, Store

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 2.0
_GENTLE = 20.0
"""A look is followed by a pause that is so many times as long: thousands of runs must not keep MongoDB busy."""
_AT_ONCE = 10_000


def ended_ids(store: Store, ids: Sequence[str]) -> list[str]:
    """Those of the runs that have ended, in their order here."""
    ended: set[str] = set()
    for start in range(0, len(ids), _AT_ONCE):
        some = tuple(ids[start : start + _AT_ONCE])
        ended.update(store.run_ids(RunQuery(ids=some, states=tuple(ENDED))))
    return [one for one in ids if one in ended]


def endings(settings: Settings, ids: Sequence[str], timeout_s: float | None = None) -> Iterator[Run]:
    """The runs as they end, each once. Raises TimeoutError with the number of those that have not."""
    pending = list(dict.fromkeys(ids))
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    store: MongoStore | None = None
    pause_s = FIRST_PAUSE_S
    try:
        while pending:
            began, found = time.monotonic(), list[Run]()
            try:
                store = store or connect(settings)
                if done := ended_ids(store, pending):
                    found = store.runs(RunQuery(ids=tuple(done)))
            except StoreUnavailable:
                found = []
            found = [run for run in found if run.state in ENDED]
            yield from found
            gone = {run.id for run in found}
            pending = [one for one in pending if one not in gone]
            pause_s = FIRST_PAUSE_S if found else min(pause_s * 1.5, LONGEST_PAUSE_S)
            _pause(max(pause_s, _GENTLE * (time.monotonic() - began)) if pending else 0.0, deadline, len(pending))
    finally:
        if store is not None:
            store.close()


def _pause(pause_s: float, deadline: float | None, pending: int) -> None:
    if deadline is None:
        time.sleep(min(pause_s, 30.0))
        return
    left_s = deadline - time.monotonic()
    if left_s <= 0 and pending:
        raise TimeoutError(f"{pending} run{'s have' if pending != 1 else ' has'} not ended in time")
    time.sleep(max(0.0, min(pause_s, left_s, 30.0)))
