"""One run as the rules of the diagnosis want it: a bounded read of the store, whatever the run has reported."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from notify.diagnosis.chart import OLDER_POINTS, OUTPUT_BYTES, RECENT_POINTS, Chart, Points, Siblings, thinned
from store.findings import Diagnosis
from store.logbook import warn
from store.metrics import BUCKET_POINTS, Series
from store.plain_text import clean
from store.runs import Attempt, MetricSummary, Run
from store.states import State
from store.store import RunQuery, Store

MOST_METRICS = 100
"""Of a run with more, those that came first by name are looked at. Losses and norms are few."""
MOST_SAMPLES = 400
MOST_SIBLINGS = 40
_WHOLE_POINTS = 4 * BUCKET_POINTS
"""So many points are read one by one, beyond those that a chart keeps: thinning them here loses no spike."""


def chart_of(store: Store, run: Run, last: Diagnosis | None, now: datetime, siblings: Siblings) -> Chart:
    """`last`: what was seen of this attempt before. Raises StoreUnavailable, StoreFailed."""
    attempt = run.history[-1] if run.history else None
    series = series_of(store, run)
    output = store.log_tail(run.id, run.attempt, OUTPUT_BYTES)
    return Chart(
        state=run.state,
        attempt=run.attempt,
        now=now if run.state is State.RUNNING else (attempt and attempt.ended_at) or run.ended_at or now,
        started_at=attempt.started_at if attempt else None,
        params=run.params,
        series=series,
        samples=tuple(store.samples_in_part(run.id, run.attempt, MOST_SAMPLES)),
        output=clean(output),
        siblings=siblings,
        last_event_at=last_event_at(run, last, series, now),
        last_output_at=last_output_at(run, last, now),
        memory_limit_bytes=run.resources.memory_bytes,
        host_memory_bytes=(attempt.facts.get("memory_bytes") if attempt else None),
    )


def series_of(store: Store, run: Run) -> dict[str, Points]:
    """Those with the names of losses first, should there be too many."""
    names = sorted(run.summary, key=lambda name: ("loss" not in name and "norm" not in name, name))[:MOST_METRICS]
    found = store.series_in_part(run.id, names, RECENT_POINTS, OLDER_POINTS + _WHOLE_POINTS)
    return {name: thinned(with_extremes(one, run.summary[name])) for name, one in found.items()}


def with_extremes(series: Series, summary: MetricSummary) -> Series:
    """The least and the greatest value of a series that was read in part. Its time is that of its neighbour."""
    if summary.count <= len(series.steps):
        return series
    extremes = [(summary.min_step, summary.min), (summary.max_step, summary.max)]
    for step, value in extremes:
        if (
            step is not None
            and value is not None
            and (step, value) not in zip(series.steps, series.values, strict=True)
        ):
            series = _with(series, step, value)
    return series


def _with(series: Series, step: int, value: float) -> Series:
    """Before the first point of a later step."""
    place = next((i for i, other in enumerate(series.steps) if other > step), len(series.steps))
    time = series.times[min(place, len(series.times) - 1)]
    return Series(
        name=series.name,
        steps=(*series.steps[:place], step, *series.steps[place:]),
        times=(*series.times[:place], time, *series.times[place:]),
        values=(*series.values[:place], value, *series.values[place:]),
    )


def last_event_at(run: Run, last: Diagnosis | None, series: Mapping[str, Points], now: datetime) -> datetime | None:
    """Points have times; other lines, such as progress, are only seen to have come since the last look."""
    if run.shipped.attempt != run.attempt or run.shipped.events_lines == 0:
        return None
    newest = max((float(one.times[-1]) for one in series.values() if len(one.times)), default=None)
    at = None if newest is None else datetime.fromtimestamp(newest, UTC)
    if last is not None and last.lines == run.shipped.events_lines:
        return max((one for one in (at, last.lines_at) if one is not None), default=None)
    if last is None:
        return at or now
    return max(one for one in (at, last.looked_at, last.lines_at) if one is not None) if at or last.looked_at else now


def last_output_at(run: Run, last: Diagnosis | None, now: datetime) -> datetime | None:
    """None as long as nobody has seen it grow."""
    if run.shipped.attempt != run.attempt or last is None:
        return None
    return now if run.shipped.output_bytes > last.output_bytes else last.output_at


# ── siblings ──
def siblings_of(runs: Iterable[Run], run: Run, now: datetime) -> Siblings:
    """Those that do the same on equal resources, and have reported something."""
    like = [one for one in runs if one.id != run.id and one.task == run.task and one.resources == run.resources]
    paces = [pace for one in like if (pace := _pace(one, now)) is not None]
    if not paces:
        return Siblings()
    return Siblings(
        count=len(paces),
        steps_per_s=statistics.median(steps for steps, _ in paces),
        interval_s=statistics.median(interval for _, interval in paces),
    )


def experiments_runs(store: Store, experiment: str) -> Sequence[Run]:
    """The newest ones that run or have finished; none where one of them cannot be read."""
    asked = RunQuery(experiment=experiment, states=(State.RUNNING, State.FINISHED), limit=MOST_SIBLINGS)
    try:
        return store.runs(asked)
    except ValueError as error:  # a document that was spoiled by hand
        warn("siblings-not-readable", experiment=experiment, error=str(error).split("\n")[0])
        return ()


def _pace(run: Run, now: datetime) -> tuple[float, float] | None:
    """Steps a second, and seconds between two event lines, over the present attempt."""
    attempt = run.history[-1] if run.history else None
    if attempt is None or not run.summary or run.shipped.attempt != run.attempt or not run.shipped.events_lines:
        return None
    lasted_s = _lasted_s(attempt, now)
    steps = max(one.last_step for one in run.summary.values()) - (attempt.resumed_from_step or 0)
    if lasted_s <= 0 or steps <= 0:
        return None
    return steps / lasted_s, lasted_s / run.shipped.events_lines


def _lasted_s(attempt: Attempt, now: datetime) -> float:
    return ((attempt.ended_at or now) - attempt.started_at).total_seconds()
