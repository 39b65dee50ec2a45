"""The loss on held-out data rises while that of training falls."""

import numpy as np

from notify.diagnosis import robust
from notify.diagnosis.chart import Chart
from notify.diagnosis.sight import Sight
from notify.diagnosis.track import Track
from store.findings import Disease, Finding, Severity

LEAST_POINTS = 8
# Prechelt's generalisation loss: how far above its best the held-out loss must be. He stops at 2 to 5 percent to save
# time; a diagnosis must not be wrong, so it waits for more, and measures by what was gained at all, too.
RISE, RISE_OF_GAIN = 0.06, 0.02
# So long it must have been above: points since the best, and share of all points.
LASTING_POINTS, LASTING_SHARE = 5, 0.15
NOISES = 3.0
# By so much of itself the training loss must have fallen since then.
FALL = 0.02
_REFERENCE = "Prechelt 1998, Early stopping – but when?"


def over_fitting(sight: Sight) -> tuple[Finding, ...]:
    """Without a training loss the rise alone is told, as a note."""
    pair = sight.pair
    held_out = pair.held_out
    if held_out is None or len(held_out) < LEAST_POINTS:
        return ()
    best, onset = _best(held_out)
    if not _rises(held_out, best, onset):
        return ()
    if pair.train is None:
        return (_finding(sight.chart, held_out, best, onset, "no training loss is reported to compare with", None),)
    since, now = _level(pair.train, held_out.steps[onset]), robust.middle(pair.train.values[-_few(pair.train) :])
    if since - now < max(FALL * abs(since), NOISES * pair.train.noise / np.sqrt(_few(pair.train))):
        return ()
    said = f"{pair.train.name} fell from {pair.train.shown(since)} to {pair.train.shown(now)} meanwhile"
    return (_finding(sight.chart, held_out, best, onset, said, Severity.WARNING),)


def _few(track: Track) -> int:
    """How many of the newest points are the present."""
    return max(LASTING_POINTS, len(track) // 20)


def _best(track: Track) -> tuple[float, int]:
    """The least of the running medians of three, and where."""
    padded = np.concatenate([track.values[:1], track.values, track.values[-1:]])
    smooth = np.median(np.stack([padded[:-2], padded[1:-1], padded[2:]]), axis=0)
    onset = int(np.argmin(smooth))
    return float(smooth[onset]), onset


def _rises(track: Track, best: float, onset: int) -> bool:
    """Whether it is above its best by more than noise, and has been for a while, and does not come back."""
    after = track.values[onset + 1 :]
    if len(after) < max(LASTING_POINTS, LASTING_SHARE * len(track)):
        return False
    few = min(_few(track), len(after))
    now = robust.middle(after[-few:])
    gain = max(robust.middle(track.values[:3]) - best, 0.0)
    least = max(
        RISE * min(abs(best), 10 * gain) if gain else RISE * abs(best), RISE_OF_GAIN * gain, NOISES * track.noise
    )
    # The newest third is higher than the third after the best: still rising, or settled up there.
    third = max(1, len(after) // 3)
    return now - best > least and robust.middle(after[-third:]) > robust.middle(after[:third])


def _level(track: Track, step: float) -> float:
    """What it was about a step."""
    at = int(np.searchsorted(track.steps, step)) if np.all(np.diff(track.steps) >= 0) else len(track) // 2
    return robust.middle(track.values[max(0, at - 2) : at + 3])


def _finding(chart: Chart, track: Track, best: float, onset: int, said: str, severity: Severity | None) -> Finding:
    now, step = robust.middle(track.values[-_few(track) :]), track.step(onset)
    stops = str(chart.params.get("early_stopping") or "none").lower() not in ("none", "false", "0")
    level = Severity.NOTE if stops or severity is None else severity
    return Finding(
        disease=Disease.OVER_FITTING,
        severity=level,
        about=track.name,
        since_step=step,
        evidence=f"{track.name} rose from {track.shown(best)} at step {step} to {track.shown(now)}; {said}",
        advice=f"Keep the weights of step {step} and stop early, or add weight decay, dropout or data.",
        reference=_REFERENCE,
    )
