"""One definition, many runs: a generator, so that ten thousand runs never stand in memory at once."""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from queueing.experiment_file import RESERVED_PARAMS, ExperimentFile, check_value
from queueing.keys import run_id, run_key
from store.runs import Notify, Resources, Retry, Run, Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A checked experiment: what all its runs share, and the sweep that makes them differ."""

    name: str
    task: Task
    queue: str
    priority: int
    tags: tuple[str, ...]
    fixed: dict[str, Any]
    swept: dict[str, list[Any]]
    zipped: bool
    repeat: int
    resources: Resources
    retry: Retry
    notify: Notify
    source: str
    text: str

    @property
    def size(self) -> int:
        """How many runs it makes."""
        if not self.swept:
            return self.repeat
        lengths = [len(values) for values in self.swept.values()]
        return self.repeat * (lengths[0] if self.zipped else math.prod(lengths))


def sweep_mistakes(file: ExperimentFile) -> list[str]:
    """What is wrong with the parameters as a whole."""
    mistakes = []
    swept, fixed = file.sweep.params, file.params
    for name in RESERVED_PARAMS:
        if name in fixed or name in swept:
            mistakes.append(f"params.{name}: the name is reserved for the table [{name}]")
    for name, values in swept.items():
        mistakes += _axis_mistakes(name, values)
        if name in fixed:
            mistakes.append(f"sweep.params.{name}: is given in [params] too; keep one of them")
    if file.sweep.repeat > 1 and "seed" in swept:
        mistakes.append("sweep.params.seed: repeat makes the seeds; keep one of them")
    if file.sweep.repeat > 1 and not isinstance(fixed.get("seed", 0), int):
        mistakes.append("params.seed: must be a whole number when repeat makes more of them")
    lengths = {name: len(values) for name, values in swept.items()}
    if file.sweep.method == "zip" and len(set(lengths.values())) > 1:
        shown = ", ".join(f"{name} has {n}" for name, n in lengths.items())
        mistakes.append(f"sweep.params: method zip pairs values, but {shown}")
    return mistakes


def configurations(definition: Definition) -> Iterator[tuple[dict[str, Any], int]]:
    """(params, repeat) of each run, in the order of the file. Repeats differ in their `seed`."""
    names = list(definition.swept)
    axes = definition.swept.values()
    combinations = zip(*axes, strict=True) if definition.zipped and names else itertools.product(*axes)
    for values in combinations:
        params = {**definition.fixed, **dict(zip(names, values, strict=True))}
        for repeat in range(definition.repeat):
            yield _with_seed(params, repeat) if definition.repeat > 1 else params, repeat


def runs(definition: Definition, queued_at: datetime, owner: str, provenance: dict[str, Any]) -> Iterator[Run]:
    """The runs, ready for the store."""
    for index, (params, repeat) in enumerate(configurations(definition)):
        key = run_key(definition.name, definition.task.command, definition.task.trainer, params, repeat)
        yield Run(
            id=run_id(key),
            key=key,
            experiment=definition.name,
            params=params,
            task=definition.task,
            repeat=repeat,
            index=index,
            queue=definition.queue,
            priority=definition.priority,
            tags=definition.tags,
            resources=definition.resources,
            retry=definition.retry,
            notify=definition.notify,
            owner=owner,
            provenance=provenance,
            queued_at=queued_at,
        )


def _with_seed(params: dict[str, Any], repeat: int) -> dict[str, Any]:
    return {**params, "seed": params.get("seed", 0) + repeat}


def _axis_mistakes(name: str, values: list[Any]) -> list[str]:
    place = f"sweep.params.{name}"
    if not name.isidentifier():
        return [f"{place}: is no parameter name; allowed: letters, digits and _"]
    if not values:
        return [f"{place}: the list is empty, so the grid has no run; give at least one value"]
    for value in values:
        try:
            check_value(place, value)
        except ValueError as error:
            return [str(error)]
    shown = [repr(value) for value in values]
    twice = next((text for text in shown if shown.count(text) > 1), None) if len(shown) != len(set(shown)) else None
    return [f"{place}: {twice} is given twice"] if twice else []
