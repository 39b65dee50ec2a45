"""A live worker, as others see it."""

from dataclasses import dataclass
from datetime import datetime


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
