"""A live worker, as others see it, and which runs it may take."""

from dataclasses import dataclass
from datetime import datetime

from store.runs import Run


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
    run: str | None = None
    seen_at: datetime | None = None


def fits(run: Run, worker: Worker) -> bool:
    """Whether the worker serves the run's queue and has what the run asks for."""
    wants = run.resources
    return (
        run.queue in worker.queues
        and wants.gpus <= worker.gpus
        and (wants.cpus or 0) <= worker.cpus
        and (wants.memory_bytes or 0) <= worker.memory_bytes
        and set(wants.tags) <= set(worker.tags)
    )


def is_refused(run: Run, worker: Worker, now: datetime) -> bool:
    """Whether this worker, or its machine, has refused the run and should not be asked yet."""
    return any(refusal.by in (worker.host, worker.name) and refusal.until > now for refusal in run.refusals)
