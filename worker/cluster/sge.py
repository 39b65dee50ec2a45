"""SGE and its descendants: the only file that calls their programmes."""

import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from xml.etree import ElementTree

from store.allocations import Phase
from store.errors import SchedulerUnavailable, SubmissionRefused, UserError
from store.identity import user_name
from store.schedulers import Scheduler
from store.settings import Settings
from worker.cluster import cluster
from worker.cluster.command import SUBMIT_S, Answer, answer, ask
from worker.cluster.place import Batch, Place, title
from worker.cluster.remaining import Remaining
from worker.cluster.script import SgeNames, read_template, sge_script

_MILLISECONDS = 10**11
"""Univa's start times are counted in these."""

_FULL = re.compile("jobs are allowed|with more than|job limit|max_u_jobs|max_jobs|quota", re.IGNORECASE)
"""In refusals that fewer jobs, or the same later, would not meet."""

_AWAY = re.compile("unable to (contact|send message)|got no response|can't connect|commlib error", re.IGNORECASE)


AGAIN = 99
"""The exit code with which a job asks to be started once more."""


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


# ── places for workers ──
class Sge:
    """The cluster of the user's SGE commands (SGE_ROOT, SGE_CELL, PATH)."""

    scheduler = Scheduler.SGE
    first_task = 1

    def __init__(self, settings: Settings) -> None:
        self._template = settings.sge_template
        self._names = SgeNames(slots=settings.sge_slots, memory=settings.sge_memory, gpus=settings.sge_gpus)

    def name(self) -> str:
        """The machine of the scheduler, and the cell."""
        return f"{_asked(['qconf', '-sss']).out.strip()}/{os.environ.get('SGE_CELL', 'default')}"

    def most_at_once(self) -> int:
        """max_aj_tasks of the global configuration; 0 there means no limit."""
        found = re.search(r"^max_aj_tasks\s+(\d+)", _asked(["qconf", "-sconf"]).out, re.MULTILINE)
        return int(found[1]) if found is not None and int(found[1]) > 0 else 75_000

    def hosts(self, _place: Place, /) -> frozenset[str]:
        """All execution hosts."""
        return frozenset(_asked(["qconf", "-sel"]).out.split())

    def check(self, place: Place) -> None:
        """SGE itself names the queues that there are not, but not those that there are."""
        if not place.partition:
            return
        queues = _asked(["qconf", "-sql"]).out.split()
        wanted = [name.partition("@")[0] for name in place.partition.split(",")]
        if unknown := [name for name in wanted if name not in queues]:
            raise UserError(f"SGE has no queue {unknown[0]!r}; there are: {', '.join(sorted(queues))}")

    def script(self, place: Place, batch: Batch) -> str:
        """The file deploy/sge.sh.in, or the user's, filled in."""
        return sge_script(place, batch, read_template(self.scheduler, self._template), self._names)

    def submit(self, script: str, submission: str, count: int, env: Mapping[str, str]) -> list[str]:
        """One array, also for one task. `-w e`: what no machine could ever run is refused, not kept for ever."""
        command = ["qsub", "-terse", "-w", "e", "-N", title(submission), "-t", f"1-{count}"]
        answer = ask(command, of="SGE", timeout_s=SUBMIT_S, env={**os.environ, **env}, stdin=script)
        found = re.search(r"^(\d+)", answer.out, re.MULTILINE)
        if answer.code != 0 or found is None:
            raise _refusal(answer)
        return [f"{found[1]}.{task}" for task in range(1, count + 1)]

    def jobs(self) -> list[cluster.Job]:
        """SGE forgets a job when it ends."""
        listed = _asked(["qstat", "-xml", "-g", "d", "-u", user_name()]).out
        try:
            jobs = list(_jobs(ElementTree.fromstring(listed)))  # of a programme that we trust with our jobs
        except ElementTree.ParseError as error:
            raise SchedulerUnavailable(f"SGE's qstat -xml cannot be read: {error}") from error
        reasons = self._reasons(jobs)
        return [_with_reason(job, reasons) for job in jobs]

    def keep_from_coming_back(self, numbers: Sequence[str]) -> None:
        """For whole arrays: SGE alters no task by itself."""
        for job in sorted({number.partition(".")[0] for number in numbers}):
            ask(["qalter", "-r", "n", job], of="SGE")

    def cancel(self, numbers: Sequence[str]) -> None:
        """Task by task: the others of the array stay."""
        for number in numbers:
            job, _, task = number.partition(".")
            answer = ask(["qdel", job, *(["-t", task] if task else [])], of="SGE")
            if _AWAY.search(answer.words):
                raise SchedulerUnavailable(f"SGE does not answer: {answer.words}")

    def _reasons(self, jobs: Sequence[cluster.Job]) -> dict[str, str]:
        """Why jobs wait, as far as the scheduler tells: one question for all of them."""
        waiting = sorted({job.number.partition(".")[0] for job in jobs if job.phase is Phase.PENDING})
        if not waiting:
            return {}
        told = ask(["qstat", "-j", ",".join(waiting)], of="SGE").out
        found: dict[str, str] = {}
        for part in re.split(r"^=+$", told, flags=re.MULTILINE):
            number = re.search(r"^job_number:\s+(\d+)", part, re.MULTILINE)
            said = re.search(r"^(?:error reason\s+\d+|scheduling info):\s+(.*)$", part, re.MULTILINE)
            if number is not None and said is not None:
                found[number[1]] = said[1].strip()
        return found


def _asked(command: Sequence[str]) -> Answer:
    """A look that must succeed."""
    answer = ask(command, of="SGE")
    if answer.code != 0:
        raise SchedulerUnavailable(f"SGE does not answer: {answer.words}")
    return answer


def _refusal(answer: Answer) -> Exception:
    words = answer.words.replace("Unable to run job: ", "").replace("job rejected: ", "").rstrip("; .")
    if _AWAY.search(words):
        return SchedulerUnavailable(f"SGE does not answer: {words}")
    return SubmissionRefused(f"SGE refused: {words}", full=_FULL.search(words) is not None)


def _jobs(listed: ElementTree.Element) -> Iterator[cluster.Job]:
    for one in listed.iter("job_list"):
        title = one.findtext("JB_name", "")
        if not title.startswith("labq-"):
            continue
        number, letters = one.findtext("JB_job_number", ""), one.findtext("state", "")
        node = one.findtext("queue_name", "").partition("@")[2]
        for task in _tasks(one.findtext("tasks", "1")):
            phase, says = _phase(letters)
            yield cluster.Job(number=f"{number}.{task}", title=title, task=task, phase=phase, says=says, node=node)


def _phase(letters: str) -> tuple[Phase, str]:
    """SGE's letters: E error, h held, q waits, r runs, t on its way to a machine, R again, d is deleted, s asleep."""
    if "E" in letters:
        return Phase.FAILED, f"{letters}: it could not be started"
    if "q" in letters:
        return Phase.PENDING, "held" if "h" in letters else ""
    return Phase.RUNNING, "" if letters in ("r", "t", "Rr", "Rt") else letters


def _tasks(text: str) -> Iterator[int]:
    """`3`, `1,2`, `4-10:2`."""
    for part in text.split(","):
        found = re.fullmatch(r"(\d+)(?:-(\d+)(?::(\d+))?)?", part.strip())
        if found is not None:
            first, last, step = int(found[1]), int(found[2] or found[1]), int(found[3] or 1)
            yield from range(first, last + 1, max(step, 1))


def _with_reason(job: cluster.Job, reasons: Mapping[str, str]) -> cluster.Job:
    said = reasons.get(job.number.partition(".")[0], "")
    return replace(job, says=said) if job.phase is Phase.PENDING and said and not job.says else job
