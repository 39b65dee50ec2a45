"""Memory that grows until none is left."""

from datetime import timedelta

from notify.diagnosis.chart import Chart
from notify.diagnosis.filling import Filling, filling
from notify.diagnosis.sight import Sight
from notify.diagnosis.wording import duration, size
from store.findings import Disease, Finding, Severity

# Later than this is not worth a message today.
HORIZON_S = 3 * 86_400.0
SOON_S = 3600.0


def memory_growth(sight: Sight) -> tuple[Finding, ...]:
    """Against the limit of the run, else against the memory of its machine."""
    chart = sight.chart
    full = chart.memory_limit_bytes or chart.host_memory_bytes
    if not chart.is_running or not full:
        return ()
    looks = sight.looks
    found = filling(looks.times, looks.memory_bytes, float(full))
    if found is None or found.left_s > HORIZON_S:
        return ()
    of = "its limit" if chart.memory_limit_bytes else "its machine"
    return (_finding(chart, found, full, of),)


def _finding(chart: Chart, found: Filling, full: int, of: str) -> Finding:
    return Finding(
        disease=Disease.MEMORY_GROWTH,
        severity=Severity.SEVERE if found.left_s < SOON_S else Severity.WARNING,
        about="memory",
        expected_at=chart.now + timedelta(seconds=found.left_s),
        evidence=f"memory grew steadily from {size(found.begun)} to {size(found.used)}, "
        f"{size(found.per_s * 3600)} an hour; {of} ({size(full)}) is reached in {duration(found.left_s)}",
        advice="Look for what every step keeps, such as losses with their graphs; `tracemalloc` or `memray` tell.",
        reference="PyTorch FAQ, My model reports out of memory (history kept across the training loop)",
    )
