"""Fewer steps a second than before, or than others make."""

import numpy as np

from notify.diagnosis.chart import Chart
from notify.diagnosis.pulse import Pulse
from notify.diagnosis.robust import Array
from notify.diagnosis.sight import Sight
from notify.diagnosis.wording import duration
from store.findings import Disease, Finding, Severity

# Windows of equally many reports, so that each holds its share of evaluations and checkpoints.
WINDOWS, LEAST_REPORTS = 12, 36
# The two newest windows have at most this share of the usual speed, which is that of the better windows before: a
# machine that has been slow for most of the time was fast once.
OF_USUAL, USUAL = 0.6, 0.75
# A window that is nearly as fast as usual; two there were, and at most one came back after slow ones, or slowness is
# usual too.
FAST, LEAST_FAST, RETURNS = 0.8, 2, 1
# … and have lasted this long: a busy minute passes.
LASTING_S = 300.0
# Siblings differ in size as well; only far slower is worth a word.
OF_SIBLINGS, LEAST_SIBLINGS = 0.25, 3


def slow(sight: Sight) -> tuple[Finding, ...]:
    """Against its own past in this attempt first; it ran elsewhere before."""
    if not sight.chart.is_running:
        return ()
    return _against_past(sight.pulse) or _against_siblings(sight.chart, sight.pulse)


def _against_past(pulse: Pulse) -> tuple[Finding, ...]:
    if len(pulse.times) < LEAST_REPORTS or np.any(np.diff(pulse.steps) < 0):
        return ()
    edges = np.linspace(0, len(pulse.times) - 1, WINDOWS + 1).astype(int)
    seconds = np.diff(pulse.times[edges])
    speeds = np.diff(pulse.steps[edges]) / np.maximum(seconds, 1e-9)
    past, recent = speeds[:-2], speeds[-2:]
    usual = float(np.quantile(past[1:], USUAL))
    now, lasting = float(recent.max()), float(seconds[-2:].sum())
    if usual <= 0 or lasting < LASTING_S or now > OF_USUAL * usual or not _was_fast_once(past, usual):
        return ()
    return (_finding(f"{_per(now)} for {duration(lasting)}, {_per(usual)} before", now / usual, pulse, edges[-3]),)


def _was_fast_once(speeds: Array, usual: float) -> bool:
    """Fast first and slow now, not by turns."""
    fast, slow = speeds >= FAST * usual, speeds <= OF_USUAL * usual
    returns = int((fast[1:] & slow[:-1]).sum())
    return bool(fast.sum() >= LEAST_FAST and returns <= RETURNS)


def _against_siblings(chart: Chart, pulse: Pulse) -> tuple[Finding, ...]:
    theirs = chart.siblings.steps_per_s
    if theirs is None or chart.siblings.count < LEAST_SIBLINGS or len(pulse.times) < LEAST_REPORTS:
        return ()
    length = pulse.times[-1] - pulse.times[0]
    mine = (pulse.steps[-1] - pulse.steps[0]) / max(length, 1e-9)
    if length < LASTING_S or mine <= 0 or mine > OF_SIBLINGS * theirs:
        return ()
    said = f"{_per(mine)}; its {chart.siblings.count} siblings make {_per(theirs)}"
    return (_finding(said, mine / theirs, pulse, 0, Severity.NOTE),)


def _per(speed: float) -> str:
    return f"{speed:.3g} steps a second" if speed >= 0.1 else f"{speed * 3600:.3g} steps an hour"


def _finding(said: str, share: float, pulse: Pulse, at: int, severity: Severity = Severity.WARNING) -> Finding:
    return Finding(
        disease=Disease.SLOW,
        severity=severity,
        since_step=int(pulse.steps[at]),
        evidence=f"{said} ({share:.0%})",
        advice="See who else uses the machine, and whether it swaps, throttles or waits for its disk.",
        reference="Gregg 2013, Systems performance (the USE method)",
    )
