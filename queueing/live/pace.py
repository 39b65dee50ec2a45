"""How fast a run goes, and how long it will take. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from store.runs import Progress, Run
from store.states import State

WINDOW_S = 60.0
"""A rate is that of the last minute, as far as it was watched."""

SHORTEST_S = 3.0
TRUSTED_FRACTION = 0.2
"""From here on a run's own pace counts alone. Before, the less the younger it is: first steps compile and warm up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """How far an attempt was at a moment of the server's clock."""

    at: datetime
    done: float


def watched(marks: Sequence[Mark], progress: Progress, now: datetime) -> tuple[Mark, ...]:
    """The marks of the window and the newest one. A run that went back, as one that resumed, is watched anew."""
    recent = [mark for mark in marks if (now - mark.at).total_seconds() <= WINDOW_S]
    if recent and recent[-1].done > progress.done:
        recent = []
    if recent and recent[-1].done == progress.done:
        return tuple(recent)
    return (*recent, Mark(at=now, done=progress.done))


def rate(run: Run, marks: Sequence[Mark], now: datetime) -> float | None:
    """Units of the run's progress per second: of the last minute, else the mean since the attempt began."""
    if run.progress is None:
        return None
    if len(marks) > 1:
        watched_s = (now - marks[0].at).total_seconds()
        if watched_s >= SHORTEST_S:
            return (run.progress.done - marks[0].done) / watched_s
    began, elapsed_s = _began_at(run), _elapsed_s(run, now)
    made = run.progress.done - began if began is not None else 0.0
    return made / elapsed_s if made > 0 and elapsed_s >= SHORTEST_S else None


def time_left_s(run: Run, per_s: float | None, now: datetime, siblings_s: Sequence[float]) -> float | None:
    """Seconds, from the run's own pace and from how long its finished siblings took; None when neither tells."""
    own = _own_s(run.progress, per_s)
    others = _by_siblings_s(run, now, siblings_s)
    if own is None or others is None or run.progress is None:
        return others if own is None else own
    trust = min(1.0, run.progress.fraction / TRUSTED_FRACTION)
    return trust * own + (1 - trust) * others


def durations_s(ended: Sequence[Run]) -> dict[str, tuple[float, ...]]:
    """How long the finished runs of each experiment took; those of several attempts tell nothing."""
    found: dict[str, tuple[float, ...]] = {}
    for run in ended:
        if run.state is State.FINISHED and run.attempt == 1 and run.started_at and run.ended_at:
            took_s = (run.ended_at - run.started_at).total_seconds()
            found[run.experiment] = (*found.get(run.experiment, ()), took_s)
    return found


def _own_s(progress: Progress | None, per_s: float | None) -> float | None:
    if progress is None or not per_s or per_s < 0 or progress.total <= 0:
        return None
    return max(0.0, progress.total - progress.done) / per_s


def _by_siblings_s(run: Run, now: datetime, siblings_s: Sequence[float]) -> float | None:
    if not siblings_s:
        return None
    if run.progress is not None and run.progress.total > 0:
        return median(siblings_s) * (1 - run.progress.fraction)
    return max(0.0, median(siblings_s) - _elapsed_s(run, now)) if run.attempt == 1 else None


def _began_at(run: Run) -> float | None:
    """What was done before the attempt began; unknown where its steps are not what progress counts."""
    resumed = run.history[-1].resumed_from_step if run.history else None
    if resumed is None:
        return 0.0 if run.checkpoint is None or run.checkpoint.attempt == run.attempt else None
    return float(resumed) if run.progress is not None and resumed <= run.progress.done else None


def _elapsed_s(run: Run, now: datetime) -> float:
    return (now - run.history[-1].started_at).total_seconds() if run.history else 0.0
