"""What an experiment file may say: one model per table, unknown keys refused."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag

from queueing.optimize.table import OptimizerTable
from queueing.remedies.table import RemedyTable
from queueing.rules.table import MOST_RULES, Occasions, Recipients, RuleTable, one_or_many, split_every
from queueing.sweep.block import MOST_RUNS
from queueing.units import parse_duration, parse_size
from store.runs import Notify, Resources, Retry
from store.states import Reason

TRAINERS = ("rnn",)
RESERVED_PARAMS = ("data", "head", "repeat")
MOST_OF_ANYTHING = 10**9


def _name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", value):
        raise ValueError("allowed: letters, digits, '.', '_' and '-', at most 100, beginning with a letter or digit")
    return value


def _word(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", value):
        raise ValueError("allowed: letters, digits, '.', '_' and '-'")
    return value


def _file_or_command(value: object) -> object:
    if isinstance(value, str) or (isinstance(value, list) and all(isinstance(part, str) for part in value)):
        return value
    raise ValueError('allowed: a file such as "post.py", or a list such as ["python", "post.py"]')


def _params(values: dict[str, Any]) -> dict[str, Any]:
    for name in values:
        if not name.isidentifier():
            raise ValueError(f"{name[:60]!r} is no parameter name; allowed: letters, digits and _, no digit in front")
    return values


def _reason(value: object) -> Reason:
    allowed = [reason for reason in Reason if reason not in (Reason.DRAINED, Reason.STOPPED)]
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"allowed: {', '.join(allowed)}")
    return Reason(value)


Retried = Annotated[Reason, BeforeValidator(_reason)]
Name = Annotated[str, AfterValidator(_name)]
Word = Annotated[str, AfterValidator(_word)]
Duration = Annotated[float, BeforeValidator(parse_duration)]
Size = Annotated[int, BeforeValidator(parse_size)]
Params = Annotated[dict[str, Any], AfterValidator(_params)]
Count = Annotated[int, Field(ge=0, le=MOST_OF_ANYTHING, strict=True)]


class Table(BaseModel):
    """Unknown keys are mistakes; what was read does not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ResourcesTable(Table):
    """`[resources]`"""

    time: Duration | None = None
    memory: Size | None = None
    disk: Size | None = None
    gpus: Count = 0
    gpu_memory: Size | None = None
    cpus: Annotated[int, Field(ge=1, le=MOST_OF_ANYTHING)] | None = None
    nice: Annotated[int, Field(ge=0, le=19)] = 0
    tags: list[Word] = Field(default_factory=list)

    def value(self) -> Resources:
        """As the store keeps it."""
        return Resources(
            gpus=self.gpus,
            gpu_memory_bytes=self.gpu_memory,
            cpus=self.cpus,
            nice=self.nice,
            memory_bytes=self.memory,
            disk_bytes=self.disk,
            time_s=self.time,
            tags=tuple(self.tags),
        )


class RetryTable(Table):
    """`[retry]`"""

    max: Count = Retry().max
    backoff: Duration = Retry().backoff_s
    on: Annotated[list[Retried], BeforeValidator(one_or_many)] = list(Retry().on)

    def value(self) -> Retry:
        """As the store keeps it."""
        return Retry(max=self.max, backoff_s=self.backoff, on=tuple(self.on))


class NotifyTable(Table):
    """`[notify]`"""

    to: Recipients = Field(default_factory=list)
    on: Occasions = list(Notify().on)
    rules: Annotated[str, Field(min_length=1)] | None = None
    rule: Annotated[list[RuleTable], Field(max_length=MOST_RULES)] = Field(default_factory=list)

    def value(self, default_to: tuple[str, ...]) -> Notify:
        """As the store keeps it; further rules are a matter of the experiment."""
        on, every_s = split_every(self.on)
        return Notify(to=tuple(dict.fromkeys(self.to)) or default_to, on=on, every_s=every_s)


class SweepTable(Table):
    """`[sweep]`, or one of several `[[sweep]]`"""

    method: Literal["grid", "zip", "random", "lhs", "sobol", "halton"] = "grid"
    params: dict[str, Any] = Field(default_factory=dict)
    space: Annotated[str, Field(min_length=1)] | None = None
    where: Annotated[list[str], BeforeValidator(one_or_many)] = Field(default_factory=list)
    samples: Annotated[int, Field(ge=1, le=MOST_RUNS)] | None = None
    seed: Annotated[int, Field(ge=0, le=2**62)] | None = None
    repeat: Annotated[int, Field(ge=1, le=100_000)] = 1
    shuffle: bool = False
    table: Annotated[str, Field(min_length=1)] | None = None
    sheet: str | None = None
    types: dict[str, Literal["number", "text", "bool", "any"]] = Field(default_factory=dict)


def _sweep_shape(value: object) -> str:
    return "[many]" if isinstance(value, list) else "[one]"


Sweeps = Annotated[
    Annotated[SweepTable, Tag("[one]")]
    | Annotated[list[SweepTable], Tag("[many]"), Field(min_length=1, max_length=100)],
    Discriminator(_sweep_shape),
]


class ExperimentFile(Table):
    """The whole file."""

    name: Name
    command: list[str] | None = None
    trainer: Literal["rnn"] | None = None
    workdir: str | None = None
    env: dict[str, str] = Field(default_factory=dict)
    queue: Word | None = None
    priority: Annotated[int, Field(ge=-1_000_000, le=1_000_000)] = 0
    tags: list[Word] = Field(default_factory=list)
    template: Annotated[list[str], BeforeValidator(one_or_many)] = Field(default_factory=list)
    result: Annotated[str | list[str] | None, BeforeValidator(_file_or_command)] = None
    grace: Duration = 30.0
    exclusive: bool = False
    params: Params = Field(default_factory=dict)
    data: dict[str, Any] | None = None
    head: list[dict[str, Any]] | None = None
    resources: ResourcesTable = Field(default_factory=ResourcesTable)
    retry: RetryTable = Field(default_factory=RetryTable)
    notify: NotifyTable = Field(default_factory=NotifyTable)
    sweep: Sweeps = Field(default_factory=SweepTable)
    stopping: dict[str, Any] | None = None
    diagnosis: Annotated[list[RemedyTable], Field(max_length=50)] = Field(default_factory=list)
    optimizer: OptimizerTable | None = None

    @property
    def sweeps(self) -> list[tuple[tuple[str | int, ...], SweepTable]]:
        """Each with its place in the file: one without a sweep has one that makes one run."""
        if isinstance(self.sweep, SweepTable):
            return [(("sweep",), self.sweep)]
        return [(("sweep", position), block) for position, block in enumerate(self.sweep)]
