"""The repair loop: expired leases go back to the queue, queued runs without a ticket are rung for.

It runs in every worker, also while it is busy, under a short lease so that one of them does it at a time. Doing it
twice is harmless: every step is fenced or idempotent.
"""

import time
from dataclasses import dataclass

from queueing.doorbell import Doorbell
from queueing.retry import verdict
from store.errors import DoorbellUnavailable, StoreUnavailable, Superseded
from store.runs import Ending, Run
from store.settings import Settings
from store.states import Reason, State
from store.store import Store

RING_AT_MOST = 200
"""Tickets checked per round. One ticket is one claim, so the next round follows before the workers run dry."""

RELEASE_AT_MOST = 50
"""Leases released per round: a machine room that lost its power must not keep whoever repairs from renewing."""

TIDY_S = 1.0
"""How long a round deletes what dead uploads left: many gigabytes must not keep whoever repairs from renewing."""

LOST = Ending(reason=Reason.LOST, message="the worker was not heard of before its lease ended")
ABANDONED = Ending(reason=Reason.LOST, message="the supervisor ended abnormally")


@dataclass(frozen=True, slots=True, kw_only=True)
class Repaired:
    """What one round mended."""

    released: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    rung: int = 0
    cleared: int = 0
    """Files of dead attempts that were deleted."""
    unfinished: bool = False
    """More leases are over than one round releases: the next one should follow soon."""


def repair(store: Store, doorbell: Doorbell, settings: Settings, owner: str) -> Repaired | None:
    """One round, or None when somebody else is at it.

    When MongoDB was away, every lease has run out while its holder trained on. So after a gap nobody is released for
    the length of one lease: time for the living to renew. A gap is any pause between two rounds in which a lease can
    run out although its holder asks for a renewal every `renew_s` seconds.
    """
    gap_s = settings.lease_s - settings.renew_s - settings.repair_s
    steady_s = store.lock("repair", owner, settings.repair_s, gap_s=gap_s)
    if steady_s is None:
        return None
    over = store.expired(RELEASE_AT_MOST + 1) if steady_s >= settings.lease_s else []
    ended, tried = _release(store, over[:RELEASE_AT_MOST], time.monotonic() + settings.renew_s / 2)
    return Repaired(
        released=tuple(run.id for run in ended if run.state is State.QUEUED),
        failed=tuple(run.id for run in ended if run.state is not State.QUEUED),
        rung=ring_missing(store, doorbell),
        cleared=store.tidy(min(TIDY_S, settings.renew_s / 2)),
        unfinished=tried < len(over),
    )


def _release(store: Store, over: list[Run], deadline: float) -> tuple[list[Run], int]:
    """Those of the lost runs that were settled before the deadline, as they are now, and how many were tried."""
    ended, tried = [], 0
    for run in over:
        if time.monotonic() > deadline:
            break
        tried += 1
        try:
            ended.append(store.settle(run.id, run.attempt, lambda now: verdict(now, LOST), only_expired=True))
        except (Superseded, StoreUnavailable):
            continue  # somebody else has it; or its supervisor died inside a transaction, which MongoDB still keeps
    return ended, tried


def ring_missing(store: Store, doorbell: Doorbell) -> int:
    """Ring for queued, due runs without a ticket; an emptied Redis is refilled this way. 0 while Redis is away."""
    try:
        missing = doorbell.missing(store.ringable(RING_AT_MOST))
        doorbell.ring(missing)
    except DoorbellUnavailable:
        return 0
    return len(missing)


def release_own(store: Store, worker: str) -> tuple[str, ...]:
    """A worker whose supervisor died abnormally gives its run back at once, without waiting for the lease."""
    released = []
    for run in store.held_by(worker):
        try:
            store.settle(run.id, run.attempt, lambda now: verdict(now, ABANDONED))
        except Superseded:
            continue
        released.append(run.id)
    return tuple(released)
