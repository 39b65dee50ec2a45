"""One definition, many runs: a generator, so that ten thousand runs never stand in memory at once."""

import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from queueing.experiment_file import RESERVED_PARAMS, ExperimentFile
from queueing.keys import canonical, run_id, run_key
from store.runs import Notify, Resources, Retry, Run, Task

MOST_RUNS = 200_000


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
            mistakes.append(f"params.{name}: the name is reserved, for {{repeat}} and the tables [data] and [[head]]")
    zipped = file.sweep.method == "zip"
    for name, values in swept.items():
        mistakes += _axis_mistakes(name, values, may_repeat=zipped)
        if name in fixed:
            mistakes.append(f"sweep.params.{name}: is given in [params] too; keep one of them")
    if file.sweep.repeat > 1 and "seed" in swept:
        mistakes.append("sweep.params.seed: repeat makes the seeds; keep one of them")
    if file.sweep.repeat > 1 and not _is_seed(fixed.get("seed", 0)):
        mistakes.append("params.seed: must be a whole number of at most 62 bits when repeat makes more of them")
    lengths = {name: len(values) for name, values in swept.items()}
    if zipped and len(set(lengths.values())) > 1:
        shown = ", ".join(f"{name} has {n}" for name, n in list(lengths.items())[:8])
        return [*mistakes, f"sweep.params: method zip pairs values, but {shown}"]
    count = file.sweep.repeat * (min(lengths.values(), default=1) if zipped else math.prod(lengths.values()))
    if count > MOST_RUNS:
        mistakes.append(f"sweep: makes {count} runs; allowed: at most {MOST_RUNS} from one file")
    elif zipped and (twice := _first_twice(zip(*swept.values(), strict=True))):
        mistakes.append(f"sweep.params: the combination {twice} is given twice")
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


def _axis_mistakes(name: str, values: list[Any], *, may_repeat: bool) -> list[str]:
    place = f"sweep.params.{name}"
    if not name.isidentifier():
        return [f"{place}: is no parameter name; allowed: letters, digits and _, no digit in front"]
    if not values:
        return [f"{place}: the list is empty, so the sweep has no run; give at least one value"]
    twice = None if may_repeat else _first_twice(values)
    return [f"{place}: {twice} is given twice"] if twice else []


def _first_twice(values: Iterable[Any]) -> str | None:
    """The first value that comes again, compared as a run's key compares: 1 is not 1.0."""
    seen: set[str] = set()
    for value in values:
        text = canonical(value)
        if text in seen:
            return text[:80]
        seen.add(text)
    return None


def _is_seed(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**62
