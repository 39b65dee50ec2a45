"""The batch script: a pure function of what is asked for and a template.

A template is a shell script with fields: {{shell}} first line, {{directives}} options of the scheduler, {{modules}},
{{setup}}, {{settings}} variables, {{task}} which of an array this is, {{worker}} the command that ends the script.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from store.errors import UserError
from store.schedulers import Scheduler
from worker.cluster.place import Batch, Place

_FIELD = re.compile(r"\{\{\s*([a-z_]*)\s*\}\}")
_NEEDED = ("directives", "settings", "task", "worker")
_TEMPLATES = Path(__file__).parent / "templates"
_MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A text, and where it came from."""

    source: str
    text: str


def read_template(scheduler: Scheduler, chosen: str) -> Template:
    """The user's own, else the one that comes with labq. Raises UserError."""
    path = Path(chosen).expanduser() if chosen else _TEMPLATES / f"{scheduler.value}.sh.in"
    try:
        return Template(source=str(path), text=path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        setting = f"{scheduler.value}_template" if chosen else "template"
        raise UserError(f"{setting} {path} cannot be read: {getattr(error, 'strerror', None) or error}") from error


def slurm_script(place: Place, batch: Batch, template: Template) -> str:
    """Raises UserError when the template names a field that there is not."""
    return _filled(
        template,
        {
            **_common(place, batch),
            "directives": "\n".join(f"#SBATCH {line}" for line in _slurm_options(place, batch)),
            "task": _task(batch, "${SLURM_ARRAY_TASK_ID:-0}"),
        },
    )


def sge_script(place: Place, batch: Batch, template: Template, resources: "SgeNames") -> str:
    """SGE counts the tasks of an array from 1. Raises UserError."""
    return _filled(
        template,
        {
            **_common(place, batch),
            "directives": "\n".join(f"#$ {line}" for line in _sge_options(place, batch, resources)),
            "task": _task(batch, "$SGE_TASK_ID", first=1),
            "worker": _worker(place, batch, ends=True),
        },
    )


def local_script(place: Place, batch: Batch) -> str:
    """For a background worker of this machine; `$1` is its number."""
    common = _common(place, batch)
    profile = "[ ! -r /etc/profile ] || . /etc/profile" if place.modules else ""
    lines = [
        profile,
        f"cd {quote(batch.folder)} || exit",
        *(common[part] for part in ("modules", "setup", "settings")),
        _task(batch, "$1"),
        f'exec >>{quote(f"{batch.logs}/{batch.submission}-")}"$task.log" 2>&1',
        _worker(place, batch, ends=True),
    ]
    return "\n".join(filter(None, lines)) + "\n"


def ssh_script(place: Place, batch: Batch) -> str:
    """For a worker of another machine; `$1` is its number, `$labq_python` and `$labq_logs` that machine knows."""
    common = _common(place, batch)
    lines = [
        "[ ! -r /etc/profile ] || . /etc/profile" if place.modules else "",
        'cd "$HOME" || exit',
        *(common[part] for part in ("modules", "setup", "settings")),
        _task(batch, "$1"),
        f'exec >>"$labq_logs/{batch.submission}-$task.log" 2>&1',
        f'exec "$labq_python" -P -m queueing.cli.main {" ".join(map(quote, _of_whole_machine(place)))}',
    ]
    return "\n".join(filter(None, lines)) + "\n"


def _of_whole_machine(place: Place) -> list[str]:
    """What is not said is not limited: the workers of a machine share its GPUs and its memory among themselves."""
    words = ["worker", f"--queue={place.queue}"]
    words += [f"--cpus={place.cpus}"] if place.cpus else []
    words += [f"--memory={place.memory_bytes}"] if place.memory_bytes else []
    words += [f"--gpus={place.gpus}"] if place.gpus_limited else []
    return [*words, *_habits(place, ends=True)]


@dataclass(frozen=True, slots=True, kw_only=True)
class SgeNames:
    """What this site calls things."""

    slots: str
    memory: str
    gpus: str


# ── options of the schedulers ──
def _slurm_options(place: Place, batch: Batch) -> list[str]:
    kind = f"{place.gpu_kind}:" if place.gpu_kind else ""
    chosen = [
        f"--comment={_quoted(f'labq worker of queue {place.queue}')}",
        "--nodes=1",
        "--ntasks=1",
        f"--cpus-per-task={place.cpus}",
        f"--mem={math.ceil(place.memory_bytes / _MIB)}M" if place.memory_bytes else "",
        f"--gres=gpu:{kind}{place.gpus}" if place.gpus else "",
        f"--time={slurm_time(place.time_s)}" if place.time_s else "",
        # To the batch script alone: what labq has started hears of the end from labq.
        f"--signal=B:USR1@{math.ceil(place.notice_s)}",
        "--requeue",
        "--open-mode=append",
        f"--output={_quoted(_pattern(f'{batch.logs}/{batch.submission}-') + '%a.log')}",
        f"--chdir={_quoted(batch.folder)}",
        "--export=ALL",
        f"--partition={place.partition}" if place.partition else "",
        f"--account={place.account}" if place.account else "",
        f"--constraint={_quoted(place.constraint)}" if place.constraint else "",
    ]
    return [*filter(None, chosen), *place.options]


def _sge_options(place: Place, batch: Batch, names: SgeNames) -> list[str]:
    memory = place.memory_bytes
    chosen = [
        "-S /bin/bash",
        "-V",
        "-notify",
        "-r y",
        "-j y",
        f"-o {_quoted(f'{batch.logs}/{batch.submission}-$TASK_ID.log')}",
        f"-wd {_quoted(batch.folder)}",
        f"-l h_rt={sge_time(place.time_s)}" if place.time_s else "",
        f"-pe {names.slots} {place.cpus}" if place.cpus > 1 else "",
        # Counted per slot.
        f"-l {names.memory}={math.ceil(memory / place.cpus / _MIB)}M" if memory else "",
        f"-l {names.gpus}={place.gpus}" if place.gpus else "",
        f"-l {place.constraint}" if place.constraint else "",
        f"-q {place.partition}" if place.partition else "",
        f"-P {place.account}" if place.account else "",
    ]
    return [*filter(None, chosen), *place.options]


def slurm_time(seconds: float) -> str:
    """`1-02:30:00`; whole seconds, rounded up."""
    minutes, s = divmod(math.ceil(seconds), 60)
    hours, m = divmod(minutes, 60)
    days, h = divmod(hours, 24)
    return f"{days}-{h:02}:{m:02}:{s:02}" if days else f"{h:02}:{m:02}:{s:02}"


def sge_time(seconds: float) -> str:
    """`26:30:00`; whole seconds, rounded up."""
    minutes, s = divmod(math.ceil(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{s:02}"


def _quoted(text: str) -> str:
    """As directives want it: double quotes where there are spaces. Raises UserError."""
    if '"' in text:
        raise UserError(f"{text!r}: a scheduler's directive can hold no double quote")
    return f'"{text}"' if re.search(r"[^A-Za-z0-9_./%:=,@+&|\[\]*$-]", text) else text


def _pattern(path: str) -> str:
    return path.replace("%", "%%")


# ── the script itself ──
def _common(place: Place, batch: Batch) -> dict[str, str]:
    exports = [f"export {name}={quote(value)}" for name, value in sorted(batch.exports.items())]
    handed = [
        f"# {name} holds a password: it comes from the environment of the submission" for name in batch.handed_over
    ]
    return {
        # Only a login shell knows `module` everywhere.
        "shell": "#!/bin/bash -l" if place.modules else "#!/bin/bash",
        "modules": "\n".join(f"module load {quote(module)} || exit" for module in place.modules),
        "setup": "\n".join(place.setup_lines),
        "settings": "\n".join([*exports, *handed]),
        "worker": _worker(place, batch),
    }


def _worker(place: Place, batch: Batch, *, ends: bool = False) -> str:
    """`labq worker`, offering what its place has. `ends`: nobody but we can tell it for how long."""
    words = [*batch.labq, "worker", f"--queue={place.queue}", f"--cpus={place.cpus}"]
    words += [f"--memory={place.memory_bytes}"] if place.memory_bytes else []
    words += ["--gpus=0"] if not place.gpus else []
    words += _habits(place, ends=ends)
    return " ".join(["exec", *map(quote, words), *(['--run-only="${runs[task]}"'] if batch.runs else [])])


def _habits(place: Place, *, ends: bool) -> list[str]:
    words = [f"--tag={tag}" for tag in place.tags]
    words += [f"--idle-exit={place.idle_exit_s:g}"] if place.idle_exit_s else []
    return words + ([f"--until=+{math.ceil(place.time_s)}"] if ends and place.time_s else [])


def _task(batch: Batch, index: str, first: int = 0) -> str:
    lines = [f"task={index}", f"export LABQ_ALLOCATION={batch.submission}-$task"]
    return "\n".join([*lines, f"runs=({' '.join(['-'] * first + list(batch.runs))})"] if batch.runs else lines)


def _filled(template: Template, values: dict[str, str]) -> str:
    """Lines that hold nothing but empty fields are left out."""
    named = _FIELD.findall(template.text)
    if missing := [name for name in _NEEDED if name not in named]:
        raise UserError(f"{template.source}: {{{{{missing[0]}}}}} is missing; {_allowed(values)}")
    lines = []
    for number, line in enumerate(template.text.splitlines(), 1):
        if wrong := [name for name in _FIELD.findall(line) if name not in values]:
            raise UserError(f"{template.source}, line {number}: {{{{{wrong[0]}}}}} is no field; {_allowed(values)}")
        filled = _FIELD.sub(lambda found: values[found[1]], line)
        if filled.strip() or not _FIELD.search(line):
            lines.append(filled)
    return "\n".join(lines) + "\n"


def _allowed(names: Sequence[str] | dict[str, str]) -> str:
    return f"fields are: {', '.join(f'{{{{{name}}}}}' for name in sorted(names))}"
