"""One configuration and its life."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain, count
from pathlib import PurePath
from typing import Any

from store.findings import Disease
from store.judged import Judged
from store.samples import Peaks
from store.schedulers import Scheduler
from store.spans import Outlook, Pace
from store.states import Reason, State, Wish


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What a run needs of a worker. None means: no demand. `gpu_memory_bytes` is meant of each GPU.

    `on`: a job of its own there, whose worker is for this run alone.
    """

    gpus: int = 0
    gpu_memory_bytes: int | None = None
    cpus: int | None = None
    nice: int = 0
    memory_bytes: int | None = None
    disk_bytes: int | None = None
    time_s: float | None = None
    tags: tuple[str, ...] = ()
    on: Scheduler | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """Which endings are tried again, how often without progress in between, and after what pause."""

    max: int = 3
    backoff_s: float = 1.0
    on: tuple[Reason, ...] = (Reason.LOST, Reason.KILLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notify:
    """Who is told on which occasions (`store.occasions.WORDS`): the simple form of a rule. `every_s`: of `every`."""

    to: tuple[str, ...] = ()
    on: tuple[str, ...] = ("finished", "failed")
    every_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFile:
    """A template whose filled-in copy lies in the run directory under `name`; its text is the blob `blob`."""

    name: str
    blob: str
    executable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is executed: a command (argument list, no shell) or the name of a built-in trainer, and where.

    `result`: a second command, run after the first has succeeded, whose output holds further figures.
    """

    command: tuple[str, ...] = ()
    trainer: str | None = None
    workdir: str
    env: dict[str, str] = field(default_factory=dict)
    grace_s: float = 30.0
    exclusive: bool = False
    files: tuple[TaskFile, ...] = ()
    result: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Who holds the run, until when on the server's clock."""

    worker: str
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A stored checkpoint. `line` is how many event lines of `attempt` belong to it.

    `best`: the script called it the best so far.
    """

    id: str
    run: str
    attempt: int
    step: int
    line: int
    name: str
    is_dir: bool
    size_bytes: int
    sha256: str
    created_at: datetime
    best: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A file kept with a run."""

    id: str
    run: str
    attempt: int
    name: str
    size_bytes: int
    source: str = ""
    """Where the script had it; a newer file from there replaces it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a child ended, as far as anybody knows."""

    reason: Reason | None = None
    exit_code: int | None = None
    signal: int | None = None
    peak_memory_bytes: int | None = None
    message: str = ""
    pace: Pace | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try at a run: the history keeps them all."""

    number: int
    worker: str
    started_at: datetime
    ended_at: datetime | None = None
    resumed_from_step: int | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    peaks: Peaks = field(default_factory=Peaks)
    ending: Ending | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a machine (its host name) or a worker (its name) leaves the run to others, and until when.

    `lasting`: waiting will not help there, such as a programme that is not installed. `count`: how often in a row.
    """

    by: str
    message: str
    lasting: bool
    count: int
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far the run is, in the script's own unit."""

    done: float
    total: float

    @property
    def fraction(self) -> float:
        """Between 0 and 1; 0 when the total is unknown."""
        return min(max(self.done / self.total, 0.0), 1.0) if self.total > 0 else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricSummary:
    """Last, smallest and largest value of one series. NaN is neither smallest nor largest."""

    last: float
    last_step: int
    count: int
    min: float | None = None
    min_step: int | None = None
    max: float | None = None
    max_step: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipped:
    """How much of the attempt's event file and output is stored, in bytes and lines."""

    attempt: int = 0
    events_bytes: int = 0
    events_lines: int = 0
    output_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One configuration of an experiment and everything that happened to it, points and logs excepted."""

    id: str
    key: str
    experiment: str
    params: dict[str, Any]
    task: Task
    repeat: int = 0
    index: int = 0
    trial: int | None = None
    queue: str = "default"
    priority: int = 0
    tags: tuple[str, ...] = ()
    resources: Resources = field(default_factory=Resources)
    retry: Retry = field(default_factory=Retry)
    notify: Notify = field(default_factory=Notify)
    owner: str = ""
    provenance: dict[str, Any] = field(default_factory=dict)
    state: State = State.QUEUED
    reason: Reason | None = None
    wish: Wish | None = None
    attempt: int = 0
    setbacks: int = 0
    lease: Lease | None = None
    queued_at: datetime
    not_before: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    progress: Progress | None = None
    summary: dict[str, MetricSummary] = field(default_factory=dict)
    shipped: Shipped = field(default_factory=Shipped)
    checkpoint: Checkpoint | None = None
    ending: Ending | None = None
    remark: str = ""
    refusals: tuple[Refusal, ...] = ()
    history: tuple[Attempt, ...] = ()
    judged: Judged = field(default_factory=Judged)
    findings: tuple[Disease, ...] = ()
    """What the newest look at this attempt has found and still holds, by name: `store.findings` has all of it."""
    origin: str = ""
    """Where an imported run comes from. It has ended for good: nobody here knows how to run it."""
    outlook: Outlook | None = None
    """What its attempts say of the next one; None: none has ended yet, or it begins from scratch."""


SHORT_ID_LENGTH = 8


def short(run_id: str) -> str:
    """The first characters of an id, as tables show it."""
    return run_id[:SHORT_ID_LENGTH]


def worth_keeping(newest_first: Sequence[Checkpoint], keep: int) -> set[str]:
    """Ids of the checkpoints that stay: the newest `keep`, at least one, and the newest that was called the best."""
    best = next((checkpoint.id for checkpoint in newest_first if checkpoint.best), None)
    newest = {checkpoint.id for checkpoint in newest_first[: max(keep, 1)]}
    return newest if best is None else newest | {best}


def artifact_name(file_name: str, source: str, kept: Sequence[Artifact]) -> str:
    """The name to keep a file under: of what it replaces, else its own, else with a number that no other has."""
    same = (one.name for one in kept if one.source == source or (not one.source and one.name == file_name))
    if (replaced := next(same, None)) is not None:
        return replaced
    taken, path = {one.name for one in kept}, PurePath(file_name)
    numbered = (f"{path.stem}-{number}{path.suffix}" for number in count(2))
    return next(name for name in chain([file_name], numbered) if name not in taken)


def has_resumed(run: Run) -> bool:
    """Whether an earlier attempt had begun, too. One that was refused leaves no line."""
    return len(run.history) > 1


def newest_attempt(run: Run) -> int:
    """The last that began: one that was refused leaves no line, and numbers are left out after a restore."""
    return run.history[-1].number if run.history else run.attempt


def made_progress(run: Run) -> bool:
    """Whether the current attempt got further than the checkpoint it began with."""
    return run.checkpoint is not None and run.checkpoint.attempt == run.attempt
