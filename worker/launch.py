"""What is executed for a run: command, folder, variables."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from queueing.placeholders import fill
from store.runs import Run
from worker.gpus import Gpu, cuda_variables
from worker.limits import thread_variables
from worker.rundir import RunDir
from worker.templates import placeholders

TRAINER_MODULES = {"rnn": "trainer"}
HIDDEN_VARIABLES = frozenset({"LABQ_SMTP_PASSWORD"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """What is executed, where, with which variables."""

    command: tuple[str, ...]
    workdir: Path
    env: dict[str, str]
    nice: int = 0
    exclusive: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether it wants nothing of the kernel but to die with us."""
        return self.nice == 0 and not self.exclusive


def plan(run: Run, folder: RunDir, base: Mapping[str, str], resume: Path | None, gpus: Sequence[Gpu] = ()) -> Launch:
    """The launch of a run on these GPUs. Variables of the experiment file go before those that hold it to its limits.

    Raises ValueError when a format does not fit its value.
    """
    if run.task.trainer is not None:
        command: Sequence[str] = [sys.executable, "-P", "-E", "-m", TRAINER_MODULES[run.task.trainer]]
    else:
        command = fill(run.task.command, run.params, run.repeat, placeholders(run, folder))
    inherited = {name: value for name, value in base.items() if name not in HIDDEN_VARIABLES}
    inherited.pop("LABQ_RESUME", None)
    protocol = {
        "LABQ_RUN": run.id,
        "LABQ_ATTEMPT": str(run.attempt),
        "LABQ_DIR": str(folder.path),
        "LABQ_PARAMS": str(folder.params),
        "LABQ_EVENTS": str(folder.events),
        "LABQ_CHECKPOINTS": str(folder.checkpoints),
    }
    if run.task.files:
        protocol["LABQ_FILES"] = str(folder.files)
    if resume is not None and run.checkpoint is not None:
        protocol |= {"LABQ_RESUME": str(resume), "LABQ_RESUME_STEP": str(run.checkpoint.step)}
    limits = {**thread_variables(run.resources.cpus, run.task.env), **cuda_variables(gpus, base)}
    env = {**inherited, "PYTHONUNBUFFERED": "1", **limits, **run.task.env, **protocol}
    return Launch(
        command=tuple(command),
        workdir=Path(run.task.workdir),
        env=env,
        nice=run.resources.nice,
        exclusive=run.task.exclusive,
    )
