"""What the scheduler's list of jobs says about the allocations that we remember: a pure function."""

from collections.abc import Sequence
from datetime import datetime

from store.allocations import OVER, Allocation, Phase, Sighting
from worker.cluster.cluster import Job
from worker.cluster.place import title

ANSWER_S = 150.0
"""Longer than a submission may take. One that is not in the queue by then was never made."""

NEVER = "it was never submitted: whoever asked for it was killed"
GONE = "it left the queue"


def reconcile(known: Sequence[Allocation], jobs: Sequence[Job], now: datetime) -> list[Sighting]:
    """What is new. `known` must have been read before `jobs`: else one that was just recorded would seem to be over.

    A job is known by its number; one whose number got lost, by its name.
    """
    by_number = {job.number: job for job in jobs}
    by_name = {(job.title, job.task): job for job in jobs}
    news = []
    for one in known:
        job = by_number.get(one.job) or by_name.get((title(one.submission), task_of(one)))
        seen = _missed(one, now) if job is None else _seen(one, job)
        if seen is not None and seen != _known(one):
            news.append(seen)
    return news


def task_of(allocation: Allocation) -> int:
    """Its place in the array."""
    return int(allocation.id.rpartition("-")[2])


def _seen(one: Allocation, job: Job) -> Sighting | None:
    if one.is_over and job.phase in OVER:
        return None  # what was said at its end, such as why it was refused, says more than what is left of the job
    return Sighting(id=one.id, phase=job.phase, job=job.number, node=job.node or one.node, says=job.says)


def _missed(one: Allocation, now: datetime) -> Sighting | None:
    if one.is_over:
        return None
    if one.phase is not Phase.SUBMITTING:
        return Sighting(id=one.id, phase=Phase.ENDED, job=one.job, node=one.node, says=GONE)
    if one.created_at is not None and (now - one.created_at).total_seconds() > ANSWER_S:
        return Sighting(id=one.id, phase=Phase.FAILED, says=NEVER)
    return None


def _known(one: Allocation) -> Sighting:
    return Sighting(id=one.id, phase=one.phase, job=one.job, node=one.node, says=one.says)
