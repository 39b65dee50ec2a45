"""Slurm: the only file that calls its programmes."""

import re
from collections.abc import Mapping

from store.errors import SchedulerUnavailable
from worker.cluster.command import answer
from worker.cluster.remaining import Remaining

ENDLESS = frozenset({"UNLIMITED", "NOT_SET"})


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


def seconds(text: str) -> float | None:
    """Slurm's durations: `5:00`, `1:02:03`, `1-02:03:04`; None: without an end. Raises SchedulerUnavailable."""
    if text in ENDLESS:
        return None
    found = re.fullmatch(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)", text)
    if found is None:
        raise SchedulerUnavailable(f"a duration that is not understood: {text!r}")
    days, hours, minutes, rest = (int(part or 0) for part in found.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + rest)
