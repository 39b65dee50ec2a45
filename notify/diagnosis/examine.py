"""What a run suffers from: every rule looks at the same chart."""

from collections.abc import Callable

from notify.diagnosis.chart import Chart
from notify.diagnosis.disk_filling import disk_filling
from notify.diagnosis.divergence import divergence
from notify.diagnosis.gradients import exploding, vanishing
from notify.diagnosis.idle_gpu import idle_gpu
from notify.diagnosis.learning_rate import rate_too_high, rate_too_low
from notify.diagnosis.memory_growth import memory_growth
from notify.diagnosis.not_finite import not_finite
from notify.diagnosis.output_hints import gpu_memory, printed_nan
from notify.diagnosis.over_fitting import over_fitting
from notify.diagnosis.plateau import plateau
from notify.diagnosis.sight import Sight
from notify.diagnosis.slow import slow
from notify.diagnosis.stuck import stuck
from notify.diagnosis.units import dead_units
from notify.diagnosis.weights import growing_weights
from store.findings import Finding, Severity

Rule = Callable[[Sight], tuple[Finding, ...]]

RULES: tuple[Rule, ...] = (
    not_finite, printed_nan, divergence, stuck, memory_growth, gpu_memory, disk_filling, exploding, vanishing,
    dead_units, growing_weights, rate_too_high, rate_too_low, over_fitting, plateau, slow, idle_gpu,
)  # fmt: skip
_ORDER = {Severity.SEVERE: 0, Severity.WARNING: 1, Severity.NOTE: 2}


def diagnose(chart: Chart) -> tuple[Finding, ...]:
    """All that is found wrong at this moment, the most severe first. Any chart will do; no clock, no I/O."""
    sight = Sight(chart)
    found = [finding for rule in RULES for finding in rule(sight)]
    return tuple(sorted(found, key=lambda finding: _ORDER[finding.severity]))
