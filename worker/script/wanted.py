"""What somebody wants to have tracked, and the run that this makes. Pure, but for what is said of the folder."""

import json
import shlex
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path, PurePath
from typing import Any

from queueing.keys import canonical, run_id
from queueing.space.names import clash, placed
from queueing.values import mistakes_in_values
from store.errors import UserError
from store.experiments import Experiment
from store.runs import Notify, Resources, Retry, Run, Task
from store.schedulers import Scheduler
from store.states import Reason
from worker.script.around import Around, as_name

RETRY = Retry(max=1_000_000, on=(Reason.LOST,))
"""It is the script that tries again. A run whose process was killed waits for it."""

OCCASIONS = ("finished", "failed", "interrupted")
_RUNNERS = ("python", "pypy", "bash", "sh", "Rscript", "julia", "perl", "ruby", "node", "java", "torchrun", "srun")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A command in a folder, and what the run is to be called. `resume`: a run that is there already, or its prefix.

    `key`: the same key in the same experiment is the same run, whenever and wherever.
    """

    experiment: str
    command: tuple[str, ...]
    workdir: str
    params: dict[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    queue: str = "default"
    grace_s: float = 30.0
    notify_to: tuple[str, ...] = ()
    key: str | None = None
    resume: str | None = None
    owner: str = ""


def name_for(command: Sequence[str], job: Around | None) -> str:
    """The job's name, else that of the programme: `train` of `python -u exps/train.py --lr 0.1`."""
    if job is not None and job.name:
        return job.name
    return as_name(_programme(command)) or "script"


def _programme(command: Sequence[str]) -> str:
    first = PurePath(command[0]).name if command else ""
    if not first.startswith(_RUNNERS):
        return first
    for word, before in zip(command[1:], command, strict=False):
        if before == "-m":
            return word
        if before == "-c":
            break
        if "." in PurePath(word).name and not word.startswith("-"):
            return PurePath(word).stem
    return first


def params_of(assigned: Sequence[str], command: Sequence[str]) -> dict[str, Any]:
    """`lr=0.1` of `--param`, before what the command itself says plainly. Raises UserError."""
    said = dict(_assigned(text) for text in assigned)
    plain = {name: value for name, value in plain_in(command).items() if clash(name, said) is None}
    names = list(said)
    for position, name in enumerate(names):
        if (other := clash(name, names[:position])) is not None:
            raise UserError(f"--param {name}: cannot stand beside {other}")
    params = placed({}, {**plain, **said})
    if mistakes := mistakes_in_values(params):
        path, words = mistakes[0]
        raise UserError(f"--param {'.'.join(str(part) for part in path)}: {words}")
    return params


def _assigned(text: str) -> tuple[str, Any]:
    name, sign, value = text.partition("=")
    if not sign or not name or not all(part.isidentifier() for part in name.split(".")):
        raise UserError(f"--param {text!r}: allowed: NAME=VALUE, such as lr=0.1 or optimizer.name=adam")
    return name, value_of(value)


def value_of(text: str) -> Any:
    """A number, true, false, a list or table as JSON has them; anything else is a text."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return text if value is None or (isinstance(value, float) and value - value != 0) else value


def plain_in(command: Sequence[str]) -> dict[str, Any]:
    """What cannot be misread: `--lr=0.1`, `--lr 0.1` (numbers only), and `lr=0.1` without dashes."""
    found: dict[str, Any] = {}
    for position, word in enumerate(command[1:], 1):
        name, sign, value = word.lstrip("-").partition("=")
        name = name.replace("-", "_")
        if not all(part.isidentifier() for part in name.split(".")) or clash(name, found):
            continue
        following = command[position + 1] if position + 1 < len(command) else ""
        if sign and len(value) <= 200:
            found[name] = value_of(value)
        elif word.startswith("--") and not sign and _is_number(following):
            found[name] = value_of(following)
    return found


def _is_number(text: str) -> bool:
    value = value_of(text)
    return isinstance(value, int | float) and not isinstance(value, bool)


# ── the run ──
def key_for(wanted: Wanted, job: Around | None, number: int) -> str:
    """Of the run's identity. The same line of the same job makes the same key when the job is started again.

    `number`: how many runs of this line the job has begun before.
    """
    if wanted.key is not None:
        what: list[Any] = ["key", wanted.key]
    elif job is not None:
        what = ["job", job.job, wanted.command, wanted.workdir, wanted.params, number]
    else:
        what = ["once", uuid.uuid4().hex]
    return _hash(["script", wanted.owner, wanted.experiment, *what])


def _hash(what: list[Any]) -> str:
    import hashlib

    return hashlib.sha256(canonical(what).encode()).hexdigest()


def run_for(wanted: Wanted, key: str, now: datetime, provenance: Mapping[str, Any], notify: Notify) -> Run:
    """A queued run that no worker but the one for it may claim."""
    return Run(
        id=run_id(key),
        key=key,
        experiment=wanted.experiment,
        params=wanted.params,
        task=task_for(wanted),
        queue=wanted.queue,
        tags=wanted.tags,
        resources=Resources(on=Scheduler.SCRIPT),
        retry=RETRY,
        notify=notify,
        owner=wanted.owner,
        provenance=dict(provenance),
        queued_at=now,
    )


def task_for(wanted: Wanted) -> Task:
    """What is executed."""
    return Task(command=wanted.command, workdir=wanted.workdir, grace_s=wanted.grace_s)


def literal(task: Task) -> Task:
    """The same with its braces doubled: in the command of an experiment file they are placeholders."""
    command = tuple(word.replace("{", "{{").replace("}", "}}") for word in task.command)
    return Task(command=command, workdir=task.workdir, grace_s=task.grace_s)


def experiment_for(wanted: Wanted, now: datetime) -> Experiment:
    """The group, where there is none of this name."""
    return Experiment(
        name=wanted.experiment,
        owner=wanted.owner,
        source=str(Path(wanted.workdir)),
        text=shlex.join(wanted.command),
        tags=wanted.tags,
        created_at=now,
    )
