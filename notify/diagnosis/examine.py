"""What a run suffers from: every rule looks at the same chart."""

from collections.abc import Callable

from notify.diagnosis.chart import Chart
from store.findings import Finding

Rule = Callable[[Chart], tuple[Finding, ...]]

RULES: tuple[Rule, ...] = ()


def diagnose(chart: Chart) -> tuple[Finding, ...]:
    """All that is found wrong at this moment, of any chart, the most severe first. Never raises on numbers; no clock, no I/O."""
    return tuple(finding for rule in RULES for finding in rule(chart))
