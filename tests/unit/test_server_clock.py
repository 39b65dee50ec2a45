"""A host's wrong clock, and what it is set to meanwhile."""

from datetime import UTC, datetime

import pytest

from worker.events import EventReader
from worker.server_clock import ServerClock

TRUTH_S = 1_800_000_000.0


class Host:
    def __init__(self, wrong_s: float) -> None:
        self.wrong_s, self.passed_s = wrong_s, 0.0

    def wall(self) -> float:
        return TRUTH_S + self.passed_s + self.wrong_s

    def clock(self) -> ServerClock:
        return ServerClock(datetime.fromtimestamp(TRUTH_S, UTC), self.wall, lambda: 5.0 + self.passed_s)


@pytest.mark.parametrize("wrong_s", [3600.0, -3600.0, 90.0])
def test_a_wrong_clock_is_corrected_until_somebody_sets_it_right(wrong_s: float) -> None:
    host = Host(wrong_s)
    clock = host.clock()
    assert clock.offset_s() == pytest.approx(-wrong_s)
    host.passed_s = 500.0
    assert clock.offset_s() == pytest.approx(-wrong_s)
    host.wrong_s = 0.0
    assert clock.offset_s() == 0.0


@pytest.mark.parametrize("wrong_s", [0.0, 20.0, -20.0])
def test_a_clock_that_is_about_right_counts(wrong_s: float) -> None:
    assert Host(wrong_s).clock().offset_s() == 0.0


def test_the_times_of_points_are_the_servers() -> None:
    reader = EventReader()
    lines = b'{"step": 1, "loss": 2, "_t": 1000.5}\n{"step": 2, "loss": 3}\n'
    (loss,) = reader.read(lines, 2000.0, offset_s=3600.0).segments
    assert loss.times == [4600.5, 5600.0]
