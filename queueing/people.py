"""What people ask of runs and workers: MongoDB has it at once; Redis makes it heard at once.

With Redis away a running run hears of it at its next renewal, an idle worker at its next look.
"""

import getpass
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime

from queueing.doorbell import Doorbell, run_channel, worker_channel
from store.changes import Change, Changed, cancelled, paused, prioritised, requeued, resumed, scratched
from store.errors import DoorbellUnavailable
from store.runs import Run
from store.states import State
from store.store import Store
from store.workers import Drain, Worker

_RING_AT_MOST = 500
"""Tickets for runs that wait again: a worker that ends one looks for the next by itself."""


def stop_change(because: str = "") -> Change:
    """Cancel."""
    return _change("stop", cancelled, because)


def pause_change(because: str = "") -> Change:
    """Keep from being claimed; a running run checkpoints first."""
    return _change("pause", paused, because)


def resume_change(because: str = "") -> Change:
    """Let go on."""
    return _change("resume", resumed, because)


def requeue_change(*, scratch: bool = False, because: str = "") -> Change:
    """Try again, from the checkpoint or from scratch."""
    return _change("requeue", scratched if scratch else requeued, because, scratch=scratch)


def priority_change(priority: int) -> Change:
    """Claim before, or after, others."""
    return _change("priority", prioritised(priority), f"{priority}")


def carry_out(store: Store, doorbell: Doorbell, run_ids: Sequence[str], change: Change) -> Changed:
    """Change the runs, then tell whom it concerns. Raises StoreUnavailable; a Redis that is away costs latency."""
    changed = store.change(run_ids, change)
    waiting = [run for run in changed.runs if run.state is State.QUEUED][:_RING_AT_MOST]
    running = [run for run in changed.runs if run.state is State.RUNNING]
    with suppress(DoorbellUnavailable):
        doorbell.tell(run_channel(run.id) for run in running)
        doorbell.ring([(run.id, run.attempt, run.queue) for run in waiting])
    return changed


def drain(store: Store, doorbell: Doorbell, order: Drain, in_s: float, living: Sequence[Worker]) -> None:
    """Order workers to leave, and wake those that it concerns now. Raises StoreUnavailable."""
    store.drain(order, in_s)
    if in_s > 0:
        return
    idle = [worker for worker in living if worker.run is None]
    with suppress(DoorbellUnavailable):
        doorbell.tell([worker_channel(order.target)])
        for queue in {queue for worker in idle if is_meant(worker, order) for queue in worker.queues}:
            # A ticket wakes whoever waits longest: those who are not meant look once in vain.
            doorbell.rouse(queue, sum(queue in worker.queues for worker in idle))


def is_meant(worker: Worker, order: Drain) -> bool:
    """Whether the order is to this worker or to its host."""
    return order.target in (worker.name, worker.host)


def asked_by() -> str:
    """Who asks, for the record: `user@host`."""
    try:
        return f"{getpass.getuser()}@{socket.gethostname()}"
    except (KeyError, OSError):  # a user id without a name, as in containers
        return socket.gethostname()


def _change(name: str, apply: Callable[[Run, datetime], Run], because: str, *, scratch: bool = False) -> Change:
    return Change(name=name, apply=apply, by=asked_by(), because=because, scratch=scratch)
