"""The history of a run as CSV: one line for each point, as it was reported."""

import csv
import io
from collections.abc import Iterable
from datetime import UTC, datetime

from store.metrics import Series


def as_csv(many: Iterable[Series]) -> bytes:
    """Columns metric, step, time (ISO 8601, UTC), value; `nan` and `inf` as Python and pandas read them."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("metric", "step", "time", "value"))
    for one in many:
        writer.writerows(
            (_plain(one.name), step, _at(time), repr(value))
            for step, time, value in zip(one.steps, one.times, one.values, strict=True)
        )
    return text.getvalue().encode("utf-8", "replace")


def _at(time: float) -> str:
    try:
        return datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError, OSError):
        return ""


def _plain(name: str) -> str:
    """A name that begins like a formula would be one in a spreadsheet."""
    return f"'{name}" if name[:1] in "=+-@\t\r" and name else name
