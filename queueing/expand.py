"""One definition, many runs: a generator, so that a million runs never stand in memory at once."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from queueing.experiment_file import ExperimentFile
from queueing.keys import run_id, run_keys
from queueing.optimize.spec import Spec
from queueing.space.names import placed
from queueing.space.streams import distinct_seed
from queueing.sweep.block import MOST_RUNS, Block, Point
from queueing.sweep.numbers import Seen
from store.rules import Rule
from store.runs import Notify, Resources, Retry, Run, Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A checked experiment: what all its runs share, and the sweeps that make them differ."""

    name: str
    task: Task
    queue: str
    priority: int
    tags: tuple[str, ...]
    fixed: dict[str, Any]
    blocks: tuple[Block, ...]
    size: int
    """How many runs it makes; one that several of its sweeps make counts once."""
    resources: Resources
    retry: Retry
    notify: Notify
    source: str
    text: str
    texts: tuple[str, ...] = ()
    """Of the templates, in the order of `task.files`."""
    stopping: dict[str, Any] | None = None
    diagnosis: tuple[dict[str, Any], ...] = ()

    rules: tuple[Rule, ...] = ()
    """Who is told what, beside the simple form in `notify`."""
    study: Spec | None = None
    """An optimizer makes the runs; the block holds examples of them."""

    @property
    def varied(self) -> tuple[str, ...]:
        """Dotted names of the parameters in which runs may differ."""
        names = [name for block in self.blocks for name in block.names]
        seeded = ["seed"] if any(block.repeat > 1 for block in self.blocks) else []
        return tuple(dict.fromkeys([*names, *seeded]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """What is particular to one run."""

    params: dict[str, Any]
    repeat: int
    priority: int | None = None
    tags: tuple[str, ...] = ()


def sweep_mistakes(file: ExperimentFile, reserved: tuple[str, ...]) -> list[str]:
    """What is wrong with the fixed parameters."""
    mistakes = [f"params.{name}: the name is reserved{_FOR}" for name in reserved if name in file.params]
    repeated = any(block.repeat > 1 for _, block in file.sweeps) or (file.optimizer and file.optimizer.repeat > 1)
    if repeated and not _is_seed(file.params.get("seed", 0)):
        mistakes.append("params.seed: must be a whole number of at most 62 bits when repeat makes more of them")
    return mistakes


_FOR = ", for {repeat}, the tables [data] and [[head]], and with templates {template} and {files}"


def configurations(definition: Definition) -> Iterator[tuple[dict[str, Any], int]]:
    """(params, repeat) of each run, in the order of the file. Repeats differ in their `seed`."""
    for one in expanded(definition):
        yield one.params, one.repeat


def expanded(definition: Definition) -> Iterator[Configuration]:
    """Each run once, also when several sweeps of the file make it."""
    seen = Seen() if len(definition.blocks) > 1 else None
    for block in definition.blocks:
        for number in block.points.numbers:
            for one in _repeated(definition.fixed, block, block.points.point(number)):
                if seen is None or seen.add([one.params, one.repeat]):
                    yield one


def _repeated(fixed: Mapping[str, Any], block: Block, point: Point) -> Iterator[Configuration]:
    params = placed(fixed, point.values)
    one = Configuration(params=params, repeat=0, priority=point.priority, tags=point.tags)
    if block.repeat == 1:
        yield one
        return
    for repeat in range(block.repeat):
        yield replace(one, params={**params, "seed": _seed(params, block, repeat)}, repeat=repeat)


def _seed(params: Mapping[str, Any], block: Block, repeat: int) -> int:
    """With a seed of the sweep: one derived from it. Else 0, 1, 2, … above params.seed."""
    if block.seed is not None:
        return distinct_seed(block.seed, repeat)
    first: int = params.get("seed", 0)
    return first + repeat


def runs(definition: Definition, queued_at: datetime, owner: str, provenance: dict[str, Any]) -> Iterator[Run]:
    """The runs, ready for the store."""
    task = definition.task
    key_of = run_keys(definition.name, task.command, task.trainer, [file.blob for file in task.files])
    for index, one in enumerate(expanded(definition)):
        key = key_of(one.params, one.repeat)
        yield Run(
            id=run_id(key),
            key=key,
            experiment=definition.name,
            params=one.params,
            task=task,
            repeat=one.repeat,
            index=index,
            queue=definition.queue,
            priority=definition.priority if one.priority is None else one.priority,
            tags=tuple(dict.fromkeys([*definition.tags, *one.tags])) if one.tags else definition.tags,
            resources=definition.resources,
            retry=definition.retry,
            notify=definition.notify,
            owner=owner,
            provenance=provenance,
            queued_at=queued_at,
        )


def too_many(blocks: Sequence[Block]) -> str:
    """What to say when all sweeps of a file together make more than one file may."""
    size = sum(block.size for block in blocks)
    return f"makes {size} runs; allowed: at most {MOST_RUNS} from one file" if size > MOST_RUNS else ""


def _is_seed(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**62
