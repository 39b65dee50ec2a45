"""Gradients that grow beyond all bounds, or do not reach a layer."""

import numpy as np

from notify.diagnosis import robust
from notify.diagnosis.chart import Chart
from notify.diagnosis.names import Kind, is_bias
from notify.diagnosis.sight import Sight
from notify.diagnosis.track import Track, number
from notify.diagnosis.wording import lower_rate
from store.findings import Disease, Finding, Severity

# Leaving the first flat stretch, healthy gradients grow tenfold or thirtyfold.
GROWN = 100.0
# Or so many of the newest points are by themselves so much longer than usual: cliffs in the surface of the loss.
SPIKES, AMONG = 3, 50
RECENT, LEAST_POINTS = 5, 8
# While the loss has lost less than this share of what it gained, and gained more than a little, long gradients do good.
COURSE, BACK, LITTLE = 12, 0.2, 0.05
# A layer that gets so much less than the others learns nothing while they do.
SHARE = 1e-3
# Weights that have brought so much of the loss down are not starved.
LEARNT = 0.3
_PASCANU = "Pascanu, Mikolov & Bengio 2013, On the difficulty of training recurrent neural networks"
_GLOROT = "Glorot & Bengio 2010, Understanding the difficulty of training deep feedforward networks; He et al. 2015"
_PREFIX = "gradient_norm_"


def exploding(sight: Sight) -> tuple[Finding, ...]:
    """The worst of all lengths that are reported."""
    tracks = sight.of_kind(Kind.GRADIENT)
    found = [(ratio, track) for track in tracks.values() if (ratio := _ratio(track)) is not None]
    if not found or _is_near_its_best(sight):
        return ()
    ratio, track = max(found, key=lambda item: (item[0], item[1].name))
    return (_exploding(sight.chart, track, ratio),)


def _is_near_its_best(sight: Sight) -> bool:
    """A loss that goes on falling shows that the gradients grew because there is something to learn."""
    track = sight.pair.train
    if track is None or len(track) < LEAST_POINTS:
        return False
    course = robust.blocks(track.values, COURSE)
    gain = float(course[0] - course.min())
    return gain > LITTLE * abs(float(course[0])) and float(course[-1] - course.min()) < BACK * gain


def _usual(track: Track) -> float:
    """The length early on."""
    return robust.middle(track.values[: max(3, len(track) // 4)])


def _ratio(track: Track) -> float | None:
    """How many times longer than early on it is now, or its spikes are; None: nothing to say."""
    usual = _usual(track) if len(track) >= LEAST_POINTS else 0.0
    if usual <= 0:
        return None
    spikes = np.sort(track.values[-AMONG:])[-SPIKES:]
    now = max(robust.middle(track.values[-RECENT:]), float(spikes[0]))
    return now / usual if now > GROWN * usual else None


def _exploding(chart: Chart, track: Track, ratio: float) -> Finding:
    usual = _usual(track)
    since = track.step(int((track.values > GROWN * usual).nonzero()[0][0]))
    clipped = chart.params.get("clip_norm") or chart.params.get("clip")
    mend = f"clip the gradient's norm (at {number(10 * usual)} or less), and {lower_rate(chart)}"
    advice = f"clipping hides it: {lower_rate(chart)}, or shorten the initial weights" if clipped else mend
    return Finding(
        disease=Disease.EXPLODING_GRADIENTS,
        severity=Severity.WARNING,
        about=track.name,
        since_step=since,
        evidence=f"{track.name} is {number(ratio * usual)} again and again, {ratio:.3g} times as long as early on",
        advice=f"{advice[0].upper()}{advice[1:]}.",
        reference=_PASCANU,
    )


def vanishing(sight: Sight) -> tuple[Finding, ...]:
    """The layer that gets the least, compared with the one that gets the most, while the loss does not fall."""
    layers = {
        name.removeprefix(_PREFIX): track
        for name, track in sight.of_kind(Kind.GRADIENT).items()
        if name.startswith(_PREFIX) and not is_bias(name.removeprefix(_PREFIX))
    }
    layers = {name: track for name, track in layers.items() if len(track) >= LEAST_POINTS}
    if len(layers) < 2 or _learns(sight):
        return ()
    recent = {name: robust.middle(track.values[-RECENT * 2 :]) for name, track in layers.items()}
    least, most = min(recent, key=recent.__getitem__), max(recent, key=recent.__getitem__)
    if recent[most] <= 0 or recent[least] >= SHARE * recent[most]:
        return ()
    return (_vanishing(least, most, recent, layers[least], layers[most]),)


def _learns(sight: Sight) -> bool:
    track = sight.pair.train
    if track is None or not len(track):
        return False
    begin = robust.middle(track.values[: max(1, min(3, len(track) // 5))])
    return begin - robust.middle(track.values[-RECENT:]) > LEARNT * abs(begin)


def _vanishing(least: str, most: str, recent: dict[str, float], low: Track, high: Track) -> Finding:
    count = min(len(low), len(high))
    starved = low.values[-count:] < SHARE * high.values[-count:]
    fed = (~starved).nonzero()[0]
    since = int(low.steps[-count:][min(int(fed[-1]) + 1 if len(fed) else 0, count - 1)])
    return Finding(
        disease=Disease.VANISHING_GRADIENTS,
        severity=Severity.WARNING,
        about=f"{_PREFIX}{least}",
        since_step=since,
        evidence=f"the gradient of {least} is {number(recent[least])}, that of {most} {number(recent[most])}: "
        f"{np.format_float_scientific(recent[least] / recent[most], 1)} of it, and the loss hardly falls",
        advice="Use initial weights that keep the variance, rectified or gated units, or residual connections.",
        reference=_GLOROT,
    )
