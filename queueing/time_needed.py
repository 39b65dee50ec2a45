"""What a run needs of a worker's time, and what to say when nobody has so much: pure."""

from collections.abc import Sequence
from datetime import datetime

from queueing.units import format_duration
from store.runs import Run
from store.spans import Needs, Pace, Span, needs, together
from store.workers import Worker


def needed_of(run: Run, paces: Sequence[Pace], *, ours: bool) -> Needs:
    """By its time limit, its own attempts, or those of its siblings."""
    return needs(
        time_s=run.resources.time_s,
        own=run.outlook,
        siblings=together(paces) if paces else None,
        ours=ours,
        grace_s=run.task.grace_s,
    )


def span_of(worker: Worker, now: datetime, margin_s: float) -> Span | None:
    """The time of a worker as others see it; None: it has no end."""
    if worker.until is None:
        return None
    left_s = max(0.0, (worker.until - now).total_seconds())
    return Span.of(left_s, max(worker.whole_s or left_s, left_s), margin_s)


def too_little_time(needed: Needs, spans: Sequence[Span]) -> str:
    """`it needs about 3h 10m; the only worker that fits has 40m left`. Of several, the one with the most is named."""
    left = format_duration(max((span.left_s for span in spans), default=0.0))
    who = "the only worker that fits" if len(spans) == 1 else "of the workers that fit the one with the most time"
    return f"{_wanted(needed)}; {who} has {left} left"


def _wanted(needed: Needs) -> str:
    if needed.hops and needed.above_s:
        return f"an attempt of {format_duration(needed.above_s)} or more is needed to reach another checkpoint"
    if needed.hops and needed.rest_s is None:
        return f"a start is worth it with about {format_duration(needed.worth_s)} to work"
    rest = f"it needs about {format_duration(needed.rest_s)}" if needed.rest_s is not None else ""
    if needed.hops:
        return f"{rest}, and a start is worth it with {format_duration(needed.worth_s)} to work"
    if needed.above_s and needed.rest_s is None:
        return f"it needs more than {format_duration(needed.above_s)} and has stored no checkpoint so far"
    checkpoints = " and its like store no checkpoints" if needed.hops is False else ""
    return f"{rest}{checkpoints}" if rest else "nobody knows how long it takes"
