"""What goes to the right: steps, updates, epochs, time, another metric."""

from collections.abc import Collection, Iterable

import numpy as np

from plots.asking import X
from plots.picture import Floats
from store.metrics import Axis, Curve
from store.outcomes import Outcome
from store.runs import Attempt
from store.store import Store

_UPDATES = ("updates", "update", "n_updates", "iteration", "iterations")
_STEPS, _TIMES = (Axis.STEP,), (Axis.TIME,)
_LABELS = {X.UPDATES.value: "updates of the weights", X.TIME.value: "running time"}
UNITS = ((2 * 86400.0, "days", 86400.0), (2 * 3600.0, "h", 3600.0), (120.0, "min", 60.0), (0.0, "s", 1.0))


def axes(x: str) -> Collection[Axis]:
    """What `place` needs to know of a curve."""
    return _TIMES if x == X.TIME else _STEPS


def place(x: str, one: Outcome, curve: Curve, store: Store) -> tuple[Floats, Floats] | None:
    """x and y of a curve; None where the run lacks what x is made of."""
    match x:
        case X.STEP:
            return curve.steps.astype(np.float64), curve.values
        case X.UPDATES:
            name = next((name for name in _UPDATES if name in one.summary), None)
            if name is None:
                return curve.steps.astype(np.float64), curve.values
            return along(curve, store.curve(one.id, name, _STEPS)), curve.values
        case X.EPOCH:
            return (
                (along(curve, store.curve(one.id, "epoch", _STEPS)), curve.values) if "epoch" in one.summary else None
            )
        case X.TIME:
            return running_s(curve.times, store.run(one.id).history), curve.values
        case _:
            return joined(curve, store.curve(one.id, x, _STEPS)) if x in one.summary else None


def label(x: str) -> str:
    """`updates of the weights`"""
    return _LABELS.get(x, x)


def along(curve: Curve, ruler: Curve) -> Floats:
    """What the other metric is at these steps, between its points and beyond them as straight lines.

    A count that is 1 at its first point was 0 at step 0.
    """
    steps, first = np.unique(ruler.steps.astype(np.float64), return_index=True)
    values = ruler.values[first]
    known = np.isfinite(values)
    steps, values = steps[known], values[known]
    if len(values) and values[0] == 1 and steps[0] > 0:
        steps, values = np.append(0.0, steps), np.append(0.0, values)
    at = curve.steps.astype(np.float64)
    if len(values) < 2:
        return np.full(len(at), values[0] if len(values) else np.nan)
    found = np.interp(at, steps, values)
    late = at > steps[-1]
    rate = (values[-1] - values[-2]) / (steps[-1] - steps[-2])
    placed: Floats = np.where(late, values[-1] + rate * (at - steps[-1]), found)
    return placed


def joined(curve: Curve, other: Curve) -> tuple[Floats, Floats]:
    """Points that both have at the same step; of a step that came twice, the later one."""
    last = {int(step): place for place, step in enumerate(other.steps)}
    pairs = [(last[int(step)], place) for place, step in enumerate(curve.steps) if int(step) in last]
    theirs, ours = (np.array([pair[side] for pair in pairs], dtype=np.int64) for side in (0, 1))
    return other.values[theirs], curve.values[ours]


def running_s(times: Floats, history: Iterable[Attempt]) -> Floats:
    """For how many seconds the run had been running, without what lay between its attempts."""
    spans = [
        (attempt.started_at.timestamp(), attempt.ended_at.timestamp() if attempt.ended_at else np.inf)
        for attempt in history
    ]
    if not spans:
        return times - (times[0] if len(times) else 0.0)
    found = np.zeros(len(times))
    for place, (start, end) in enumerate(spans):
        until = spans[place + 1][0] if place + 1 < len(spans) else np.inf
        found += np.clip(times, start, min(end, until)) - start
    return found


def time_unit(most_s: float) -> tuple[str, float]:
    """`("h", 3600)`: so that numbers stay short."""
    return next((name, size) for least, name, size in UNITS if most_s >= least)
