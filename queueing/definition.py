"""From a file to a checked Definition: every mistake is found before anything is written."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from queueing.expand import Definition, configurations, sweep_mistakes
from queueing.experiment_file import ExperimentFile
from queueing.mistakes import at, sentences, shortened
from queueing.placeholders import fill, mistakes_in
from queueing.reading import line_of, read_file
from queueing.values import mistakes_in_values
from store.errors import BadExperiment
from store.runs import Task
from store.settings import Settings

_TRAINER_MODULES = {"rnn": "trainer"}
_CHECK_S = 120


def define(path: Path, settings: Settings) -> Definition:
    """Read and check an experiment file. Raises BadExperiment with all its mistakes."""
    table, text = read_file(path)
    return define_table(table, text, path, settings)


def define_table(table: dict[str, Any], text: str, path: Path, settings: Settings) -> Definition:
    """Check a table that was read from `path`, or that a Python programme made."""
    source, is_toml = str(path), path.suffix.lower() == ".toml"
    file = _validated(table, text, source, is_toml=is_toml)
    mistakes = [*_task_mistakes(file), *sweep_mistakes(file), *_env_mistakes(file)]
    workdir, said = _workdir(file, path)
    _raise(source, text, [*mistakes, *said], is_toml=is_toml)
    definition = _definition(file, workdir, path, text, settings)
    _raise(source, text, _run_mistakes(definition), is_toml=False)
    return definition


def _validated(table: dict[str, Any], text: str, source: str, *, is_toml: bool) -> ExperimentFile:
    if bad := mistakes_in_values(table):
        raise BadExperiment(source, shortened([at(path, said, text, is_toml=is_toml) for path, said in bad[:100]]))
    try:
        return ExperimentFile.model_validate(table)
    except ValidationError as error:
        raise BadExperiment(source, shortened(sentences(error, ExperimentFile, text, is_toml=is_toml))) from error


def _workdir(file: ExperimentFile, path: Path) -> tuple[Path, list[str]]:
    """The folder a run starts in, and what is wrong with it."""
    if file.workdir == "":
        return path, ['workdir: is empty; "." is the folder of this file']
    try:
        workdir = (path.absolute().parent / Path(file.workdir or ".").expanduser()).resolve()
        if workdir.is_dir():
            return workdir, []
        return path, [
            f"workdir: {workdir} is a file, not a folder"
            if workdir.exists()
            else f"workdir: there is no folder {workdir}"
        ]
    except (OSError, ValueError, RuntimeError) as error:
        return path, [f"workdir: {getattr(error, 'strerror', None) or error}"]


def _task_mistakes(file: ExperimentFile) -> list[str]:
    if (file.command is None) == (file.trainer is None):
        given = "both are" if file.command is not None else "neither is"
        return [f"command, trainer: {given} given; an experiment has exactly one of them"]
    if file.command is None:
        return []
    if not file.command or not file.command[0].strip():
        return ['command: is empty; allowed: a list such as ["python", "train.py", "--lr", "{lr}"]']
    unused = [f"{name}: is for the built-in trainer; a command reads files itself" for name in _trainer_tables(file)]
    return unused + mistakes_in(file.command, [*file.params, *file.sweep.params, *_seed(file)])


def _seed(file: ExperimentFile) -> list[str]:
    return ["seed"] if file.sweep.repeat > 1 else []


def _trainer_tables(file: ExperimentFile) -> list[str]:
    return [name for name, value in (("data", file.data), ("head", file.head)) if value is not None]


def _env_mistakes(file: ExperimentFile) -> list[str]:
    bad = [name for name in file.env if not name or "=" in name or name.startswith("LABQ_")]
    return [f"env.{name}: is no name for a variable of a run; LABQ_… is reserved, '=' is not allowed" for name in bad]


def _definition(file: ExperimentFile, workdir: Path, path: Path, text: str, settings: Settings) -> Definition:
    fixed = dict(file.params)
    fixed.update({name: value for name, value in (("data", file.data), ("head", file.head)) if value is not None})
    task = Task(
        command=tuple(file.command or ()),
        trainer=file.trainer,
        workdir=str(workdir),
        env=dict(file.env),
        grace_s=file.grace,
        exclusive=file.exclusive,
    )
    return Definition(
        name=file.name,
        task=task,
        queue=file.queue or settings.queue,
        priority=file.priority,
        tags=tuple(dict.fromkeys(file.tags)),
        fixed=fixed,
        swept=dict(file.sweep.params),
        zipped=file.sweep.method == "zip",
        repeat=file.sweep.repeat,
        resources=file.resources.value(),
        retry=file.retry.value(),
        notify=file.notify.value(settings.notify_to),
        source=str(path.absolute()),
        text=text,
    )


def _run_mistakes(definition: Definition) -> list[str]:
    """What only shows once the values are in place: formats that do not fit, parameters the trainer refuses."""
    if definition.task.trainer:
        return _trainer_mistakes(definition)
    if not any("{" in argument for argument in definition.task.command):
        return []
    for params, repeat in configurations(definition):
        try:
            filled = fill(definition.task.command, params, repeat)
        except ValueError as error:
            return [f"command: {error}"]
        if not filled[0].strip() or any("\0" in argument for argument in filled):
            return [f"command: with {params} it is {filled}, which names no programme"]
    return []


def _trainer_mistakes(definition: Definition) -> list[str]:
    """Ask the trainer itself, in a process of its own: the queue knows no trainer from inside."""
    assert definition.task.trainer is not None
    module = _TRAINER_MODULES[definition.task.trainer]
    lines = "".join(json.dumps(params) + "\n" for params, _ in configurations(definition))
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-E", "-m", module, "--check"],
            input=lines, capture_output=True, text=True, timeout=_CHECK_S, cwd=definition.task.workdir, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return [f"trainer {definition.task.trainer}: the check failed: {error}"]
    if done.returncode != 0:
        return [f"trainer {definition.task.trainer}: the check failed: {done.stderr.strip()[-500:]}"]
    found = [mistake for line in done.stdout.splitlines() for mistake in json.loads(line)]
    return [f"params: {mistake}" for mistake in dict.fromkeys(found)]


def _raise(source: str, text: str, mistakes: list[str], *, is_toml: bool) -> None:
    if mistakes:
        raise BadExperiment(source, shortened([_with_line(m, text) if is_toml else m for m in mistakes]))


def _with_line(mistake: str, text: str) -> str:
    path = mistake.split(":")[0].split("[")[0].split(" ")[0].rstrip(",").split(".")
    line = line_of(text, tuple(path))
    return f"line {line}: {mistake}" if line else mistake
