"""Numbers, times and causes in words for a mail."""

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from store.runs import Attempt, Run
from store.states import Reason

LONGEST_VALUE = 40
_CAUSES = {
    Reason.LOST: "worker lost",
    Reason.TIME_LIMIT: "time limit reached",
    Reason.OUT_OF_MEMORY: "out of memory",
    Reason.DISK_FULL: "disk full",
    Reason.REFUSED: "no machine could run it",
}


def number(value: float | None, digits: int = 3) -> str:
    """`0.211`, `nan`, `1.2e+30`; `–` for none."""
    if value is None:
        return "–"
    if math.isfinite(value) and value == int(value) and abs(value) < 10**6:
        return str(int(value))
    return f"{value:.{digits}g}"


def value_words(value: Any) -> str:
    """A parameter's value, short."""
    text = f"{value:g}" if isinstance(value, float) else str(value)
    text = " ".join(text.split())
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"


def params_words(params: Mapping[str, Any]) -> str:
    """`lr=0.01, units=32`"""
    return ", ".join(f"{name}={value_words(value)}" for name, value in params.items())


def cause_words(reason: Reason | None) -> str:
    """`out of memory`"""
    if reason is None:
        return "unknown"
    return _CAUSES.get(reason, reason.value.replace("-", " "))


def duration(seconds: float) -> str:
    """As fine as anybody cares: `1 d 2 h`, `14 h 5 min`, `3 min 20 s`, `52 min`, `4 s`."""
    if 0 < seconds < 1:
        return f"{seconds:.1f} s"
    left = max(0, round(seconds))
    for name, size, lower_name, lower in (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if left >= size:
            whole, rest = divmod(left, size)
            fine = rest >= lower and (whole < 10 or name == "h")
            return f"{whole} {name} {rest // lower} {lower_name}" if fine else f"{whole} {name}"
    return f"{left} s"


def moment(at: datetime) -> str:
    """`Thu 1 Jan 2026, 12:00 UTC`"""
    return f"{at:%a} {at.day} {at:%b %Y, %H:%M} UTC"


def size(size_bytes: float) -> str:
    """`1.2 GB`"""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(size_bytes) < 1000:
            return f"{size_bytes:.0f} {unit}" if unit == "B" else f"{size_bytes:.3g} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:.3g} TB"


def count(how_many: int, one: str, many: str = "") -> str:
    """`1 run`, `2 runs`, `1,200 runs`"""
    return f"{how_many:,} {one if how_many == 1 else many or one + 's'}"


def ordinal(place: int) -> str:
    """`2nd`"""
    ending = "th" if 10 <= place % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(place % 10, "th")
    return f"{place}{ending}"


def attempt_of(run: Run, attempt: int) -> Attempt | None:
    """The line of history of this attempt."""
    return next((one for one in run.history if one.number == attempt), None)


def took_s(run: Run, attempt: int, now: datetime) -> float | None:
    """How long this attempt took, or has taken so far; None where that is not known."""
    told = attempt_of(run, attempt)
    return None if told is None else ((told.ended_at or now) - told.started_at).total_seconds()


def host_of(attempt: Attempt) -> str:
    """The machine, or the worker where that is not known."""
    return str(attempt.facts.get("host") or attempt.worker)


def wrapped(text: str, longest: int) -> str:
    """One line of at most so many characters."""
    line = " ".join(text.split())
    return line if len(line) <= longest else f"{line[: longest - 1]}…"
