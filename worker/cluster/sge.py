"""SGE and its descendants: the only file that calls their programmes."""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from xml.etree import ElementTree

from store.errors import SchedulerUnavailable
from worker.cluster.command import answer
from worker.cluster.remaining import Remaining

_MILLISECONDS = 10**11
"""Univa's start times are counted in these."""


# ── time ──
@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job, or a task of an array job, and the queue that it runs in."""

    number: str
    task: str
    queue: str


def job_here(environ: Mapping[str, str]) -> Job | None:
    """The job around this process."""
    number = environ.get("JOB_ID")
    if not number or not environ.get("SGE_ROOT"):
        return None
    task = environ.get("SGE_TASK_ID", "")
    return Job(number=number, task=task if task.isdigit() else "1", queue=environ.get("QUEUE", ""))


def time_left(job: Job) -> Remaining:
    """By the job's h_rt or its queue's, whichever ends first. Raises SchedulerUnavailable."""
    asked_s, started_at = read_job(answer(["qstat", "-xml", "-j", job.number]), job.task)
    limits = [limit for limit in (asked_s, queue_limits(job.queue).h_rt_s) if limit is not None]
    if not limits:
        return Remaining(left_s=None, whole_s=None)
    whole_s = min(limits)
    return Remaining(left_s=max(0.0, started_at + whole_s - time.time()), whole_s=whole_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueLimits:
    """Seconds: the longest that a job may run, and from the notifying signal to SIGKILL. None: without an end."""

    h_rt_s: float | None
    notify_s: float | None


def queue_limits(queue: str) -> QueueLimits:
    """What the configuration of a queue says. Raises SchedulerUnavailable."""
    return read_queue(answer(["qconf", "-sq", queue])) if queue else QueueLimits(h_rt_s=None, notify_s=None)


def read_job(xml: str, task: str) -> tuple[float | None, float]:
    """h_rt that the job asked for, and when its task began, in seconds of the epoch. Raises SchedulerUnavailable."""
    try:
        tree = ElementTree.fromstring(xml)
        asked = {
            one.findtext("CE_name", ""): float(one.findtext("CE_doubleval", "0"))
            for one in tree.iter("qstat_l_requests")
        }
        began = {one.findtext("JAT_task_number", ""): one.findtext("JAT_start_time") for one in tree.iter()}
        start = float(began.get(task) or "nan")
    except (ElementTree.ParseError, ValueError) as error:
        raise SchedulerUnavailable(f"qstat -xml: an answer that is not understood: {error}") from error
    if not start > 0:
        raise SchedulerUnavailable("qstat does not say when the job began")
    return asked.get("h_rt"), start / 1000 if start > _MILLISECONDS else start


def read_queue(text: str) -> QueueLimits:
    """From `qconf -sq`. A list of values, one per host, counts with its smallest."""
    return QueueLimits(h_rt_s=_limit(text, "h_rt"), notify_s=_limit(text, "notify"))


def _limit(text: str, name: str) -> float | None:
    found = re.search(rf"^{name}\s+(.*)$", text, re.MULTILINE)
    times = re.findall(r"(\d+):(\d+):(\d+)", found[1]) if found else []
    return min((float(int(h) * 3600 + int(m) * 60 + int(s)) for h, m, s in times), default=None)
