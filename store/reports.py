"""Figures that somebody adds to a run after its end: pure decisions."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from store.errors import IllegalTransition
from store.metrics import Point, segments, summarize
from store.runs import Run
from store.states import ENDED


def reported_points(run: Run, values: Mapping[str, float], now: datetime) -> tuple[Point, ...]:
    """One point each, at the last step the run reported, behind all its own lines. Raises IllegalTransition."""
    if run.state not in ENDED:
        raise IllegalTransition(f"run {run.id} is {run.state}: figures can be added when it has ended")
    step = max((summary.last_step for summary in run.summary.values()), default=0)
    line = run.shipped.events_lines + 1
    return tuple(
        Point(name=name, step=step, time=now.timestamp(), value=value, line=line, index=_count(run, name))
        for name, value in values.items()
    )


def reported(run: Run, points: Sequence[Point]) -> Run:
    """The run with these points in its summary."""
    return replace(run, summary=summarize(run.summary, segments(points)))


def _count(run: Run, name: str) -> int:
    """Points of the series there are, of all attempts: an index that none of this attempt's has."""
    return run.summary[name].count if name in run.summary else 0
