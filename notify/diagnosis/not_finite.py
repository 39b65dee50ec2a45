"""A metric that is no number any more."""

import numpy as np
from numpy.typing import NDArray

from notify.diagnosis.chart import Chart, Points
from notify.diagnosis.names import Kind, Part, kind_of, part_of
from notify.diagnosis.sight import Sight
from notify.diagnosis.track import number
from notify.diagnosis.wording import lower_rate
from store.findings import Disease, Finding, Severity

# What a script reports for "not measured this time" looks the same; so a series that was a number again after a pause
# is sick only when it has been silent this many times longer than ever before.
_LONGER_THAN_ANY_PAUSE = 3
# A first NaN of held-out data is often "not evaluated yet".
_FIRST_POINTS, _FIRST_POINTS_HELD_OUT = 3, 10
# Nothing more will come of a run that has ended.
_FIRST_POINTS_ENDED = 1
# Scaled half precision meets infinite gradients, skips the update and goes on: only many in a row are an illness.
_GRADIENTS_IN_A_ROW = 5
_JUDGED = (Kind.LOSS, Kind.CONTEST, Kind.GRADIENT, Kind.NORM)
# Their infinity is an overflow of exp, told long before the loss itself is sick.
_MAY_OVERFLOW = ("perplexity", "ppl")


def not_finite(sight: Sight) -> tuple[Finding, ...]:
    """The loss first; one finding is enough, for all metrics follow it."""
    chart = sight.chart
    found = [(name, at) for name, one in chart.series.items() if (at := _begin(one, chart.is_running)) is not None]
    if not found:
        return ()
    found.sort(key=lambda item: (chart.series[item[0]].times[item[1]], kind_of(item[0]) is not Kind.LOSS, item[0]))
    name, at = found[0]
    return (_finding(chart, chart.series[name], at, len(found)),)


def _begin(series: Points, is_running: bool) -> int | None:
    """Where the last unbroken run of what is no number begins, if that is an illness."""
    kind = kind_of(series.name)
    if kind not in _JUDGED or any(word in series.name for word in _MAY_OVERFLOW) or not len(series.values):
        return None
    known = np.isfinite(np.asarray(series.values, dtype=np.float64))
    silent, longest = _runs(known)
    if silent == 0 or silent < _least(series, kind, silent, longest, is_running):
        return None
    return len(known) - silent


def _runs(known: NDArray[np.bool_]) -> tuple[int, int]:
    """The length of the last run of what is no number, and of the longest before."""
    edges = np.concatenate([[-1], np.flatnonzero(known), [len(known)]])
    lengths = np.diff(edges) - 1
    return int(lengths[-1]), int(lengths[:-1].max(initial=0))


def _least(series: Points, kind: Kind, silent: int, longest: int, is_running: bool) -> int:
    if silent == len(series.values):
        if part_of(series.name) is Part.HELD_OUT:
            return _FIRST_POINTS_HELD_OUT
        return _FIRST_POINTS if is_running else _FIRST_POINTS_ENDED
    least = _GRADIENTS_IN_A_ROW if kind is Kind.GRADIENT else 1
    return max(least, _LONGER_THAN_ANY_PAUSE * longest)


def _finding(chart: Chart, series: Points, at: int, count: int) -> Finding:
    before = f"{number(series.values[at - 1])} at step {series.steps[at - 1]}" if at else "it never was a number"
    beside = f", and so are {count - 1} more metrics" if count > 1 else ""
    return Finding(
        disease=Disease.NOT_FINITE,
        severity=Severity.SEVERE,
        about=series.name,
        since_step=int(series.steps[at]),
        evidence=f"{series.name} is {series.values[at]} since step {series.steps[at]} (before: {before}){beside}",
        advice=f"Stop it: no update mends a NaN; {lower_rate(chart)}, or clip the gradient's norm.",
        reference="Pascanu, Mikolov & Bengio 2013, On the difficulty of training recurrent neural networks",
    )
