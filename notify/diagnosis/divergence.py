"""The training loss leaves for good what it had reached."""

import numpy as np

from notify.diagnosis import robust
from notify.diagnosis.chart import Chart
from notify.diagnosis.sight import Sight
from notify.diagnosis.track import Track
from notify.diagnosis.wording import lower_rate
from store.findings import Disease, Finding, Severity

LEAST_POINTS = 8
# "For good": it has stayed up for a tenth of the run, and for five points at least. Spikes of healthy runs are shorter.
LASTING_SHARE, LASTING_POINTS = 0.1, 5
# It has lost again half of what it had learnt, and hardly a point less than a third. Smaller rises are what large rates
# do before they settle.
LOST_SHARE, LOST_AT_LEAST = 0.5, 0.35
# … or stands above its begin by a tenth of that level.
ABOVE_BEGIN = 0.1
# What it had learnt must be more than the noise of a point, and more than a little.
NOISES, LITTLE = 6.0, 0.02


def divergence(sight: Sight) -> tuple[Finding, ...]:
    """Of the training loss; where there is none, a rise of the held-out one is judged as over-fitting."""
    track = sight.pair.train
    if track is None or len(track) < LEAST_POINTS:
        return ()
    return _judged(sight.chart, track)


def _judged(chart: Chart, track: Track) -> tuple[Finding, ...]:
    count = max(LASTING_POINTS, int(LASTING_SHARE * len(track)))
    if count >= len(track):
        return ()
    before, last = track.values[:-count], track.values[-count:]
    begin = robust.middle(before[: max(1, min(5, len(before) // 5))])
    smooth = robust.blocks(before, 40)
    best = float(smooth.min())
    now, low = robust.middle(last), float(np.quantile(last, 0.1))
    scale = max(abs(begin), begin - best)
    noise = min(track.noise_early, robust.noise(last))
    if low > begin + max(ABOVE_BEGIN * scale, 3 * noise):
        return (_finding(chart, track, best, now, f"and above its begin ({track.shown(begin)})", Severity.SEVERE),)
    gain = begin - best
    learnt = gain > max(NOISES * track.noise_early, LITTLE * abs(begin))
    if learnt and now > best + LOST_SHARE * gain and low > best + LOST_AT_LEAST * gain:
        lost = (now - best) / gain
        said = f"it has lost {lost:.0%} of what it had gained since its begin ({track.shown(begin)})"
        return (_finding(chart, track, best, now, said, Severity.WARNING),)
    return ()


def _finding(chart: Chart, track: Track, best: float, now: float, said: str, severity: Severity) -> Finding:
    since = int(np.argmin(track.values))
    step = track.step(since)
    return Finding(
        disease=Disease.DIVERGENCE,
        severity=severity,
        about=track.name,
        since_step=step,
        evidence=f"{track.name} is {track.shown(now)}, after {track.shown(best)} at about step {step}; {said}",
        advice=f"Stop it and {lower_rate(chart)}, with clipped gradients or a warm-up if it needs the rate.",
        reference="Bengio 2012, Practical recommendations for gradient-based training; Pascanu et al. 2013",
    )
