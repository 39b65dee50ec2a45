"""What can be asked about runs: a frozen tree. `store.matching` asks one Run, `store.mongo.filters` MongoDB.

Two values only: a comparison with something missing is false, and `Not` turns that round. Three places know the fields:
`RunField` names them, `store.matching` finds their values in a Run, `store.mongo.filters` in a document.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Kind(StrEnum):
    """What the values of a field are."""

    ID = "id"
    TEXT = "text"
    STATE = "state"
    REASON = "reason"
    FINDING = "finding"
    NUMBER = "number"
    SIZE = "size"
    DURATION = "duration"
    TIME = "time"
    FLAG = "flag"


class RunField(StrEnum):
    """What is known of every run, under the names people use."""

    ID = "id"
    EXPERIMENT = "experiment"
    STATE = "state"
    REASON = "reason"
    QUEUE = "queue"
    OWNER = "owner"
    TAG = "tag"
    FINDING = "finding"
    HOST = "host"
    WORKER = "worker"
    GIT = "git"
    BRANCH = "branch"
    DIRTY = "dirty"
    TRAINER = "trainer"
    COMMAND = "command"
    WORKDIR = "workdir"
    MESSAGE = "message"
    REMARK = "remark"
    ATTEMPT = "attempt"
    PRIORITY = "priority"
    REPEAT = "repeat"
    INDEX = "index"
    SETBACKS = "setbacks"
    EXIT_CODE = "exit_code"
    SIGNAL = "signal"
    GPUS = "gpus"
    CPUS = "cpus"
    MEMORY = "memory"
    DISK = "disk"
    PEAK_MEMORY = "peak_memory"
    TIME_LIMIT = "time_limit"
    CREATED = "created"
    STARTED = "started"
    ENDED = "ended"
    DURATION = "duration"
    RUNNING_TIME = "running_time"
    PROGRESS = "progress"
    DONE = "done"
    STEP = "step"


KINDS: dict[RunField, Kind] = {
    RunField.ID: Kind.ID,
    RunField.GIT: Kind.ID,
    RunField.STATE: Kind.STATE,
    RunField.REASON: Kind.REASON,
    RunField.FINDING: Kind.FINDING,
    RunField.DIRTY: Kind.FLAG,
    **dict.fromkeys((RunField.MEMORY, RunField.DISK, RunField.PEAK_MEMORY), Kind.SIZE),
    **dict.fromkeys((RunField.TIME_LIMIT, RunField.DURATION, RunField.RUNNING_TIME), Kind.DURATION),
    **dict.fromkeys((RunField.CREATED, RunField.STARTED, RunField.ENDED), Kind.TIME),
    **dict.fromkeys(
        (
            RunField.ATTEMPT, RunField.PRIORITY, RunField.REPEAT, RunField.INDEX, RunField.SETBACKS, RunField.EXIT_CODE,
            RunField.SIGNAL, RunField.GPUS, RunField.CPUS, RunField.PROGRESS, RunField.DONE, RunField.STEP,
        ),
        Kind.NUMBER,
    ),
}  # fmt: skip
"""All others are texts."""


class Stat(StrEnum):
    """Which number of a metric's summary. The values are the names of `MetricSummary`'s fields."""

    LAST = "last"
    MIN = "min"
    MAX = "max"
    LAST_STEP = "last_step"
    MIN_STEP = "min_step"
    MAX_STEP = "max_step"
    COUNT = "count"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One number of a metric's summary."""

    name: str
    stat: Stat = Stat.LAST


@dataclass(frozen=True, slots=True, kw_only=True)
class Param:
    """A parameter; one in a table by the names of both: ("data", "vectors"). A list has the values of all its items."""

    path: tuple[str, ...]


Field = RunField | Metric | Param


class Op(StrEnum):
    """How a field is compared with a value."""

    EQUAL = "="
    LESS = "<"
    AT_MOST = "<="
    GREATER = ">"
    AT_LEAST = ">="


Value = bool | int | float | str | datetime
"""NaN equals itself here, as it does in MongoDB. True is not 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Any value of the field compares so. Ids and commits match by their first characters."""

    field: Field
    op: Op
    value: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Among:
    """Any value of the field is one of these."""

    field: Field
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Like:
    """Any text of the field consists of these pieces with anything between them: `("weather", "")` is `weather*`."""

    field: Field
    pieces: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contains:
    """Any text of the field has this one in it, whatever the case."""

    field: Field
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """The field has no value."""

    field: Field


@dataclass(frozen=True, slots=True, kw_only=True)
class All:
    """Every part holds; so `All()` is every run."""

    parts: tuple["Condition", ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Some:
    """At least one part holds."""

    parts: tuple["Condition", ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Not:
    """The part does not hold."""

    part: "Condition"


@dataclass(frozen=True, slots=True, kw_only=True)
class RawMongo:
    """A filter in MongoDB's own words, as JSON. Only MongoDB can answer it."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """By which field a list of runs is sorted; see `store.ordering`."""

    field: Field
    descending: bool = False


Condition = Compared | Among | Like | Contains | Missing | All | Some | Not | RawMongo
EVERYTHING = All()


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """Which metrics and parameters (`data.vectors`) the runs of some experiments have.

    `complete`: False when there are too many to keep; then a name that is not here may exist all the same.
    """

    metrics: frozenset[str] = frozenset()
    params: frozenset[str] = frozenset()
    complete: bool = True


def both(*conditions: Condition | None) -> Condition:
    """All that are given."""
    parts = tuple(one for one in conditions if one is not None and one != EVERYTHING)
    return parts[0] if len(parts) == 1 else All(parts=parts)


def walk(condition: Condition) -> Iterator[Condition]:
    """The condition and every one in it."""
    yield condition
    if isinstance(condition, All | Some):
        for part in condition.parts:
            yield from walk(part)
    elif isinstance(condition, Not):
        yield from walk(condition.part)


def param_paths(params: dict[str, object]) -> set[str]:
    """Every name under which a parameter can be asked for: `{"data": {"train": …}}` has `data` and `data.train`."""
    found: set[str] = set()
    waiting: list[tuple[str, object]] = list(params.items())
    while waiting:
        name, value = waiting.pop()
        found.add(name)
        tables = value if isinstance(value, list | tuple) else [value]
        waiting += [
            (f"{name}.{key}", inner) for table in tables if isinstance(table, dict) for key, inner in table.items()
        ]
    return found
