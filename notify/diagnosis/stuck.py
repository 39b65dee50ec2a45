"""A run that reports nothing any more."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from notify.diagnosis import robust
from notify.diagnosis.chart import Chart
from notify.diagnosis.looks import Looks
from notify.diagnosis.pulse import earlier_interval_s
from notify.diagnosis.sight import Sight
from notify.diagnosis.wording import duration
from store.findings import Disease, Finding, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a silence may last: the longest of these."""

    least_s: float
    usual: float
    longest: float


# Nothing runs, reads or writes: a deadlock, a stopped process, a network that never answers.
IDLE = Patience(least_s=300.0, usual=15.0, longest=2.0)
# It works: it may evaluate, save or compile for the first time, so it gets far longer; an endless loop is found, too.
WORKING = Patience(least_s=900.0, usual=50.0, longest=5.0)
# Nobody has looked at it.
UNSEEN = Patience(least_s=600.0, usual=25.0, longest=3.0)
# Below this share of one processor, and of its own past, nothing works.
IDLE_CPU, IDLE_OF_USUAL = 0.03, 0.1
BUSY_GPU = 0.1
IDLE_IO_PER_S = 50_000.0
# So few intervals do not tell what is usual; they are doubled.
FEW_INTERVALS = 8
# Without any report of its own: what siblings take, many times over, for the begin loads data and compiles.
FIRST_REPORT_S, FIRST_REPORT_USUAL = 1800.0, 100.0
# When the newest look is older than this, the worker cannot reach the store either; then silence says nothing.
BLIND_S = 90.0
_REFERENCE = "docs/diagnosis.md"


def stuck(sight: Sight) -> tuple[Finding, ...]:
    """Judged by its own pulse, and by whether its processes do anything meanwhile."""
    chart = sight.chart
    if not chart.is_running or chart.started_at is None:
        return ()
    looks, now = sight.looks, chart.now.timestamp()
    if len(looks) and now - looks.times[-1] > max(BLIND_S, 5 * robust.middle(np.diff(looks.times[-20:]))):
        return ()
    pulse = sight.pulse
    begin = chart.started_at.timestamp()
    said = [t.timestamp() for t in (chart.last_event_at, chart.last_output_at) if t is not None]
    newest = max([begin, *said, *pulse.times[-1:]])
    silent_s = now - newest
    patience_s, usual_s = _patience_s(chart, looks, pulse.intervals, newest, begin)
    if patience_s is None or silent_s <= patience_s:
        return ()
    steps = [int(series.steps[-1]) for series in chart.series.values() if len(series.steps)]
    return (_finding(chart, looks, newest, silent_s, usual_s, max(steps, default=None)),)


def _patience_s(
    chart: Chart, looks: Looks, intervals: robust.Array, newest: float, begin: float
) -> tuple[float | None, float]:
    """How long it may be silent, and what is usual; None: nobody knows."""
    patience = _patience(chart, looks, newest)
    earlier = earlier_interval_s(chart.series, begin)
    if len(intervals) >= 2:
        usual, longest = robust.middle(intervals), float(intervals.max())
        doubt = 2.0 if len(intervals) < FEW_INTERVALS else 1.0
        found = max(patience.least_s, doubt * patience.usual * usual, doubt * patience.longest * longest)
        return found, usual
    known = earlier if earlier is not None else chart.siblings.interval_s
    if known is None or (chart.siblings.count < 1 and earlier is None):
        return None, 0.0
    return max(FIRST_REPORT_S, patience.least_s, FIRST_REPORT_USUAL * known), known


def _patience(chart: Chart, looks: Looks, newest: float) -> Patience:
    quiet = looks.since(newest)
    if len(quiet) < 3:
        return UNSEEN
    return IDLE if _is_idle(chart, looks, quiet) else WORKING


def _is_idle(chart: Chart, looks: Looks, quiet: Looks) -> bool:
    """The second half of the silence: what it did at first may have been the end of something."""
    late = quiet.since((quiet.times[0] + quiet.times[-1]) / 2)
    if len(late) < 2:
        return False
    length = late.times[-1] - late.times[0]
    load = (late.cpu_s[-1] - late.cpu_s[0]) / length
    before = looks.times < quiet.times[0]
    past = (quiet.cpu_s[0] - looks.cpu_s[0]) / (quiet.times[0] - looks.times[0]) if before.any() else np.inf
    moved = (late.io_bytes[-1] - late.io_bytes[0]) / length
    return bool(
        load < IDLE_CPU
        and load < IDLE_OF_USUAL * max(past, IDLE_CPU)
        and moved < IDLE_IO_PER_S
        and not _gpu_works(chart, late)
    )


def _gpu_works(chart: Chart, late: Looks) -> bool:
    since = datetime.fromtimestamp(late.times[0], tz=chart.now.tzinfo)
    busy = [g.busy for s in chart.samples if s.at is not None and s.at >= since for g in s.gpus if g.busy is not None]
    return bool(busy) and float(np.mean(busy)) > BUSY_GPU


def _finding(chart: Chart, looks: Looks, newest: float, silent_s: float, usual_s: float, step: int | None) -> Finding:
    patience = _patience(chart, looks, newest)
    meanwhile = {
        id(IDLE): "its processes do nothing",
        id(WORKING): "its processes work",
        id(UNSEEN): "nobody has seen its processes since",
    }[id(patience)]
    at = chart.now - timedelta(seconds=silent_s)
    return Finding(
        disease=Disease.STUCK,
        severity=Severity.SEVERE,
        since_step=step,
        evidence=f"nothing reported for {duration(silent_s)} (since {at:%Y-%m-%d %H:%M} UTC); "
        f"every {duration(usual_s)} is usual, and {meanwhile}",
        advice="Look at its threads (`py-spy dump`, `gdb`), then stop and requeue it: it goes on from its checkpoint.",
        reference=_REFERENCE,
    )
