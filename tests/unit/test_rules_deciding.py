"""When somebody is told: quiet hours over midnight and over the change of the clocks, digests, rates."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notify.rules.deciding import LATE_S, Decision, Way, Window, decide
from notify.rules.hours import after_quiet, next_hour, next_time
from store.occasions import Occasion
from store.rules import Quiet, Rate, Rule, When

MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
NIGHT = Quiet(from_minute=22 * 60, to_minute=7 * 60)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def rule(**changes: Any) -> Rule:
    return Rule(**{"name": "r", "on": ("finished",), "to": ("me@lab",), **changes})


def decided(given: Rule, now: datetime, window: Window | None = None, **changes: Any) -> Decision:
    said = {"about": Occasion.FINISHED, "happened_at": now, "experiment": "exp", "muted": False, **changes}
    return decide(
        given, said["about"], said["happened_at"], said["experiment"], window or Window(), now, muted=said["muted"]
    )


@pytest.mark.parametrize(
    ("moment", "sent"),
    [
        ("2026-01-10T20:59", "2026-01-10T20:59"),  # 21:59 in Berlin
        ("2026-01-10T21:00", "2026-01-11T06:00"),
        ("2026-01-11T02:30", "2026-01-11T06:00"),
        ("2026-01-11T06:00", "2026-01-11T06:00"),
        ("2026-03-28T23:00", "2026-03-29T05:00"),  # the clocks go forward in this night: seven o'clock comes earlier
        ("2026-10-24T22:00", "2026-10-25T06:00"),  # and back in this one
    ],
)
def test_quiet_hours_end_by_the_clock_of_their_zone(moment: str, sent: str) -> None:
    assert after_quiet(rule(quiet=NIGHT, zone="Europe/Berlin"), at(moment)) == at(sent)


def test_quiet_hours_within_a_day() -> None:
    noon = rule(quiet=Quiet(from_minute=12 * 60, to_minute=13 * 60))
    assert after_quiet(noon, at("2026-01-10T12:30")) == at("2026-01-10T13:00")
    assert after_quiet(noon, at("2026-01-10T13:00")) == at("2026-01-10T13:00")


def test_a_time_that_the_clocks_skip_is_the_moment_of_the_jump() -> None:
    found = next_time(2 * 60 + 30, "Europe/Berlin", at("2026-03-28T12:00"))
    assert at("2026-03-29T00:30") <= found <= at("2026-03-29T01:30")


@given(
    MOMENTS,
    st.integers(0, 1439),
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Pacific/Apia", "Asia/Kolkata"]),
)
def test_the_next_time_is_later_and_within_two_days(moment: datetime, minute: int, zone: str) -> None:
    assert moment < next_time(minute, zone, moment) <= moment + timedelta(days=2)


@given(MOMENTS, st.integers(0, 1439), st.integers(0, 1439))
def test_after_quiet_hours_it_is_not_quiet(moment: datetime, start: int, end: int) -> None:
    given_rule = rule(quiet=Quiet(from_minute=start, to_minute=end), zone="Europe/Berlin")
    sent = after_quiet(given_rule, moment)
    assert sent >= moment
    if start != end:
        assert after_quiet(given_rule, sent) - sent <= timedelta(hours=1)  # a full hour that comes twice in autumn


def test_digests_are_due_at_the_full_hour_and_at_their_time_of_the_day() -> None:
    now = at("2026-01-10T12:20")
    assert decided(rule(when=When.HOURLY), now).at == at("2026-01-10T13:00") == next_hour(now)
    daily = rule(when=When.DAILY, at_minute=8 * 60, zone="Europe/Berlin")
    assert decided(daily, now).at == at("2026-01-11T07:00")
    at_night = rule(when=When.DAILY, at_minute=23 * 60, quiet=NIGHT)
    assert decided(at_night, now).at == at("2026-01-11T07:00")


def test_the_digest_of_a_sweep_has_no_time_and_its_end_is_told_at_once() -> None:
    sweep = rule(when=When.SWEEP)
    now = at("2026-01-10T12:20")
    gathered = decided(sweep, now)
    assert (gathered.way, gathered.at, gathered.digest) == (Way.GATHER, None, "sweep/exp")
    assert decided(sweep, now, about=Occasion.SWEEP_FINISHED).way is Way.SEND
    assert decided(sweep, now, about=Occasion.WORKER_LOST, experiment="").way is Way.SEND


def test_so_many_per_time_then_one_message_with_the_others_then_anew() -> None:
    few, now, window = rule(at_most=Rate(count=2, per_s=600)), at("2026-01-10T12:00"), Window()
    ways = []
    for minute in (0, 1, 2, 9, 10):
        found = decided(few, now + timedelta(minutes=minute), window)
        window = found.window
        ways.append((found.way, found.at))
    assert ways == [
        (Way.SEND, now), (Way.SEND, now + timedelta(minutes=1)),
        (Way.GATHER, now + timedelta(minutes=10)), (Way.GATHER, now + timedelta(minutes=10)),
        (Way.SEND, now + timedelta(minutes=10)),
    ]  # fmt: skip


def test_messages_that_wait_for_the_morning_count_together() -> None:
    few, window = rule(at_most=Rate(count=2, per_s=3600), quiet=NIGHT), Window()
    found = []
    for hour in range(6):
        decision = decided(few, at(f"2026-01-11T0{hour}:00"), window)
        window = decision.window
        found.append((decision.way, decision.at))
    morning = at("2026-01-11T07:00")
    assert found == [(Way.SEND, morning)] * 2 + [(Way.GATHER, morning + timedelta(hours=1))] * 4


def test_silence_and_age_come_before_everything() -> None:
    now = at("2026-01-10T12:00")
    old = now - timedelta(seconds=LATE_S + 1)
    late = decided(rule(), now, happened_at=old)
    assert (late.way, late.digest, late.window) == (Way.GATHER, "late", Window())
    assert decided(rule(), now, happened_at=old, muted=True).way is Way.MUTE
