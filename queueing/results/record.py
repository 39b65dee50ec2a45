"""One run as tables see it, and which figure of a metric is meant."""

import math
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache

from queueing.results.table import Measured
from store.directions import greater_is_better
from store.outcomes import Outcome
from store.runs import MetricSummary


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A run, and its metrics at the step where the metric of `--at-best` was best."""

    outcome: Outcome
    at_best: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Directions:
    """Which metrics are better when greater: those named so, else a guess from the words of the name."""

    greater: frozenset[str] = frozenset()
    smaller: frozenset[str] = frozenset()

    def greatest(self, metric: str) -> bool:
        """Whether the best value is the greatest."""
        return metric in self.greater or (metric not in self.smaller and _guess(metric))


_guess = lru_cache(maxsize=4096)(greater_is_better)
"""It is asked of every value of every run."""


class How(StrEnum):
    """Which value of a metric stands for a run."""

    BEST = "best"
    LAST = "last"
    AT_BEST = "at_best"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """One number of a run."""

    metric: str
    how: How = How.BEST

    @property
    def name(self) -> str:
        """`best.val_loss`"""
        return f"{self.how}.{self.metric}"

    def of(self, record: Record, directions: Directions) -> float | None:
        """None where the run has not reported it."""
        if self.how is How.AT_BEST:
            return record.at_best.get(self.metric)
        summary = record.outcome.summary.get(self.metric)
        if summary is None:
            return None
        return (
            summary.last if self.how is How.LAST else best_value(summary, greatest=directions.greatest(self.metric))[0]
        )


def best_value(summary: MetricSummary, *, greatest: bool) -> tuple[float, int | None]:
    """The best value and its step; NaN without a step when there never was a number."""
    value, step = (summary.max, summary.max_step) if greatest else (summary.min, summary.min_step)
    return (math.nan, None) if value is None else (value, step)


def measured(record: Record, metric: str, directions: Directions) -> Measured | None:
    """Best and last value of a metric; None where the run has not reported it."""
    summary = record.outcome.summary.get(metric)
    if summary is None:
        return None
    best, step = best_value(summary, greatest=directions.greatest(metric))
    return Measured(best=best, best_step=step, last=summary.last, last_step=summary.last_step)
