"""When a run reported, and how long it took between two reports."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from notify.diagnosis.chart import RECENT_POINTS, Chart, Points
from notify.diagnosis.robust import Array

# Lines of one look at several metrics are written within milliseconds; they are one report.
_TOGETHER_S = 0.001


@dataclass(frozen=True, kw_only=True)
class Pulse:
    """The reports of the present attempt: `times` (n), Unix seconds, rising, and `steps` (n), of the same."""

    times: Array
    steps: Array

    @property
    def intervals(self) -> Array:
        """Seconds between them, (n-1)."""
        return np.diff(self.times)


def pulse_of(chart: Chart) -> Pulse:
    """From all series together, as far back as none of them is thinned. Times before the attempt are another pulse."""
    since = chart.started_at.timestamp() if chart.started_at is not None else -np.inf
    recent = [_recent(one) for one in chart.series.values() if len(one.times)]
    if not recent:
        return Pulse(times=np.zeros(0), steps=np.zeros(0))
    horizon = max([since, *(times[0] for times, _ in recent if len(times) >= RECENT_POINTS)])
    times = np.concatenate([times for times, _ in recent])
    steps = np.concatenate([steps for _, steps in recent])
    kept = np.isfinite(times) & (times >= horizon)
    times, steps = times[kept], steps[kept]
    order = np.lexsort((steps, times))
    times, steps = times[order], steps[order]
    own = np.diff(times, append=np.inf) > _TOGETHER_S
    return Pulse(times=times[own], steps=steps[own])


def _recent(series: Points) -> tuple[Array, Array]:
    times = np.asarray(series.times[-RECENT_POINTS:], dtype=np.float64)
    return times, np.asarray(series.steps[-RECENT_POINTS:], dtype=np.float64)


def earlier_interval_s(series: Mapping[str, Points], before: float) -> float | None:
    """The usual interval of attempts before the present one; None: there was none."""
    found = [np.asarray(one.times, dtype=np.float64) for one in series.values()]
    gaps = [np.diff(times[times < before]) for times in found]
    known = [float(np.median(gap)) for gap in gaps if len(gap) >= 3]
    return min(known) if known else None
