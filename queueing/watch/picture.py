"""What `labq watch` shows: an experiment, or one run, at a moment of the server's clock."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from queueing.watch.curves import Curve
from store.findings import Finding
from store.runs import Run
from store.samples import Sample
from store.states import Reason, State


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One run of the table. `mark`: the letter of its curve. `per_s` is in its own units of progress."""

    id: str
    state: State
    reason: Reason | None
    wish: str
    attempt: int
    fraction: float | None
    per_s: float | None
    left_s: float | None
    last: float | None
    best: float | None
    best_step: int | None
    params: Mapping[str, Any]
    findings: tuple[Finding, ...]
    mark: str
    queued_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A finding that still holds, and whose."""

    run: str
    finding: Finding


class Kind(StrEnum):
    """What happened lately."""

    STARTED = "started"
    RESUMED = "resumed"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"
    FOUND = "found"


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """Something that happened to a run."""

    run: str
    at: datetime
    kind: Kind
    said: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """All of an experiment. Curves are those of `metric`; `unread`: how many are still to come.

    `shown`: the runs that were looked at, where there are more than can be. `best`: ids, the best first.
    """

    experiment: str
    owner: str
    counts: Mapping[State, int]
    shown: int
    share: float | None
    left_s: float | None
    per_hour: float | None
    workers: tuple[str, ...]
    metrics: tuple[str, ...]
    metric: str
    greatest: bool
    differing: tuple[str, ...]
    rows: tuple[Row, ...]
    best: tuple[str, ...]
    curves: Mapping[str, Curve]
    unread: int
    findings: tuple[Found, ...]
    happenings: tuple[Happening, ...]

    @property
    def total(self) -> int:
        """Runs of every state."""
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Single:
    """One run. `panels`: names of the metrics that share a picture. `samples`: oldest first, of the newest attempt."""

    run: Run
    per_s: float | None
    left_s: float | None
    panels: tuple[tuple[str, ...], ...]
    curves: Mapping[str, Curve]
    unread: int
    samples: tuple[Sample, ...]
    findings: tuple[Finding, ...]
    output: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be read: curves of this metric, or all of this run, its panels from `panel` on."""

    metric: str = ""
    run: str = ""
    panel: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Picture:
    """What was read last. `away`: why it is the last one and not one of now. `number` counts the rounds."""

    at: datetime
    sweep: Sweep | None = None
    single: Single | None = None
    away: str = ""
    number: int = 0
