"""Asking a scheduler for places: recorded first, asked for, the answer recorded.

Whoever is killed in between leaves a record that is `submitting`: whoever looks next finds the job by its name.
"""

import secrets
import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from store.allocations import Allocation, Phase, Sighting
from store.errors import SchedulerUnavailable, SubmissionRefused
from store.identity import user_name
from store.schedulers import Scheduler
from store.settings import Settings
from store.store import Store
from worker.cluster.cluster import Cluster
from worker.cluster.handing import handed_over, labq_command, logs_folder, make_logs_folder
from worker.cluster.local import Local
from worker.cluster.place import Batch, Place
from worker.cluster.reach import check_reach
from worker.cluster.remote import Remote
from worker.cluster.sge import Sge
from worker.cluster.slurm import Slurm

_LETTERS = string.ascii_lowercase + string.digits
SMALLER = "asked for again in smaller arrays"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Ids of the places that the scheduler took, and its words when it took fewer than were wanted."""

    ids: tuple[str, ...] = ()
    refusal: str = ""


def cluster_of(scheduler: Scheduler, settings: Settings, host: str = "") -> Cluster:
    """The one that this machine's commands speak to; of ssh, this host."""
    kinds: dict[Scheduler, Callable[[], Cluster]] = {
        Scheduler.SLURM: lambda: Slurm(settings),
        Scheduler.SGE: lambda: Sge(settings),
        Scheduler.LOCAL: Local,
        Scheduler.SSH: lambda: Remote(settings, host),
    }
    return kinds[scheduler]()


def check_place(cluster: Cluster, place: Place, settings: Settings) -> None:
    """Raises UserError when jobs would never start, or would not reach the servers; SchedulerMissing."""
    cluster.check(place)
    check_reach(settings, cluster.hosts(place))


def script_of(cluster: Cluster, place: Place, settings: Settings) -> str:
    """What would be submitted; nobody is asked anything. Raises UserError."""
    return cluster.script(place, handing_of(settings).batch("SUBMISSION", ()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Handing:
    """What the jobs are handed, wherever they are: folders, how labq starts, variables and those with passwords."""

    folder: str = ""
    logs: str
    labq: tuple[str, ...] = ()
    exports: dict[str, str]
    secrets: dict[str, str]

    def batch(self, submission: str, runs: Sequence[str]) -> Batch:
        """The job around places that are asked for now."""
        return Batch(
            submission=submission,
            folder=self.folder,
            logs=self.logs,
            labq=self.labq,
            exports=self.exports,
            handed_over=tuple(sorted(self.secrets)),
            runs=tuple(runs),
        )


def handing_of(settings: Settings) -> Handing:
    """To machines that share this folder and our home. Raises UserError."""
    exports, hidden = handed_over(settings)
    return Handing(
        folder=str(Path.cwd()),
        logs=str(logs_folder(settings)),
        labq=labq_command(settings),
        exports=exports,
        secrets=hidden,
    )


class Submitter:
    """Asks one cluster for places, with the settings that their workers get."""

    def __init__(self, store: Store, cluster: Cluster, settings: Settings, handing: Handing | None = None) -> None:
        self._store, self._cluster, self._settings = store, cluster, settings
        self._handing = handing or handing_of(settings)
        self._logs_here = handing is None

    def check(self, place: Place) -> None:
        """As `check_place`."""
        check_place(self._cluster, place, self._settings)

    def ask(self, place: Place, count: int, runs: Sequence[str] = (), *, scaled: bool = False) -> Asked:
        """For `count` places, or one for each of the runs, in arrays as large as the cluster takes them.

        A full cluster is asked for fewer, until it takes not even one. Raises SubmissionRefused when it takes none,
        SchedulerUnavailable.
        """
        if self._logs_here:
            make_logs_folder(self._settings)
        taken: list[str] = []
        size = most = self._cluster.most_at_once()
        while len(taken) < count:
            size = min(size, count - len(taken), most)
            try:
                taken += self._one_array(place, size, runs[len(taken) : len(taken) + size], scaled=scaled)
            except SubmissionRefused as error:
                if not error.full or (size == 1 and not taken):
                    raise
                if size == 1:
                    return Asked(ids=tuple(taken), refusal=str(error))
                size //= 2
        return Asked(ids=tuple(taken))

    def _one_array(self, place: Place, size: int, runs: Sequence[str], *, scaled: bool) -> list[str]:
        submission = new_submission()
        script = self._cluster.script(place, self._handing.batch(submission, runs))
        wanted = [replace(one, scaled=scaled) for one in self._wanted(place, submission, size, runs)]
        self._store.add_allocations(wanted)
        try:
            numbers = self._cluster.submit(script, submission, size, self._handing.secrets)
        except SubmissionRefused as error:
            self._record_refusal(wanted, error, is_last=not error.full or size == 1)
            raise
        except SchedulerUnavailable as error:
            raise SchedulerUnavailable(
                f"{error}; if it took the jobs all the same, labq workers will show them"
            ) from error
        waits = self._cluster.scheduler in (Scheduler.SLURM, Scheduler.SGE)
        phase = Phase.PENDING if waits else Phase.RUNNING
        self._store.sight([Sighting(id=one.id, phase=phase, job=job) for one, job in zip(wanted, numbers, strict=True)])
        return [one.id for one in wanted]

    def _record_refusal(self, wanted: Sequence[Allocation], error: SubmissionRefused, *, is_last: bool) -> None:
        phase, says = (Phase.FAILED, str(error)) if is_last else (Phase.ENDED, SMALLER)
        self._store.sight([Sighting(id=one.id, phase=phase, says=says) for one in wanted])

    def _wanted(self, place: Place, submission: str, size: int, runs: Sequence[str]) -> list[Allocation]:
        logs, first = self._handing.logs, self._cluster.first_task
        asked = Allocation(
            id="",
            submission=submission,
            scheduler=self._cluster.scheduler,
            cluster=self._cluster.name(),
            owner=user_name(),
            queue=place.queue,
            offers=place.offers,
            partition=place.partition,
        )
        return [
            replace(
                asked,
                id=f"{submission}-{first + place_in}",
                log=f"{logs}/{submission}-{first + place_in}.log",
                run=runs[place_in] if runs else None,
            )
            for place_in in range(size)
        ]


def new_submission() -> str:
    """A name that no other has."""
    return "".join(secrets.choice(_LETTERS) for _ in range(8))
