"""What every scheduler can do. `slurm.py`, `sge.py` and `local.py` are the only ones that ask theirs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from store.allocations import Phase
from store.schedulers import Scheduler
from worker.cluster.place import Batch, Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One task of an array, as the scheduler sees it. `title` is its name, `task` is its place in it."""

    number: str
    title: str
    task: int
    phase: Phase
    says: str = ""
    node: str = ""


class Cluster(Protocol):
    """Methods raise SchedulerMissing, SchedulerUnavailable."""

    scheduler: Scheduler
    first_task: int
    """From what it counts the tasks of an array."""

    def name(self) -> str:
        """Which of several clusters of this kind it is."""

    def hosts(self, place: Place, /) -> frozenset[str]:
        """The machines that jobs may come to, by their host names; empty when nobody knows."""

    def check(self, place: Place, /) -> None:
        """Raises UserError when the scheduler would take the job and never start it."""

    def most_at_once(self) -> int:
        """How many tasks an array may have."""

    def script(self, place: Place, batch: Batch) -> str:
        """What is submitted. Raises UserError."""

    def submit(self, script: str, submission: str, count: int, env: Mapping[str, str]) -> list[str]:
        """Ask for an array; the numbers of its tasks. Raises SubmissionRefused."""

    def jobs(self) -> list[Job]:
        """The user's jobs, those that ended a moment ago included where the scheduler remembers them."""

    def keep_from_coming_back(self, numbers: Sequence[str]) -> None:
        """These jobs are not to be started again after an interruption."""

    def cancel(self, numbers: Sequence[str]) -> None:
        """Jobs that are over are left alone."""
