"""All that a message needs, read from the store at one moment. Whoever composes it reads nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from store.directions import greater_is_better
from store.findings import Finding
from store.metrics import Series
from store.outcomes import Outcome
from store.runs import Run
from store.samples import Sample
from store.states import State
from store.workers import Worker


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """Where the curves of the siblings lie: quantiles at common steps; NaN where fewer than three of them are.

    `count`: of how many runs. `low` and `high` enclose four fifths of them.
    """

    metric: str
    steps: tuple[float, ...]
    low: tuple[float, ...]
    middle: tuple[float, ...]
    high: tuple[float, ...]
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How the run does in one metric among the runs of its experiment that have finished, itself included.

    `value` and `step`: its own best; `rank` is 1 for the best of `among` runs; None: nobody to compare with, or no
    number. `best`: the best of the others, `best_label` its name, `best_value` its value. `is_final`: no other run can
    still become better.
    """

    metric: str
    value: float | None = None
    step: int | None = None
    rank: int | None = None
    among: int = 0
    best: Outcome | None = None
    best_label: str = ""
    best_value: float | None = None
    is_final: bool = True

    @property
    def greatest(self) -> bool:
        """Whether more of the metric is better."""
        return greater_is_better(self.metric)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrying:
    """What becomes of the run after this ending.

    `again`: it will be, or is being, tried again, at `at` (None: at once), as setback number `setback` of `allowed`.
    `went_on`: the attempt that follows has begun already.
    """

    again: bool
    setback: int = 0
    allowed: int = 0
    at: datetime | None = None
    went_on: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One run's curves in a picture of many: its validation metric, and the same of the training data where it has it.

    `params`: of those in which the runs of the sweep differ, flat.
    """

    run: str
    label: str
    params: Mapping[str, Any]
    state: State
    best: float | None
    series: Series | None = None
    training: Series | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """One row of a table of the best."""

    outcome: Outcome
    label: str
    value: float
    step: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """Runs that failed of the same cause; `labels` names some of them."""

    cause: str
    message: str
    count: int
    labels: tuple[str, ...]
    runs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """One experiment as a whole. `varying`: the values of each parameter in which its runs differ, in order.

    `read`: so many runs were read; `total`: so many there are. `findings`: (label, finding) of runs that were read.
    """

    experiment: str
    total: int = 0
    read: int = 0
    counts: Mapping[State, int] = field(default_factory=dict)
    metric: str | None = None
    training_metric: str | None = None
    varying: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    ranked: tuple[Ranked, ...] = ()
    curves: tuple[Curve, ...] = ()
    failures: tuple[Failures, ...] = ()
    findings: tuple[tuple[str, Finding], ...] = ()
    owner: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What there is to tell. `left_out`: one sentence for each thing that could not be read.

    `run` is the run as it was at the ending of which the notice speaks. `label` is `#12`, its place in the sweep, or
    the beginning of its id where that would not be one run's name. `series`: those that are drawn; `summary` of the run
    has the others. `best_series`: of the best sibling, by name. `differing`: this run's own values of the parameters
    that vary, flat. `output`: the cleaned tail. `samples` are those of this attempt, oldest first. `history`: every
    series, where somebody asked for it. `memory_limit_bytes`: what the run had been promised.
    """

    now: datetime
    run: Run | None = None
    label: str = ""
    standing: Standing | None = None
    retrying: Retrying | None = None
    series: tuple[Series, ...] = ()
    best_series: tuple[Series, ...] = ()
    band: Band | None = None
    differing: Mapping[str, Any] = field(default_factory=dict)
    best_differing: Mapping[str, Any] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    output: str = ""
    samples: tuple[Sample, ...] = ()
    history: tuple[Series, ...] = ()
    sweep: Sweep | None = None
    sweeps: tuple[Sweep, ...] = ()
    worker: Worker | None = None
    held: tuple[Run, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
