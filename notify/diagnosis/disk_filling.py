"""A disk that will be full."""

from datetime import timedelta

from notify.diagnosis.filling import filling
from notify.diagnosis.sight import Sight
from notify.diagnosis.wording import duration, size
from store.findings import Disease, Finding, Severity

HORIZON_S = 3 * 86_400.0
SOON_S = 3600.0


def disk_filling(sight: Sight) -> tuple[Finding, ...]:
    """The one under the run's folder, whoever writes on it."""
    chart = sight.chart
    if not chart.is_running:
        return ()
    looks = sight.looks
    if not len(looks):
        return ()
    found = filling(looks.times, looks.disk_free_bytes[0] - looks.disk_free_bytes, float(looks.disk_free_bytes[0]))
    if found is None or found.left_s > HORIZON_S:
        return ()
    free, host = float(looks.disk_free_bytes[-1]), chart.samples[-1].host
    return (
        Finding(
            disease=Disease.DISK_FILLING,
            severity=Severity.SEVERE if found.left_s < SOON_S else Severity.WARNING,
            about="disk",
            expected_at=chart.now + timedelta(seconds=found.left_s),
            evidence=f"{size(free)} are free on the disk of the run on {host}, "
            f"{size(found.per_s * 3600)} less every hour: full in {duration(found.left_s)}",
            advice="Remove old checkpoints as you write new ones, and see who else writes there (`du`, `labq top`).",
            reference="docs/diagnosis.md",
        ),
    )
