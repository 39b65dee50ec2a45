"""What is seen of an attempt's speed, and how long before the end of a span its child is asked to leave."""

import pytest

from store.spans import Pace, Span
from worker.pacing import Pacing


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def span(left_s: float, whole_s: float = 3600.0, margin_s: float = 15.0) -> Span:
    return Span.of(left_s, whole_s, margin_s)


def test_an_attempt_is_watched() -> None:
    clock = Clock()
    pacing = Pacing(30.0, Pace(), clock)
    for passes_s, checkpoints in ((4.0, 0), (10.0, 1), (10.0, 1), (10.0, 1)):
        clock.now += passes_s
        pacing.reported(checkpoints)
    pacing.stored(0.5)
    pacing.stored(0.2)
    pacing.asked()
    clock.now += 2.0
    pacing.reported(1)  # made on request
    pacing.left()
    assert pacing.pace() == Pace(start_s=4.0, every_s=10.0, leave_s=2.0, store_s=0.5)


def test_a_moment_tells_nothing() -> None:
    assert Pacing(30.0, Pace(), Clock()).pace() is None


def test_an_unknown_child_is_asked_its_whole_grace_before_the_margin() -> None:
    assert Pacing(30.0, Pace()).ask_in_s(span(600)) == 600 - 15 - 30


def test_one_that_was_seen_to_leave_quickly_may_stay_longer() -> None:
    known = Pacing(30.0, Pace(leave_s=2.0, store_s=3.0))
    assert known.ask_in_s(span(600)) == 600 - 15 - 5 - 6
    assert known.gone_in_s(span(600)) == 600 - 15 - 6


def test_siblings_tell_what_the_run_itself_has_not_shown() -> None:
    pacing = Pacing(30.0, Pace(leave_s=2.0))
    pacing.learn(Pace(leave_s=9.0, store_s=3.0))
    assert pacing.ask_in_s(span(600)) == 600 - 15 - 5 - 6


def test_a_checkpoint_that_takes_longer_to_store_than_before_is_given_more_time() -> None:
    pacing = Pacing(30.0, Pace(leave_s=2.0, store_s=3.0))
    pacing.stored(10.0)
    assert pacing.ask_in_s(span(600)) == 600 - 15 - 5 - 20


def test_a_grace_that_is_longer_than_the_time_takes_a_quarter_of_it() -> None:
    greedy = Pacing(3600.0, Pace())
    assert greedy.ask_in_s(span(60, 60)) == 60 - 5 - 15
    assert greedy.gone_in_s(span(60, 60)) == 60 - 5


@pytest.mark.parametrize(("notice_s", "expected_s"), [(30.0, 27.0), (5.0, 4.0), (1.0, 0.5)])
def test_before_sigkill_there_is_time_left_to_store_what_was_made(notice_s: float, expected_s: float) -> None:
    assert Pacing(300.0, Pace()).gone_after_s(notice_s) == pytest.approx(expected_s)
