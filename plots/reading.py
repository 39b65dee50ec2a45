"""One curve of one run, ready to be drawn: read, placed, smoothed, thinned. One whole curve at a time is in memory."""

from dataclasses import dataclass

import numpy as np

from notify.thinning import kept
from plots import across
from plots.asking import Ask, X
from plots.bands import Digest, digest
from plots.picture import Floats
from plots.smoothing import smoothed
from store.metrics import Curve
from store.outcomes import Outcome
from store.store import Store

EPOCH_S = "seconds per epoch"
"""What is made of the times at which epochs were reported, where no metric tells."""
CLOCK = "clock_epoch_s"
_MARKS = 200


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Line:
    """Of one metric of one run. `raw`: y before smoothing, at `raw_xs`. `points`: how many there are."""

    run: Outcome
    metric: str
    xs: Floats
    ys: Floats
    bad: Floats
    raw_xs: Floats | None = None
    raw: Floats | None = None
    digest: Digest | None = None
    points: int = 0
    not_positive: int = 0


def line(one: Outcome, metric: str, ask: Ask, store: Store, *, for_group: bool, columns: int) -> Line | None:
    """None: there is no such metric, or nothing to place it by."""
    placed = _placed(one, metric, ask.x or X.STEP, store)
    if placed is None or not len(placed[0]):
        return None
    xs, raw = placed
    bad = ~np.isfinite(raw)
    raw = np.where(bad, np.nan, raw)
    ys = smoothed(raw, ask.smooth)
    chosen = kept(ys, columns, gaps=True)
    behind = kept(raw, columns, gaps=True) if ask.smooth and not for_group else None
    return Line(
        run=one,
        metric=metric,
        xs=xs[chosen],
        ys=ys[chosen],
        bad=_few(xs[bad]),
        raw_xs=None if behind is None else xs[behind],
        raw=None if behind is None else raw[behind],
        digest=digest(xs, ys) if for_group else None,
        points=len(raw),
        not_positive=int((raw <= 0).sum()),
    )


def _placed(one: Outcome, metric: str, x: str, store: Store) -> tuple[Floats, Floats] | None:
    """x and y of a metric, or of what is made of others."""
    if metric == EPOCH_S:
        return across.place(x, one, seconds_per_epoch(store.curve(one.id, "epoch")), store)
    return across.place(x, one, store.curve(one.id, metric, across.axes(x)), store)


def seconds_per_epoch(epochs: Curve) -> Curve:
    """From one report to the next. A pause between two attempts would show as a peak: that is what it took."""
    with np.errstate(all="ignore"):
        values = np.diff(epochs.times) / np.diff(epochs.values)
    return Curve(name=EPOCH_S, steps=epochs.steps[1:], times=epochs.times[1:], values=values)


def _few(bad: Floats) -> Floats:
    return bad if len(bad) <= _MARKS else bad[np.linspace(0, len(bad) - 1, _MARKS).astype(np.int64)]
