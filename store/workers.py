"""A live worker, as others see it, and which runs it may take."""

from dataclasses import dataclass
from datetime import datetime

from store.runs import Resources, Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """What a worker offers, and what it does just now."""

    name: str
    host: str
    pid: int
    queues: tuple[str, ...] = ("default",)
    tags: tuple[str, ...] = ()
    gpus: int = 0
    cpus: int = 1
    memory_bytes: int = 0
    gpus_free: int | None = None
    disk_free_bytes: int | None = None
    """Where its run directories are."""
    disk_floor_bytes: int = 0
    """With less than this it begins no run."""
    place: str = ""
    """The place that was asked for it: the id of an allocation (`store.allocations`)."""
    only: str | None = None
    """The one run that it is for."""
    run: str | None = None
    allocation: str = ""
    """What a scheduler lent it: `slurm:12`, `slurm:12_3` (a task of an array), `sge:55`; empty: nothing."""
    until: datetime | None = None
    """When its time ends, on the server's clock; None: it has no end."""
    whole_s: float | None = None
    """How long its time was in all, in seconds."""
    seen_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """An order to leave, to one worker or to every worker of a host. That to a host holds until it is taken back.

    `after_current`: what runs may end first, however long that takes; else it checkpoints and goes back to the queue.
    """

    target: str
    after_current: bool = True
    from_at: datetime | None = None
    by: str = ""


def fits(run: Run, worker: Worker) -> bool:
    """Whether the worker serves the run's queue and has what the run asks for."""
    return run.queue in worker.queues and worker.only in (None, run.id) and has(worker, run.resources)


def has(worker: Worker, wants: Resources) -> bool:
    """Whether the worker has that much of everything, and all the tags."""
    return (
        wants.gpus <= worker.gpus
        and (wants.cpus or 0) <= worker.cpus
        and (wants.memory_bytes or 0) <= worker.memory_bytes
        and set(wants.tags) <= set(worker.tags)
        and (wants.on is None or worker.only is not None)
    )


def is_refused(run: Run, worker: Worker, now: datetime) -> bool:
    """Whether this worker, or its machine, has refused the run and should not be asked yet."""
    return any(refusal.by in (worker.host, worker.name) and refusal.until > now for refusal in run.refusals)
