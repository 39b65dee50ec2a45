"""Phrases that several findings share."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from notify.diagnosis.chart import Chart

_RATES = ("learning_rate", "lr", "eta", "step_size", "learningrate", "lr0", "base_lr", "max_lr", "learning-rate")


def rate_of(params: Mapping[str, Any]) -> tuple[str, float] | None:
    """The name and value of the learning rate, one table deep; None: nothing is called so."""
    for prefix, table in (("", params), *((f"{k}.", v) for k, v in params.items() if isinstance(v, Mapping))):
        for name, value in table.items():
            if str(name).lower() in _RATES and isinstance(value, int | float) and not isinstance(value, bool):
                return f"{prefix}{name}", float(value)
    return None


def lower_rate(chart: Chart) -> str:
    """`try learning_rate = 0.003 (now 0.01)`."""
    return _changed_rate(chart, 0.3, "lower")


def higher_rate(chart: Chart) -> str:
    """`try learning_rate = 0.1 (now 0.01)`."""
    return _changed_rate(chart, 10, "raise")


def _changed_rate(chart: Chart, factor: float, verb: str) -> str:
    known = rate_of(chart.params)
    if known is None:
        return f"{verb} the learning rate"
    name, value = known
    return f"try {name} = {value * factor:.2g} (now {value:.4g})"


def duration(seconds: float) -> str:
    """`40 s`, `12 min`, `3.5 h`, `4 days`."""
    for limit, unit, size in ((120, "s", 1), (7200, "min", 60), (172_800, "h", 3600)):
        if seconds < limit:
            return f"{seconds / size:.3g} {unit}"
    return f"{min(seconds, timedelta.max.total_seconds()) / 86_400:.3g} days"


def size(count: float) -> str:
    """`12 MB`, `3.4 GB`."""
    for limit, unit, each in ((1e6, "kB", 1e3), (1e9, "MB", 1e6), (1e12, "GB", 1e9)):
        if abs(count) < limit:
            return f"{count / each:.3g} {unit}"
    return f"{count / 1e12:.3g} TB"
