"""Points, series, and what one shipment of a supervisor holds."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from store.runs import MetricSummary, Progress

BUCKET_POINTS = 1000
"""Points per stored bucket: about 40 kB, far from MongoDB's 16 MB, and a read of 100,000 points is 100 documents."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One value. `line` is its event line in the attempt, `index` its ordinal in the attempt's series."""

    name: str
    step: int
    time: float
    value: float
    line: int
    index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """The history of one metric, superseded points excluded: parallel arrays, oldest first."""

    name: str
    steps: tuple[int, ...]
    times: tuple[float, ...]
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipment:
    """New lines of the event file and new bytes of the output: stored once, or not at all."""

    events_from: int
    events_to: int
    lines_to: int
    points: tuple[Point, ...] = ()
    output_from: int
    output: bytes = b""
    progress: Progress | None = None
    remark: str | None = None

    @property
    def output_to(self) -> int:
        """The output offset after this shipment."""
        return self.output_from + len(self.output)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to store."""
        return self.events_from == self.events_to and not self.output


@dataclass(frozen=True, slots=True, kw_only=True)
class LogChunk:
    """A piece of one attempt's output."""

    attempt: int
    offset: int
    data: bytes


def summarize(summary: dict[str, MetricSummary], points: Iterable[Point]) -> dict[str, MetricSummary]:
    """The summary after these points, which come in order."""
    updated = dict(summary)
    for point in points:
        updated[point.name] = _with_point(updated.get(point.name), point.step, point.value)
    return updated


def extended(summary: MetricSummary | None, steps: Sequence[int], values: Sequence[float]) -> MetricSummary | None:
    """The summary after further points of its series: a bucket at a time, millions of points in a second."""
    if not steps:
        return summary
    import numpy as np  # a tenth of a second, which most verbs need not spend

    array = np.asarray(values, dtype=np.float64)
    old = summary or MetricSummary(last=values[-1], last_step=steps[-1], count=0)
    new = replace(old, last=values[-1], last_step=steps[-1], count=old.count + len(steps))
    known = np.flatnonzero(~np.isnan(array))
    if len(known):
        least, most = int(known[np.argmin(array[known])]), int(known[np.argmax(array[known])])
        if new.min is None or values[least] < new.min:
            new = replace(new, min=values[least], min_step=steps[least])
        if new.max is None or values[most] > new.max:
            new = replace(new, max=values[most], max_step=steps[most])
    return new


def _with_point(old: MetricSummary | None, step: int, value: float) -> MetricSummary:
    if old is None:
        blank = MetricSummary(last=value, last_step=step, count=0)
        return _with_point(blank, step, value)
    new = replace(old, last=value, last_step=step, count=old.count + 1)
    if math.isnan(value):
        return new
    if new.min is None or value < new.min:
        new = replace(new, min=value, min_step=step)
    if new.max is None or value > new.max:
        new = replace(new, max=value, max_step=step)
    return new
