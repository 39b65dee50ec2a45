"""What `labq top` shows: the lab at one moment of the server's clock."""

from dataclasses import dataclass
from datetime import datetime

from store.states import Reason, State


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerLine:
    """A worker seen lately. `run` is what it carries out; `draining`: it takes no other."""

    name: str
    host: str
    pid: int
    queues: tuple[str, ...]
    tags: tuple[str, ...]
    run: str | None
    seen_s: float
    draining: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineLine:
    """What labq's runs use of a machine. None: nothing was measured yet."""

    host: str
    workers: int
    busy: int
    cpus: int
    cores: float | None
    memory_bytes: int | None
    total_bytes: int
    disk_free_bytes: int | None
    gpus: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuLine:
    """A GPU that runs hold, and which."""

    host: str
    index: int
    memory_bytes: int | None
    busy: float | None
    power_w: float | None
    celsius: float | None
    runs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLine:
    """A running run. `per_s` is in its own units of progress."""

    id: str
    experiment: str
    worker: str
    attempt: int
    fraction: float | None
    done: float | None
    total: float | None
    per_s: float | None
    left_s: float | None
    elapsed_s: float
    cores: float | None
    memory_bytes: int | None
    metrics: str
    wish: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueLine:
    """A queue, with the experiments of its next runs. None: not counted yet."""

    queue: str
    queued: int | None
    paused: int | None
    running: int | None
    next: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedLine:
    """A run that ended lately."""

    id: str
    experiment: str
    state: State
    reason: Reason | None
    ended_s: float
    took_s: float | None
    metrics: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """The whole lab. `away`: why this is the last picture and not one of now. `counted_s`: the age of the counts."""

    at: datetime
    workers: tuple[WorkerLine, ...] = ()
    machines: tuple[MachineLine, ...] = ()
    gpus: tuple[GpuLine, ...] = ()
    running: tuple[RunLine, ...] = ()
    queues: tuple[QueueLine, ...] = ()
    ended: tuple[EndedLine, ...] = ()
    counts: tuple[tuple[State, int], ...] = ()
    counted_s: float | None = None
    away: str = ""
