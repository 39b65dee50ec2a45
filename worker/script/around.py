"""The batch job around somebody's script, as its variables tell: which one, and which of its starts this is."""

import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass

import psutil

from worker.cluster import sge, slurm

_NO_NAMES = frozenset({"wrap", "bash", "sh", "interactive", "STDIN", "QLOGIN", "QRLOGIN"})
"""How schedulers call jobs that nobody has named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """A job. `start` differs between its starts; `is_again`: the scheduler has started the script before."""

    job: str
    start: str
    is_again: bool
    name: str = ""


def around(environ: Mapping[str, str]) -> Around | None:
    """None outside of jobs."""
    if (job := slurm.job_here(environ)) is not None:
        count = environ.get("SLURM_RESTART_COUNT") or "0"
        return Around(
            job=f"slurm:{environ.get('SLURM_CLUSTER_NAME', '')}:{job}{_rank(environ)}",
            start=count,
            is_again=count != "0",
            name=_name(environ.get("SLURM_JOB_NAME", "")),
        )
    if (task := sge.job_here(environ)) is not None:
        where = environ.get("SGE_CLUSTER_NAME") or environ.get("SGE_CELL", "")
        return Around(
            job=f"sge:{where}:{task.number}.{task.task}",
            start=_session(),
            is_again=environ.get("RESTARTED") == "1",
            name=_name(environ.get("JOB_NAME", "")),
        )
    return None


def _rank(environ: Mapping[str, str]) -> str:
    """Of several tasks of a step each is somebody: `srun -n 4 labq exec …`."""
    several = environ.get("SLURM_STEP_NUM_TASKS", "1") not in ("", "1")
    return f"#{environ.get('SLURM_PROCID', '')}" if several else ""


def _session() -> str:
    """SGE does not count: the job's shell leads a session, which began when the job did."""
    leader = os.getsid(0)
    try:
        began = f"{psutil.Process(leader).create_time():.2f}"
    except psutil.Error:
        began = ""
    return f"{socket.gethostname()}/{leader}/{began}"


def _name(name: str) -> str:
    """As an experiment may be called; empty when nobody has named the job."""
    return "" if name in _NO_NAMES else as_name(name)


def as_name(text: str) -> str:
    """Letters, digits, '.', '_' and '-' alone, 64 at most, one of the first two in front."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._")[:64]
