"""Hidden units that pass on no gradient any more."""

from notify.diagnosis import robust
from notify.diagnosis.chart import Chart
from notify.diagnosis.sight import Sight
from notify.diagnosis.track import Track
from notify.diagnosis.wording import lower_rate
from store.findings import Disease, Finding, Severity

# Some rectified units are always silent; half of them is a network of half the size.
MANY, MOST = 0.5, 0.9
# So many looks in a row: after a wild first epoch they may come back.
LOOKS = 3


def dead_units(sight: Sight) -> tuple[Finding, ...]:
    """From the share that the trainer and `labq.watch` report."""
    track = sight.tracks.get("dead_units")
    if track is None or len(track) < LOOKS or (track.values[-LOOKS:] < MANY).any():
        return ()
    return (_finding(sight.chart, track),)


def _finding(chart: Chart, track: Track) -> Finding:
    low = (track.values < MANY).nonzero()[0]
    since = track.step(int(low[-1]) + 1 if len(low) else 0)
    share = robust.middle(track.values[-LOOKS:])
    return Finding(
        disease=Disease.DEAD_UNITS,
        severity=Severity.SEVERE if share >= MOST else Severity.WARNING,
        about="dead_units",
        since_step=since,
        evidence=f"{share:.0%} of the hidden units have had no slope for any input since step {since}",
        advice=f"Dead units do not come back: begin anew, and {lower_rate(chart)}, or use leaky units.",
        reference="Glorot, Bordes & Bengio 2011, Deep sparse rectifier networks; He et al. 2015",
    )
