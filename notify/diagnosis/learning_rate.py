"""Signs of a learning rate that is too high or too low."""

import numpy as np

from notify.diagnosis import robust
from notify.diagnosis.chart import Chart
from notify.diagnosis.names import Kind, is_bias
from notify.diagnosis.sight import Sight
from notify.diagnosis.track import Pair, Track, number
from notify.diagnosis.wording import higher_rate, lower_rate
from store.findings import Disease, Finding, Severity

# Updates of about a thousandth of the weights are the rule of thumb; a fortieth again and again throws them about.
HIGH_RATIO, LOW_RATIO = 0.025, 2e-5
# Nothing at all is moved where no gradient comes: another illness.
NO_UPDATE = 1e-9
LOOKS = 8
LEAST_POINTS, LEAST_POINTS_LOW = 10, 15
# The loss of a whole epoch jumps by so much of what there is to lose, and stays in the upper part of it.
JUMPS, UPPER = 0.05, 0.4
# One leap at the begin to several times the loss, after which little of it goes: the weights were thrown away.
BLOW_UP, NOT_BACK = 3.0, 0.8
# Slow: less than this share of the loss is gone, in a nearly straight line.
SLOW_GAIN, STRAIGHT, KEPT_PACE = 0.05, -0.6, 0.6
# A loss that falls faster and faster is leaving its first flat stretch.
GAINED_PACE = 2.5
_PREFIX = "update_ratio_"
_BENGIO = "Bengio 2012, Practical recommendations for gradient-based training of deep architectures"
_SMITH = "Smith 2017, Cyclical learning rates for training neural networks (range test)"


def rate_too_high(sight: Sight) -> tuple[Finding, ...]:
    """Updates that are long against the weights, or an epoch's loss that leaps and does not fall."""
    track = sight.pair.train
    said = _long_updates(sight) or (None if track is None else _leaps(sight.pair, track) or _worse_than_begin(track))
    if said is None or (track is not None and _fine(track)):
        return ()
    return (
        Finding(
            disease=Disease.RATE_TOO_HIGH,
            severity=Severity.WARNING,
            about="learning rate",
            since_step=said[1],
            evidence=said[0],
            advice=f"Stop it and {lower_rate(sight.chart)}.",
            reference=f"{_BENGIO}; {_SMITH}",
        ),
    )


def _ratios(sight: Sight) -> dict[str, Track]:
    found = sight.of_kind(Kind.RATIO)
    return {
        name: track for name, track in found.items() if len(track) >= LOOKS and not is_bias(name.removeprefix(_PREFIX))
    }


def _long_updates(sight: Sight) -> tuple[str, int] | None:
    tracks = _ratios(sight)
    recent = {name: robust.middle(track.values[-LOOKS:]) for name, track in tracks.items()}
    if not recent or robust.middle(np.array(list(recent.values()))) < HIGH_RATIO:
        return None
    name = max(recent, key=recent.__getitem__)
    return f"an update changes the weights by {recent[name]:.1%} of their length ({name}); 0.1% is usual", tracks[
        name
    ].step(-LOOKS)


def _leaps(pair: Pair, track: Track) -> tuple[str, int] | None:
    """Of whole epochs: the loss of a single batch leaps by nature."""
    if len(track) < LEAST_POINTS or not pair.is_of_epochs:
        return None
    begin, half = robust.middle(track.values[:2]), len(track) // 2
    late = track.values[half:]
    jump, level = robust.noise(late), robust.middle(late)
    better = robust.middle(track.values[half // 2 : half]) - robust.middle(late[len(late) // 2 :])
    if jump < JUMPS * abs(begin) or level < UPPER * begin or better > jump:
        return None
    said = f"{track.name} leaps by {number(jump)} from point to point and does not fall: {track.shown(level)}"
    return said, track.step(half)


def _worse_than_begin(track: Track) -> tuple[str, int] | None:
    """It rose at once and never came down."""
    if len(track) < LEAST_POINTS:
        return None
    begin, late = float(track.values[0]), track.values[len(track) // 2 :]
    worse = 0.01 * abs(begin) + 2 * robust.noise(late)
    if track.values.max() > BLOW_UP * abs(begin) and np.quantile(late, 0.1) > NOT_BACK * begin:
        leap, now = track.shown(float(track.values.max())), track.shown(robust.middle(late))
        return f"{track.name} leapt to {leap} and is {now} since", track.step(0)
    if np.quantile(late, 0.1) < begin or track.values.max() < begin + max(worse, 0.05 * abs(begin)):
        return None
    return (
        f"{track.name} is {track.shown(robust.middle(late))}, worse than at its begin ({track.shown(begin)})",
        track.step(0),
    )


def _fine(track: Track) -> bool:
    """Most of the loss is gone, or it still falls well: then the rate is right, whatever else it looks like."""
    if len(track) < 4:
        return True
    course = robust.blocks(track.values, 8)
    begin, now = float(track.values[0]), float(course[-1])
    quick = float(course[len(course) // 2] - now) > 0.1 * abs(begin)
    return begin - now > 0.6 * abs(begin) or quick


def rate_too_low(sight: Sight) -> tuple[Finding, ...]:
    """A loss that falls in a straight line, and hardly; or updates that change nothing."""
    track = sight.pair.train
    if track is None or len(track) < LEAST_POINTS_LOW or _warms_up(sight.chart):
        return ()
    course = robust.blocks(track.values, 12)
    begin, now = robust.middle(track.values[:1]), float(course[-1])
    if begin - now > SLOW_GAIN * abs(begin) or begin <= now:
        return ()
    if (said := _straight(course) or _short_updates(sight)) is None:
        return ()
    return (
        Finding(
            disease=Disease.RATE_TOO_LOW,
            severity=Severity.WARNING,
            about="learning rate",
            since_step=track.step(0),
            evidence=f"{track.name} fell by {(begin - now) / abs(begin):.1%} in {len(track)} points; {said}",
            advice=f"{higher_rate(sight.chart).capitalize()}, or find it with a short range test.",
            reference=f"{_BENGIO}; {_SMITH}",
        ),
    )


def _straight(course: robust.Array) -> str | None:
    half = len(course) // 2
    first, second = course[0] - course[half], course[half] - course[-1]
    if robust.agreement(course) > STRAIGHT or not KEPT_PACE * first < second < GAINED_PACE * first:
        return None
    return "it falls in a straight line, as with steps that are far too short"


def _short_updates(sight: Sight) -> str | None:
    recent = [robust.middle(track.values[-LOOKS:]) for track in _ratios(sight).values()]
    if not recent or not NO_UPDATE < max(recent) < LOW_RATIO:
        return None
    return f"an update changes the weights by {max(recent):.1g} of their length, 1e-3 is usual"


def _warms_up(chart: Chart) -> bool:
    """A rate that still rises is not judged."""
    series = chart.series.get("learning_rate") or chart.series.get("lr")
    if series is None:
        return False
    values = robust.finite(np.asarray(series.values, dtype=np.float64))
    return len(values) > 1 and bool(values[-1] > 1.2 * values[0])
