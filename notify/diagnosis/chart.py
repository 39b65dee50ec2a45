"""All that one look at one run needs, as plain data. Whoever reads the store fills it; nothing here reads anything."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import numpy as np

from store.metrics import Curve, Series
from store.samples import Sample
from store.states import State

RECENT_POINTS = 2000
"""The newest points of a series are kept one by one: intervals, noise and spikes are read from these."""
OLDER_POINTS = 3000
"""Of those before them an even choice is enough: trends and the best value so far are read from these."""
Points = Series | Curve
"""Tuples or arrays: the rules take either."""
OUTPUT_BYTES = 16_384
"""So much of the end of the output is looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Siblings:
    """The other runs of the experiment that have reported something. Medians over them; None: nobody knows.

    `steps_per_s`: of each, its newest steps over the seconds they took, while it ran. `interval_s`: between two event
    lines of one run. Give runs whose speed may be compared: the same task, equal resources.
    """

    count: int = 0
    steps_per_s: float | None = None
    interval_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """One run at one moment.

    * `now`: the server's clock; for a run that has ended, the moment at which its last attempt ended.
    * `started_at`: begin of the present attempt; None: it never ran.
    * `series`: superseded points excluded, of all attempts, oldest first, each as `thinned` leaves it. Times are Unix
      seconds on the server's clock.
    * `samples`: of the present attempt, oldest first; evenly chosen where there are more than some thousand.
    * `output`: the cleaned end of the present attempt's output, OUTPUT_BYTES at most.
    * `last_event_at`: of the last event line of the present attempt that was stored, whatever it said; None: it has
      reported nothing yet. `last_output_at`: when its output last grew, where known.
    * `memory_limit_bytes`: what the run may use, None: no limit. `host_memory_bytes`: what its machine has.
    """

    state: State
    attempt: int
    now: datetime
    started_at: datetime | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    series: Mapping[str, Points] = field(default_factory=dict)
    samples: tuple[Sample, ...] = ()
    output: str = ""
    siblings: Siblings = field(default_factory=Siblings)
    last_event_at: datetime | None = None
    last_output_at: datetime | None = None
    memory_limit_bytes: int | None = None
    host_memory_bytes: int | None = None

    @property
    def is_running(self) -> bool:
        """Whether there is still something to save."""
        return self.state is State.RUNNING


def thinned(series: Points) -> Points:
    """The newest RECENT_POINTS and an even choice of those before, with the least, the greatest and the first that is
    not finite among them: no look may forget what an earlier one has seen.
    """
    count = len(series.steps)
    older = count - RECENT_POINTS
    if older <= OLDER_POINTS:
        return series
    values = np.asarray(series.values[:older], dtype=np.float64)
    chosen = set(np.linspace(0, older - 1, OLDER_POINTS - 3).astype(int).tolist())
    finite = np.isfinite(values)
    if not finite.all():
        chosen.add(int(np.argmin(finite)))
    if finite.any():
        chosen |= {int(np.argmin(np.where(finite, values, np.inf))), int(np.argmax(np.where(finite, values, -np.inf)))}
    kept = [*sorted(chosen), *range(older, count)]
    if isinstance(series, Curve):
        return replace(series, steps=series.steps[kept], times=series.times[kept], values=series.values[kept])
    steps, times, points = (tuple(one[i] for i in kept) for one in (series.steps, series.times, series.values))
    return Series(name=series.name, steps=steps, times=times, values=points)
