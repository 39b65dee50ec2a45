"""What people may write behind `labq drain --at`."""

from datetime import UTC, datetime

import pytest

from queueing.cli.workers import seconds_until
from store.errors import UserError

NOW = datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2h", 7200),
        ("90", 90),
        ("13:00", 3570),
        ("12:00", 86370),
        ("2026-03-02 12:00:30", 86400),
        ("2026-03-01T13:00:30+00:00", 3600),
    ],
)
def test_times_and_durations_are_understood(text: str, seconds: float) -> None:
    assert seconds_until(text, NOW) == seconds


@pytest.mark.parametrize("text", ["", "noon", "25:00", "2026-02-30", "2025-01-01", "-2h"])
def test_anything_else_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(UserError, match="allowed: a duration"):
        seconds_until(text, NOW)
