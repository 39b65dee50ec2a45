"""A GPU that was reserved and does nothing."""

import numpy as np

from notify.diagnosis.chart import Chart
from notify.diagnosis.sight import Sight
from notify.diagnosis.wording import duration
from store.findings import Disease, Finding, Severity

# Loading data and compiling take minutes; validation on the processor does too.
LASTING_S, LEAST_LOOKS = 600.0, 20
# Busy in this share of the looks at most, and so little on the mean.
BUSY, LOOKS_BUSY, MEAN_BUSY = 0.05, 0.05, 0.03


def idle_gpu(sight: Sight) -> tuple[Finding, ...]:
    """Each GPU by itself: one of four that idles is a mistake too."""
    chart = sight.chart
    if not chart.is_running:
        return ()
    indices = sorted({gpu.index for sample in chart.samples for gpu in sample.gpus})
    found = [_judged(chart, index) for index in indices]
    idle = [one for one in found if one is not None]
    return tuple(_finding(index, seconds, held, len(indices)) for index, seconds, held in idle)


def _judged(chart: Chart, index: int) -> tuple[int, float, int | None] | None:
    looks = [
        (sample.at.timestamp(), gpu.busy, gpu.memory_bytes)
        for sample in chart.samples
        for gpu in sample.gpus
        if gpu.index == index and gpu.busy is not None and sample.at is not None
    ]
    if not looks:
        return None
    last = looks[-1][0]
    recent = [look for look in looks if look[0] >= last - LASTING_S]
    busy = np.array([look[1] for look in recent])
    if len(recent) < LEAST_LOOKS or last - looks[0][0] < LASTING_S:
        return None
    if np.mean(busy > BUSY) > LOOKS_BUSY or busy.mean() > MEAN_BUSY:
        return None
    working = [look[0] for look in looks if look[1] > BUSY]
    return index, last - (working[-1] if working else looks[0][0]), looks[-1][2]


def _finding(index: int, seconds: float, held: int | None, count: int) -> Finding:
    holding = f", holding {held / 1e9:.2g} GB of its memory" if held else ""
    return Finding(
        disease=Disease.IDLE_GPU,
        severity=Severity.WARNING,
        about=f"gpu {index}",
        evidence=f"GPU {index}{f' of {count}' if count > 1 else ''} has done nothing for {duration(seconds)}{holding}",
        advice="See that model and data are on the device, and whether loading the data keeps it waiting.",
        reference="Jeon et al. 2019, Analysis of large-scale multi-tenant GPU clusters (utilisation)",
    )
