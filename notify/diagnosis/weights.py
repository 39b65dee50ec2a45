"""Weights that grow and grow."""

from notify.diagnosis import robust
from notify.diagnosis.chart import Chart
from notify.diagnosis.names import Kind, is_bias
from notify.diagnosis.sight import Sight
from notify.diagnosis.track import Track, number
from notify.diagnosis.wording import lower_rate
from store.findings import Disease, Finding, Severity

# Trained weights end at some times their initial length; embeddings that are rarely met begin short and grow most.
GROWN = 12.0
# … and that they still grow: by so much over the last third.
STILL = 1.1
LEAST_POINTS = 5


def growing_weights(sight: Sight) -> tuple[Finding, ...]:
    """The layer that has grown most."""
    tracks = [track for name, track in sight.of_kind(Kind.NORM).items() if not is_bias(name.removeprefix("norm_"))]
    found = [(ratio, track) for track in tracks if (ratio := _growth(track)) is not None]
    if not found:
        return ()
    ratio, track = max(found, key=lambda item: (item[0], item[1].name))
    return (_finding(sight.chart, track, ratio),)


def _growth(track: Track) -> float | None:
    if len(track) < LEAST_POINTS or track.values[0] <= 0:
        return None
    now, before = robust.middle(track.values[-3:]), float(track.values[0])
    earlier = float(track.values[int(len(track) * 2 / 3) - 1])
    return now / before if now > GROWN * before and now > STILL * earlier else None


def _finding(chart: Chart, track: Track, ratio: float) -> Finding:
    first, last = number(track.values[0]), number(track.values[-1])
    long = (track.values > GROWN * track.values[0]).nonzero()[0]
    since = track.step(int(long[0])) if len(long) else track.step(-1)
    return Finding(
        disease=Disease.GROWING_WEIGHTS,
        severity=Severity.WARNING,
        about=track.name,
        since_step=since,
        evidence=f"{track.name} grew from {first} to {last}, {ratio:.3g} times, and still grows",
        advice=f"Add weight decay or bound the norms, and {lower_rate(chart)}.",
        reference="Krogh & Hertz 1991, A simple weight decay can improve generalization",
    )
