"""A place for one worker that was asked of a scheduler: a job, or one task of a job array."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from store.runs import Resources
from store.schedulers import Scheduler


class Phase(StrEnum):
    """Where an allocation is in its life. FAILED: another one like it would probably fail, too."""

    SUBMITTING = "submitting"
    PENDING = "pending"
    RUNNING = "running"
    ENDED = "ended"
    FAILED = "failed"


OVER = frozenset({Phase.ENDED, Phase.FAILED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """`id` is known to the worker (LABQ_ALLOCATION), `job` to the scheduler.

    It is recorded before it is asked for. All of one `submission` (an array) are asked for at once, under a job name
    made of it: that is how an answer that was lost is found again.
    """

    id: str
    submission: str
    scheduler: Scheduler
    cluster: str
    """Which of its clusters: job numbers of two of them may be equal."""
    owner: str
    queue: str
    offers: Resources = field(default_factory=Resources)
    """What the worker in it may promise."""
    partition: str = ""
    run: str | None = None
    """The one run that it is for."""
    scaled: bool = False
    """Asked for by `labq scale`, which may give it back while it waits."""
    log: str = ""
    job: str = ""
    phase: Phase = Phase.SUBMITTING
    node: str = ""
    says: str = ""
    """The scheduler's own word: why it waits, how it ended, why it was refused."""
    created_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def is_over(self) -> bool:
        """Whether its place has been given back, or was never given."""
        return self.phase in OVER


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What is known about an allocation now. Nothing else about it changes after it was recorded."""

    id: str
    phase: Phase
    job: str = ""
    node: str = ""
    says: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobWanted:
    """A queued run that is to have a job of its own."""

    run: str
    queue: str
    resources: Resources


KEEP_S = 7 * 86400
"""How long an allocation that is over is remembered."""
