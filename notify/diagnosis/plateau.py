"""Half of the run has brought nothing."""

import numpy as np

from notify.diagnosis import robust
from notify.diagnosis.sight import Sight
from notify.diagnosis.track import Track
from store.findings import Disease, Finding, Severity

# Fewer points are no course: the first epochs of a recurrent net are often flat.
LEAST_POINTS = 20
# Seven in twelve blocks at the end have brought less than a hundredth of what was gained. A loss that falls as a power
# of time, as healthy ones do, gains more than twice as much in its second half.
BLOCKS, QUIET_BLOCKS, GAINED = 12, 7, 0.01
# Noise hides improvement: a course is judged when the medians of its blocks tell this share of the gain from nothing.
TOLD_APART = 0.02
# One that never gained anything beyond noise is judged after more points, and of epochs alone.
NEVER_POINTS, NOISES = 40, 4.0
# A rise of so little of the loss is no leaving.
RISE = 0.005


def plateau(sight: Sight) -> tuple[Finding, ...]:
    """Of the held-out loss, else of the training loss; it is no plateau while the other still falls."""
    pair = sight.pair
    tracks = [track for track in (pair.held_out, pair.train) if track is not None and len(track) >= LEAST_POINTS]
    if not tracks or not all(_is_flat(track) or (pair.is_of_epochs and _never_gained(track)) for track in tracks):
        return ()
    return (_finding(tracks[0]),)


def _is_flat(track: Track) -> bool:
    """Neither has it found anything better of late, nor is it leaving what it found (that is another illness)."""
    course = robust.blocks(track.values, BLOCKS)
    early, late = course[: BLOCKS - QUIET_BLOCKS], course[BLOCKS - QUIET_BLOCKS :]
    begin = robust.middle(track.values[: max(1, min(3, len(track) // BLOCKS))])
    gain = max(begin - float(course.min()), 0.0)
    error = _noise_of_block(track)
    if error > TOLD_APART * gain:
        return False
    better = float(early.min() - late.min())
    rising = float(robust.middle(late[-3:]) - course.min())
    still_falls = robust.agreement(late) < -0.8
    leaves = rising > max(0.1 * gain, RISE * abs(begin))
    return better <= max(GAINED * gain, error) and not still_falls and not leaves


def _never_gained(track: Track) -> bool:
    """Flat from its first point on, but for noise."""
    course = robust.blocks(track.values, BLOCKS)
    spread = max(NOISES * _noise_of_block(track), RISE * abs(float(track.values[0])))
    return len(track) >= NEVER_POINTS and float(np.ptp(course)) <= spread


def _noise_of_block(track: Track) -> float:
    return float(track.noise / np.sqrt(max(1.0, len(track) / BLOCKS)))


def _finding(track: Track) -> Finding:
    step = track.step(int(len(track) * (1 - QUIET_BLOCKS / BLOCKS)))
    course = robust.blocks(track.values, BLOCKS)
    then, now, best = (
        track.shown(float(v)) for v in (course[BLOCKS - QUIET_BLOCKS - 1], course[-1], track.values.min())
    )
    return Finding(
        disease=Disease.PLATEAU,
        severity=Severity.NOTE,
        about=track.name,
        since_step=step,
        evidence=f"{track.name} has gained nothing since step {step}: {then} then, {now} now, {best} at best",
        advice="Stop it, or go on from its best checkpoint with a changed learning rate or a larger network.",
        reference="Prechelt 1998, Early stopping – but when?; Smith 2017, Cyclical learning rates",
    )
