"""What one place for a worker is to have, and the job around it: plain data, made from options and settings."""

import argparse
import math
import re
from dataclasses import dataclass, field, replace

from store.errors import UserError
from store.runs import Resources
from store.schedulers import Scheduler
from store.settings import Settings
from worker.cluster.words import duration, gpus, size


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What is asked of the scheduler. `partition` and `account` are what SGE calls queue and project."""

    queue: str
    time_s: float | None
    """None: without an end, on a machine of one's own."""
    memory_bytes: int | None = None
    cpus: int = 1
    """0: those that its machine has."""
    gpus: int = 0
    gpu_kind: str = ""
    gpus_limited: bool = True
    """Else the worker offers those that its machine has."""
    tags: tuple[str, ...] = ()
    partition: str = ""
    account: str = ""
    constraint: str = ""
    options: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    setup_lines: tuple[str, ...] = ()
    idle_exit_s: float | None = None
    notice_s: float = 120.0

    @property
    def offers(self) -> Resources:
        """What the worker in it may promise a run."""
        return Resources(
            gpus=self.gpus, cpus=self.cpus or None, memory_bytes=self.memory_bytes, time_s=self.time_s, tags=self.tags
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The job around places that are asked for at once. `runs`: of each task the one run that it is for."""

    submission: str
    folder: str
    logs: str
    labq: tuple[str, ...]
    exports: dict[str, str] = field(default_factory=dict)
    """Variables that the script sets."""
    handed_over: tuple[str, ...] = ()
    """Variables that come from the environment of the submission, for they hold passwords."""
    runs: tuple[str, ...] = ()


def title(submission: str) -> str:
    """The job's name, by which it is found again."""
    return f"labq-{submission}"


def place_from(options: argparse.Namespace, settings: Settings, scheduler: Scheduler) -> Place:
    """What the options and, where they are silent, the settings say. Raises UserError."""
    kind, number = gpus(options.gpus or "0")
    partition, account, constraint, more = _of_scheduler(settings, scheduler)
    default_s = None if scheduler in (Scheduler.LOCAL, Scheduler.SSH) else settings.allocation_time_s
    time_s = duration("--time", options.time) or default_s
    return Place(
        queue=options.queue or settings.queue,
        time_s=time_s,
        memory_bytes=size("--memory", options.memory),
        cpus=options.cpus or 1,
        gpus=number,
        gpu_kind=kind,
        tags=tuple(options.tag),
        partition=_word("--partition", options.partition or partition),
        account=_word("--account", options.account or account),
        constraint=_line("--constraint", options.constraint or constraint),
        options=tuple(_option(one) for one in (*more, *options.option)),
        modules=tuple(_word("--module", one) for one in (*settings.modules, *options.module)),
        setup_lines=tuple(_line("setup_lines", one) for one in settings.setup_lines),
        idle_exit_s=duration("--idle-exit", options.idle_exit),
        # Half of a short allocation is for working.
        notice_s=min(settings.allocation_notice_s, (time_s or math.inf) / 2),
    )


def on_whole_machine(place: Place, options: argparse.Namespace) -> Place:
    """What is not said is not limited: whoever names a machine means all of it. Raises UserError."""
    for name in ("partition", "account", "constraint", "option"):
        if getattr(options, name):
            raise UserError(f"--{name} is for the jobs of a scheduler; --on ssh has none")
    if place.gpu_kind:
        raise UserError(f"--gpus {options.gpus}: with --on ssh a number alone; the machine has the GPUs it has")
    return replace(place, cpus=options.cpus or 0, gpus_limited=options.gpus is not None)


def _of_scheduler(settings: Settings, scheduler: Scheduler) -> tuple[str, str, str, tuple[str, ...]]:
    if scheduler is Scheduler.SLURM:
        return settings.slurm_partition, settings.slurm_account, settings.slurm_constraint, settings.slurm_options
    if scheduler is Scheduler.SGE:
        return settings.sge_queue, settings.sge_project, "", settings.sge_options
    return "", "", "", ()


def _word(name: str, text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._/+:@,-]*", text):
        raise UserError(f"{name} {text!r}: allowed: letters, digits and . _ / + : @ , -")
    return text


def _line(name: str, text: str) -> str:
    if any(not character.isprintable() and character != "\t" for character in text):
        raise UserError(f"{name} {text!r}: allowed: one line of printable text")
    return text


def _option(text: str) -> str:
    if not text.startswith("-"):
        raise UserError(f"--option {text!r}: allowed: an option of the scheduler, such as --option=--qos=long")
    return _line("--option", text)
