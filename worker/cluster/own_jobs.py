"""Runs that have a job of their own: each job asks for what its run wants, in arrays of equal wants.

Whoever finds such a run waiting without a job may ask for one: `labq enqueue --on`, the rounds of `labq scale`. A job
too many is harmless: its worker finds the run taken or over, and leaves.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from store.allocations import JobWanted
from store.errors import UserError
from store.identity import user_name
from store.runs import Resources
from store.store import Store
from worker.cluster.cluster import Cluster
from worker.cluster.look import look
from worker.cluster.place import Place
from worker.cluster.submit import Asked, Submitter

AT_MOST = 10_000
SPARE_S = 60.0
"""For labq to start and to leave."""
IDLE_S = 300.0
"""How long a job waits for its run, which backs off or which its machine has refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Places that are alike; with `runs`, each is for one of them."""

    place: Place
    count: int
    runs: tuple[str, ...] = ()


def without_job(store: Store, cluster: Cluster, queue: str) -> list[JobWanted]:
    """This user's runs that wait for a job there. Raises SchedulerMissing, SchedulerUnavailable."""
    served = {one.run for one in look(store, cluster) if not one.is_over}
    wanted = store.jobs_wanted(cluster.scheduler, queue, user_name(), AT_MOST)
    return [one for one in wanted if one.run not in served]


def grouped(wanted: Sequence[JobWanted], base: Place, *, time_s: float | None = None) -> list[Group]:
    """Equal wants together, in the order of the runs. `time_s`: for all, whatever their own limits say."""
    together: dict[tuple[str, Resources], list[str]] = {}
    for one in wanted:
        together.setdefault((one.queue, one.resources), []).append(one.run)
    return [
        Group(place=place_for(base, queue, resources, time_s), count=len(runs), runs=tuple(runs))
        for (queue, resources), runs in together.items()
    ]


def place_for(base: Place, queue: str, wants: Resources, time_s: float | None) -> Place:
    """What the run wants, and the time until its own limit where it has one."""
    limit_s = None if wants.time_s is None else wants.time_s + base.notice_s + SPARE_S
    return replace(
        base,
        queue=queue,
        gpus=wants.gpus,
        cpus=wants.cpus or 1,
        memory_bytes=wants.memory_bytes or base.memory_bytes,
        tags=wants.tags,
        time_s=time_s or limit_s or base.time_s,
        idle_exit_s=IDLE_S,
    )


def ask_for(submitter: Submitter, groups: Sequence[Group], *, scaled: bool = False) -> Asked:
    """A refusal of one kind does not keep the others from being asked for."""
    taken: list[str] = []
    refusal = ""
    for group in groups:
        try:
            if group.runs:
                submitter.check(group.place)
            asked = submitter.ask(group.place, group.count, group.runs, scaled=scaled)
        except UserError as error:
            refusal = str(error)
            continue
        taken += asked.ids
        refusal = asked.refusal or refusal
    return Asked(ids=tuple(taken), refusal=refusal)
