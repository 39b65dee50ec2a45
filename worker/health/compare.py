"""What another machine tells, compared with this one: pure functions."""

from collections.abc import Mapping
from typing import Any

from worker.cluster.probe import is_too_old
from worker.health.rows import Row, Verdict, read_row

WRONG_CLOCK_S = 60.0
"""Less is nothing that anybody would see (`worker/server_clock.py`)."""

_ADVICE_CLOCK = (
    "labq counts by MongoDB's clock, but make and TLS do not: switch on its time service (chrony, timesyncd)"
)


def clock_row(far_now: float, asked_at: float, answered_at: float) -> Row:
    """Seconds of the epoch. Within the time of the question and its answer nobody can tell."""
    off_s = 0.0
    if far_now < asked_at:
        off_s = far_now - asked_at
    elif far_now > answered_at:
        off_s = far_now - answered_at
    if abs(off_s) < WRONG_CLOCK_S:
        return Row(subject="clock", text=f"as here (within {max(answered_at - asked_at, abs(off_s)):.1f} s)")
    ahead = "ahead" if off_s > 0 else "behind"
    return Row(subject="clock", verdict=Verdict.WARN, text=f"{abs(off_s):.0f} s {ahead}", advice=_ADVICE_CLOCK)


def labq_row(row: Row, far: Mapping[str, Any], here: str, schema: int) -> Row:
    """Another schema of the database is another labq."""
    if far["schema"] != schema:
        return Row(
            subject="labq",
            verdict=Verdict.WRONG,
            text=f"{row.text}, of schema {far['schema']}; here {schema}",
            advice="install the same version on both sides",
        )
    if far["labq"] != here:
        return Row(
            subject="labq",
            verdict=Verdict.WARN,
            text=f"{row.text}; here {here}",
            advice="install the same version on both sides",
        )
    return Row(subject="labq", text=f"{row.text}, as here")


def rows_of(far: Mapping[str, Any], *, asked_at: float, answered_at: float, here: str, schema: int) -> list[Row]:
    """All that a machine with labq on it tells."""
    rows = [read_row(told) for told in far["rows"]]
    compared = [labq_row(row, far, here, schema) if row.subject == "labq" else row for row in rows]
    at = next((place for place, row in enumerate(compared) if row.subject == "labq"), 0) + 1
    return [*compared[:at], clock_row(float(far["now"]), asked_at, answered_at), *compared[at:]]


def rows_without_labq(found: Mapping[str, str], said: str) -> list[Row]:
    """All that a shell told about a machine without it."""
    version = found.get("version", "")
    old = is_too_old(version)
    python = Row(
        subject="python",
        verdict=Verdict.WRONG if not version or old else Verdict.OK,
        text=f"{version} at {found.get('python', '')}" if version else "no python3 in PATH",
        advice="labq needs Python 3.11 or newer" if not version or old else "",
    )
    begin, _, advice = said.partition("; ")
    return [python, Row(subject="labq", verdict=Verdict.WRONG, text=begin, advice=advice)]
