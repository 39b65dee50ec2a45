"""Slurm: the only file that calls its programmes."""

import functools
import math
import os
import re
from collections.abc import Mapping, Sequence

from queueing.units import format_duration
from store.allocations import Phase
from store.errors import SchedulerUnavailable, SubmissionRefused, UserError
from store.identity import user_name
from store.schedulers import Scheduler
from store.settings import Settings
from worker.cluster.cluster import Job
from worker.cluster.command import SUBMIT_S, Answer, answer, ask
from worker.cluster.place import Batch, Place, title
from worker.cluster.remaining import Remaining
from worker.cluster.script import read_template, slurm_script

ENDLESS = frozenset({"UNLIMITED", "NOT_SET"})

_PHASES = {
    **dict.fromkeys(
        ("PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT"), Phase.PENDING
    ),
    **dict.fromkeys(("FAILED", "BOOT_FAIL", "OUT_OF_MEMORY", "LAUNCH_FAILED", "RECONFIG_FAIL"), Phase.FAILED),
    **dict.fromkeys(
        ("COMPLETED", "CANCELLED", "TIMEOUT", "PREEMPTED", "NODE_FAIL", "DEADLINE", "REVOKED"), Phase.ENDED
    ),
}
"""Every other state has a node and is not over."""

_FULL = re.compile(
    "submit limit|MaxSubmit|max submit|job count|temporarily unable to accept|QOSMax|AssocMax|AssocGrp|QOSGrp",
    re.IGNORECASE,
)
"""In refusals that fewer jobs, or the same later, would not meet."""

_AWAY = re.compile("Unable to contact|Connection (refused|timed out)|Socket timed out|Zero Bytes", re.IGNORECASE)
_CANCEL_AT_ONCE = 500


# ── time ──
def job_here(environ: Mapping[str, str]) -> str | None:
    """The job around this process as `squeue` takes it: `12`, or `12_3` for a task of an array.

    A task's own number would not do: that of the last task is also the number of the whole array.
    """
    array, task = environ.get("SLURM_ARRAY_JOB_ID"), environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{task}" if array and task else environ.get("SLURM_JOB_ID") or None


def time_left(job: str) -> Remaining:
    """How much time the job has left, on Slurm's clock: no time zone, and suspended time does not count.

    Raises SchedulerUnavailable.
    """
    words = answer(["squeue", "--noheader", "--array", "--jobs", job, "--format", "%L %l"]).split()
    if len(words) != 2:
        raise SchedulerUnavailable(f"squeue does not know job {job}")
    return Remaining(left_s=seconds(words[0]), whole_s=seconds(words[1]))


def kill_wait_s() -> float:
    """From SIGTERM to SIGKILL, at a time limit, a preemption or a scancel. Raises SchedulerUnavailable."""
    found = re.search(r"^KillWait\s*=\s*(\d+)", answer(["scontrol", "show", "config"]), re.MULTILINE)
    if found is None:
        raise SchedulerUnavailable("scontrol show config names no KillWait")
    return float(found[1])


def requeue(job: str) -> None:
    """The same job once more, from its beginning; Slurm lets it wait for two minutes. Raises SchedulerUnavailable."""
    answer(["scontrol", "requeue", job])


def seconds(text: str) -> float | None:
    """Slurm's durations: `5:00`, `1:02:03`, `1-02:03:04`; None: without an end. Raises SchedulerUnavailable."""
    if text in ENDLESS:
        return None
    found = re.fullmatch(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)", text)
    if found is None:
        raise SchedulerUnavailable(f"a duration that is not understood: {text!r}")
    days, hours, minutes, rest = (int(part or 0) for part in found.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + rest)


# ── places for workers ──
class Slurm:
    """The cluster of the user's Slurm commands (SLURM_CONF, PATH)."""

    scheduler = Scheduler.SLURM
    first_task = 0

    def __init__(self, settings: Settings) -> None:
        self._template = settings.slurm_template

    def name(self) -> str:
        """ClusterName of slurm.conf."""
        return self._config("ClusterName")

    def most_at_once(self) -> int:
        """Indices go up to MaxArraySize - 1. 0 means that there are no arrays."""
        return max(1, int(self._config("MaxArraySize")))

    def hosts(self, place: Place) -> frozenset[str]:
        """Host names of the partition's nodes: several nodes may share one."""
        lines = [line.split("|") for line in _asked(["sinfo", "-h", "-N", "-o", "%n|%P"]).out.split()]
        return frozenset(host for host, partition in lines if _is_meant(partition, place))

    def check(self, place: Place) -> None:
        """Slurm itself would, as most are set up, take such jobs and let them wait for ever."""
        lines = [line.split("|") for line in _asked(["sinfo", "-h", "-o", "%P|%l|%a"]).out.split()]
        there = sorted({name.rstrip("*") for name, _, _ in lines})
        if unknown := [name for name in place.partition.split(",") if name and name not in there]:
            raise UserError(f"Slurm has no partition {unknown[0]!r}; there are: {', '.join(there)}")
        chosen = [line for line in lines if _is_meant(line[0], place)]
        if not chosen:
            raise UserError(f"this Slurm has no default partition: --partition {', '.join(there)}")
        name = ",".join(partition.rstrip("*") for partition, _, _ in chosen)
        if all(state not in ("up", "down") for _, _, state in chosen):  # down: it takes jobs for later
            raise UserError(f"partition {name} takes no jobs, it is {chosen[0][2]}; there are: {', '.join(there)}")
        longest_s = max(_seconds(limit) for _, limit, _ in chosen)
        if place.time_s is not None and place.time_s > longest_s:
            asked, allowed = format_duration(place.time_s), format_duration(longest_s)
            raise UserError(f"--time is {asked}; partition {name} allows {allowed} at most")

    def script(self, place: Place, batch: Batch) -> str:
        """The file deploy/slurm.sh.in, or the user's, filled in."""
        return slurm_script(place, batch, read_template(self.scheduler, self._template))

    def submit(self, script: str, submission: str, count: int, env: Mapping[str, str]) -> list[str]:
        """One array, also for one task: then all numbers look alike."""
        command = ["sbatch", "--parsable", f"--job-name={title(submission)}", f"--array=0-{count - 1}"]
        try:
            answer = ask(command, of="Slurm", timeout_s=SUBMIT_S, env={**_own_environment(), **env}, stdin=script)
        except SchedulerUnavailable as error:
            if _FULL.search(str(error)):  # sbatch waits by itself when Slurm has too many jobs
                raise SubmissionRefused(f"Slurm takes no more jobs: {error}", full=True) from error
            raise
        found = re.search(r"^(\d+)(;\S+)?$", answer.out, re.MULTILINE)
        if answer.code != 0 or found is None:
            raise _refusal(answer)
        return [f"{found[1]}_{task}" for task in range(count)]

    def jobs(self) -> list[Job]:
        """Those that ended less than MinJobAge (five minutes) ago are among them."""
        listed = _asked(["squeue", "-r", "-h", "-t", "all", "-u", user_name(), "-o", "%i|%T|%N|%j|%r"])
        return [job for line in listed.out.splitlines() if (job := _job(line)) is not None]

    def keep_from_coming_back(self, numbers: Sequence[str]) -> None:
        """What has ended meanwhile does not come back anyway."""
        for number in numbers:
            ask(["scontrol", "update", f"jobid={number}", "requeue=0"], of="Slurm")

    def cancel(self, numbers: Sequence[str]) -> None:
        """By the hundreds."""
        for start in range(0, len(numbers), _CANCEL_AT_ONCE):
            answer = ask(["scancel", *numbers[start : start + _CANCEL_AT_ONCE]], of="Slurm")
            if _AWAY.search(answer.err):
                raise SchedulerUnavailable(f"Slurm does not answer: {answer.words}")

    def _config(self, key: str) -> str:
        found = re.search(rf"^{key}\s*= (\S+)", self._configuration, re.MULTILINE)
        if found is None:
            raise SchedulerUnavailable(f"scontrol show config does not tell {key}")
        return found[1]

    @functools.cached_property
    def _configuration(self) -> str:
        return _asked(["scontrol", "show", "config"]).out


def _asked(command: Sequence[str]) -> Answer:
    """A look that must succeed."""
    answer = ask(command, of="Slurm")
    if answer.code != 0:
        raise SchedulerUnavailable(f"Slurm does not answer: {answer.words}")
    return answer


def _refusal(answer: Answer) -> Exception:
    words = answer.words.replace("sbatch: error: ", "").replace("Batch job submission failed: ", "")
    if _AWAY.search(answer.err):
        return SchedulerUnavailable(f"Slurm does not answer: {words}")
    return SubmissionRefused(f"Slurm refused: {words}", full=_FULL.search(words) is not None)


def _job(line: str) -> Job | None:
    """A line of squeue; None for a job that is none of ours."""
    number, state, nodes, title, reason = line.split("|", 4)
    found = re.fullmatch(r"\d+(?:_(\d+))?", number)
    if found is None or not title.startswith("labq-"):
        return None
    phase = _PHASES.get(state, Phase.RUNNING)
    says = {Phase.RUNNING: "" if state == "RUNNING" else state}.get(phase, state)
    if phase is Phase.PENDING:
        says = "" if reason == "None" else reason
    elif phase is Phase.FAILED and reason not in ("None", ""):
        says = f"{state}: {reason}"
    return Job(number=number, title=title, task=int(found[1] or 0), phase=phase, says=says, node=nodes)


def _is_meant(partition: str, place: Place) -> bool:
    """Slurm marks its default partition with a star."""
    return partition.rstrip("*") in place.partition.split(",") if place.partition else partition.endswith("*")


def _seconds(limit: str) -> float:
    """`1-02:30:00`, `30:00`, `infinite`."""
    if limit in ("infinite", "UNLIMITED", "n/a"):
        return math.inf
    days, _, clock = limit.rpartition("-")
    parts = [int(part) for part in clock.split(":")]
    while len(parts) < 3:
        parts.insert(0, 0)
    return int(days or 0) * 86400 + parts[0] * 3600 + parts[1] * 60 + parts[2]


def _own_environment() -> dict[str, str]:
    """Without what describes the job that we may be in ourselves: the new one would inherit its limits."""
    if "SLURM_JOB_ID" not in os.environ:
        return dict(os.environ)
    return {name: v for name, v in os.environ.items() if not name.startswith("SLURM_") or name == "SLURM_CONF"}
