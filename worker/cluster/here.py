"""The allocation around this process, whichever scheduler granted it."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from worker.cluster import sge, slurm
from worker.cluster.remaining import Remaining


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """An allocation. `ask` and `notice` call the scheduler: they raise SchedulerMissing, SchedulerUnavailable.

    `known`: what the environment says without a call. `notice`: seconds from the last signal to SIGKILL.
    `usr1_is_last`: SIGUSR1 comes that long before; else at a time that whoever submitted the job has chosen.
    """

    name: str
    ask: Callable[[], Remaining]
    notice: Callable[[], float | None]
    known: Remaining | None = None
    usr1_is_last: bool = False


def granted_here(environ: Mapping[str, str]) -> Granted | None:
    """None on a machine of one's own."""
    if (job := slurm.job_here(environ)) is not None:
        return Granted(
            name=f"slurm:{job}",
            ask=lambda: slurm.time_left(job),
            notice=slurm.kill_wait_s,
            known=_slurm_knows(environ, time.time()),
        )
    if (task := sge.job_here(environ)) is not None:
        number = f"{task.number}.{task.task}" if environ.get("SGE_TASK_ID", "").isdigit() else task.number
        return Granted(
            name=f"sge:{number}",
            ask=lambda: sge.time_left(task),
            notice=lambda: sge.queue_limits(task.queue).notify_s,
            usr1_is_last=True,
        )
    return None


def _slurm_knows(environ: Mapping[str, str], now: float) -> Remaining | None:
    """Newer versions tell every job when it ends, in seconds of the epoch."""
    with suppress(KeyError, ValueError):
        end = float(environ["SLURM_JOB_END_TIME"])
        left_s = max(0.0, end - now)
        start = float(environ.get("SLURM_JOB_START_TIME", now))
        return Remaining(left_s=left_s, whole_s=max(left_s, end - start))
    return None
