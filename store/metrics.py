"""Points, series, and what one shipment of a supervisor holds."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from store.runs import MetricSummary, Progress

if TYPE_CHECKING:
    import numpy as np

_FEW = 100
"""Points that are looked at one by one in less time than NumPy needs to begin."""

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
class Segment:
    """Consecutive points of one series, as parallel arrays. `index`: which of the attempt's the first is."""

    name: str
    index: int
    lines: Sequence[int]
    steps: Sequence[int]
    times: Sequence[float]
    values: Sequence[float]

    def points(self) -> Iterator[Point]:
        """One by one."""
        rows = zip(self.lines, self.steps, self.times, self.values, strict=True)
        for index, (line, step, time, value) in enumerate(rows, self.index):
            yield Point(name=self.name, step=step, time=time, value=value, line=line, index=index)


def segments(points: Iterable[Point]) -> tuple[Segment, ...]:
    """The points of each series together, in their order."""
    of_series: dict[str, list[Point]] = {}
    for point in points:
        of_series.setdefault(point.name, []).append(point)
    return tuple(
        Segment(
            name=name,
            index=some[0].index,
            lines=[point.line for point in some],
            steps=[point.step for point in some],
            times=[point.time for point in some],
            values=[point.value for point in some],
        )
        for name, some in of_series.items()
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """The history of one metric, superseded points excluded: parallel arrays, oldest first."""

    name: str
    steps: tuple[int, ...]
    times: tuple[float, ...]
    values: tuple[float, ...]


class Axis(StrEnum):
    """What places the values of a curve. The values are the names of its arrays as they are stored."""

    STEP = "step"
    TIME = "time"


EVERY_AXIS = frozenset(Axis)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Curve:
    """The same history as NumPy arrays, for mathematics: `steps` int64, `times` and `values` float64, all (n,).

    An axis that was not asked for has no elements.
    """

    name: str
    steps: "np.ndarray[Any, np.dtype[np.int64]]"
    times: "np.ndarray[Any, np.dtype[np.float64]]"
    values: "np.ndarray[Any, np.dtype[np.float64]]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipment:
    """New lines of the event file and new bytes of the output: stored once, or not at all."""

    events_from: int
    events_to: int
    lines_to: int
    segments: tuple[Segment, ...] = ()
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


def as_curve(series: Series) -> Curve:
    """The arrays of a series."""
    import numpy as np

    return Curve(
        name=series.name,
        steps=np.asarray(series.steps, dtype=np.int64),
        times=np.asarray(series.times, dtype=np.float64),
        values=np.asarray(series.values, dtype=np.float64),
    )


def summarize(summary: dict[str, MetricSummary], added: Iterable[Segment]) -> dict[str, MetricSummary]:
    """The summary after these points."""
    updated = dict(summary)
    for segment in added:
        new = extended(updated.get(segment.name), segment.steps, segment.values)
        if new is not None:
            updated[segment.name] = new
    return updated


def extended(summary: MetricSummary | None, steps: Sequence[int], values: Sequence[float]) -> MetricSummary | None:
    """The summary after further points of its series: a bucket at a time, millions of points in a second."""
    if len(steps) < _FEW:
        for step, value in zip(steps, values, strict=True):
            summary = _with_point(summary, step, value)
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
