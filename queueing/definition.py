"""From a file to a checked Definition: every mistake is found before anything is written."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from queueing.expand import Definition, expanded, sweep_mistakes, too_many
from queueing.experiment_file import RESERVED_PARAMS, ExperimentFile, SweepTable
from queueing.mistakes import at, sentences, shortened
from queueing.optimize.preview import example_block
from queueing.optimize.spec import Spec, read_spec
from queueing.placeholders import FILES, fill, mistakes_in, names_in
from queueing.reading import line_of, read_file
from queueing.remedies.checking import changed_params, remedy_mistakes
from queueing.remedies.table import told_of
from queueing.result_command import read_result
from queueing.rules.of_experiment import read_notify
from queueing.space.names import flat
from queueing.stopping.reading import read_stopping
from queueing.sweep.block import Block
from queueing.sweep.reading import read_block
from queueing.templates import Template, mistakes_in_templates, names_in_templates, read_templates, render
from queueing.trainer_check import refused, trainer_mistakes
from queueing.values import Mistake, mistakes_in_values
from store.errors import BadExperiment
from store.runs import Task
from store.settings import Settings


def define(path: Path, settings: Settings) -> Definition:
    """Read and check an experiment file. Raises BadExperiment with all its mistakes."""
    table, text = read_file(path)
    return define_table(table, text, path, settings)


def define_table(table: dict[str, Any], text: str, path: Path, settings: Settings) -> Definition:
    """Check a table that was read from `path`, or that a Python programme made."""
    source, is_toml = str(path), path.suffix.lower() == ".toml"
    file = _validated(table, text, source, is_toml=is_toml)
    folder = path.absolute().parent
    workdir, said = _workdir(file, path)
    templates, wrong = read_templates(file.template, folder)
    reserved = (*RESERVED_PARAMS, *(FILES if file.template else ()))
    mistakes = [*_task_mistakes(file), *sweep_mistakes(file, reserved), *_env_mistakes(file), *said, *wrong]
    study, found = _study(file, folder, reserved)
    if study is None:
        blocks, found = _blocks(file, folder, reserved)
    else:
        blocks = [] if found else [example_block(study)]
    mistakes = [_with_line(mistake, text) if is_toml else mistake for mistake in mistakes]
    found += _stopping_mistakes(file, blocks)
    found += remedy_mistakes(file, blocks, settings)

    rules, wrong_rules, wrong_elsewhere = read_notify(file, folder, settings, _all_params(file, blocks))
    found += wrong_rules
    mistakes += wrong_elsewhere
    mistakes += [at(place, words, text, is_toml=is_toml) for place, words in found]
    if not mistakes:
        mistakes = _name_mistakes(file, blocks, templates)
    result, wrong = read_result(file.result, file.command or [], folder)
    _raise(source, [*mistakes, *wrong, *_result_mistakes(file, result, blocks)])
    definition = _definition(file, workdir, path, text, settings, blocks, templates, result)
    definition = replace(definition, rules=rules)
    _raise(source, _run_mistakes(definition))
    if study is not None:
        return replace(definition, study=study, size=(study.table.trials or 0) * study.table.repeat)
    return _counted(definition)


def _study(file: ExperimentFile, folder: Path, reserved: tuple[str, ...]) -> tuple[Spec | None, list[Mistake]]:
    """The optimizer's specification. Its trials are the runs, so there is nothing left to sweep."""
    if file.optimizer is None:
        return None, []
    spec, mistakes = read_spec(file.optimizer, file.params, folder)
    if file.sweep != SweepTable():
        said = "stands beside [optimizer]; an experiment has one of them (its `repeat` is optimizer.repeat)"
        mistakes.append((("sweep",), said))
    taken = [name for name in reserved if name in {one.split(".")[0] for one in spec.space.names}]
    return spec, mistakes + [(("optimizer", "params", name), "the name is reserved") for name in taken]


def _blocks(file: ExperimentFile, folder: Path, reserved: tuple[str, ...]) -> tuple[list[Block], list[Mistake]]:
    read = [read_block(said, file.params, folder, place, reserved) for place, said in file.sweeps]
    blocks = [block for block, _ in read if block is not None]
    mistakes: list[Mistake] = [mistake for _, found in read for mistake in found]
    if not mistakes and (said := too_many(blocks)):
        mistakes = [(("sweep",), said)]
    return blocks, mistakes


def _counted(definition: Definition) -> Definition:
    """Several sweeps may make the same run: only a look at all of them tells how many there are."""
    if len(definition.blocks) == 1:
        return definition
    return replace(definition, size=sum(1 for _ in expanded(definition)))


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
        unused = [("template", file.template), ("result", file.result)]
        return [f"{name}: is for a command; the built-in trainer reports by itself" for name, given in unused if given]
    if not file.command or not file.command[0].strip():
        return ['command: is empty; allowed: a list such as ["python", "train.py", "--lr", "{lr}"]']
    return [f"{name}: is for the built-in trainer; a command reads files itself" for name in _trainer_tables(file)]


def _name_mistakes(file: ExperimentFile, blocks: Sequence[Block], templates: Sequence[Template]) -> list[str]:
    """Placeholders that name no parameter; with templates also parameters that nothing names."""
    if file.command is None:
        return []
    known = _known(file, blocks)
    paths = FILES if templates else ()
    mistakes = mistakes_in(file.command, [*known, *file.params, *paths]) + mistakes_in_templates(
        templates, [*known, *file.params, "repeat"]
    )
    if mistakes or not templates:
        return mistakes
    result = file.result if isinstance(file.result, list) else []
    used = {*names_in_templates(templates), *(name for part in [*file.command, *result] for name in _named(part))}
    return [
        f"params.{name}: nothing uses it; write ${{{name}}} in a template or {{{name}}} in the command, or leave it out"
        for name in known
        if name not in used and name.split(".")[0] not in used
    ]


def _named(argument: str) -> list[str]:
    try:
        return names_in(argument)
    except ValueError:
        return []


def _known(file: ExperimentFile, blocks: Sequence[Block]) -> list[str]:
    swept = [name for block in blocks for name in block.names]
    seeded = ["seed"] if any(block.repeat > 1 for block in blocks) else []
    return list(dict.fromkeys([*flat(file.params), *swept, *seeded]))


def _result_mistakes(file: ExperimentFile, result: tuple[str, ...], blocks: Sequence[Block]) -> list[str]:
    if not isinstance(file.result, list):
        return []
    paths = FILES if file.template else ()
    return mistakes_in(result, [*_known(file, blocks), *file.params, *paths], "result")


def _trainer_tables(file: ExperimentFile) -> list[str]:
    return [name for name, value in (("data", file.data), ("head", file.head)) if value is not None]


def _env_mistakes(file: ExperimentFile) -> list[str]:
    bad = [name for name in file.env if not name or "=" in name or name.startswith("LABQ_")]
    return [f"env.{name}: is no name for a variable of a run; LABQ_… is reserved, '=' is not allowed" for name in bad]


def _stopping_mistakes(file: ExperimentFile, blocks: Sequence[Block]) -> list[Mistake]:
    if file.stopping is None:
        return []
    return read_stopping(file.stopping, _all_params(file, blocks))[1]


def _all_params(file: ExperimentFile, blocks: Sequence[Block]) -> list[str]:
    return [*flat(file.params), *(name for block in blocks for name in block.names)]


def _definition(
    file: ExperimentFile, workdir: Path, path: Path, text: str, settings: Settings, blocks: Sequence[Block],
    templates: Sequence[Template], result: tuple[str, ...],
) -> Definition:  # fmt: skip
    fixed = dict(file.params)
    fixed.update({name: value for name, value in (("data", file.data), ("head", file.head)) if value is not None})
    task = Task(
        command=tuple(file.command or ()),
        trainer=file.trainer,
        workdir=str(workdir),
        env=dict(file.env),
        grace_s=file.grace,
        exclusive=file.exclusive,
        files=tuple(template.file for template in templates),
        result=result,
    )
    return Definition(
        name=file.name,
        task=task,
        queue=file.queue or settings.queue,
        priority=file.priority,
        tags=tuple(dict.fromkeys(file.tags)),
        fixed=fixed,
        blocks=tuple(blocks),
        size=sum(block.size for block in blocks),
        resources=file.resources.value(),
        retry=file.retry.value(),
        notify=told_of(file.notify.value(settings.notify_to), file.diagnosis),
        source=str(path.absolute()),
        text=text,
        texts=tuple(template.text for template in templates),
        stopping=file.stopping,
        diagnosis=tuple(rule.model_dump(mode="json") for rule in file.diagnosis),
    )


def _run_mistakes(definition: Definition) -> list[str]:
    """What only shows once the values are in place: formats that do not fit, parameters the trainer refuses."""
    if definition.task.trainer:
        return trainer_mistakes(definition) or _changed_run_mistakes(definition)
    task = definition.task
    changing = any("{" in argument for argument in (*task.command, *task.result))
    if not changing and not definition.texts:
        return []
    for one in expanded(definition):
        if said := _wrong_in(definition, one.params, one.repeat):
            return [said]
    return []


def _changed_run_mistakes(definition: Definition) -> list[str]:
    """What the trainer would refuse of the runs that rules of the diagnosis try instead."""
    if not any(rule["change"] for rule in definition.diagnosis):
        return []
    return [f"diagnosis: change: {said}" for said in refused(definition, changed_params(definition))]


_PLACES = {name: f"/{name}" for name in FILES}


def _wrong_in(definition: Definition, params: dict[str, Any], repeat: int) -> str:
    task = definition.task
    what = "command"
    try:
        filled = fill(task.command, params, repeat, _PLACES)
        if not filled[0].strip() or any("\0" in argument for argument in filled):
            return f"command: with {params} it is {filled}, which names no programme"
        what = "result"
        fill(task.result, params, repeat, _PLACES)
        for file, text in zip(task.files, definition.texts, strict=True):
            what = f"template, copied to {file.name}"
            render(text, params, repeat)
    except ValueError as error:
        return f"{what}: {error}"
    return ""


def _raise(source: str, mistakes: list[str]) -> None:
    if mistakes:
        raise BadExperiment(source, shortened(mistakes))


def _with_line(mistake: str, text: str) -> str:
    path = mistake.split(":")[0].split("[")[0].split(" ")[0].rstrip(",").split(".")
    line = line_of(text, tuple(path))
    return f"line {line}: {mistake}" if line else mistake
