"""Detection of what goes wrong in a run: pure functions from a chart to findings."""

from notify.diagnosis.chart import Chart, Siblings, thinned
from notify.diagnosis.examine import diagnose

__all__ = ["Chart", "Siblings", "diagnose", "thinned"]
