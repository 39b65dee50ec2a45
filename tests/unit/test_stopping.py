import signal

import pytest

from worker.stopping import HURRY, means_hurry, passed_on


@pytest.mark.parametrize(
    ("number", "since_first_s", "hurry"),
    [
        (signal.SIGTERM, None, False),
        (signal.SIGINT, None, False),
        (signal.SIGTERM, 0.4, False),  # systemd told the crew and the worker, the crew told the worker again
        (signal.SIGTERM, 2.0, True),
        (signal.SIGINT, 0.01, False),  # one key
        (signal.SIGINT, 0.3, True),
        (HURRY, None, True),
        (HURRY, 0.0, True),
    ],
)
def test_only_a_second_request_means_hurry(number: int, since_first_s: float | None, hurry: bool) -> None:
    assert means_hurry(number, since_first_s) == hurry


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2])
def test_a_scheduler_may_say_it_as_often_as_it_likes(number: int) -> None:
    assert not means_hurry(number, 100.0, in_a_job=True)


def test_a_warning_of_a_scheduler_is_a_request_wherever_it_comes() -> None:
    assert not means_hurry(signal.SIGUSR1, 5.0)
    assert not means_hurry(signal.SIGUSR2, 5.0)


def test_a_person_inside_a_job_may_press_a_key_twice() -> None:
    assert means_hurry(signal.SIGINT, 1.0, in_a_job=True)
    assert means_hurry(HURRY, None, in_a_job=True)


def test_a_signal_that_sigkill_follows_is_passed_on_as_one() -> None:
    assert {passed_on(signal.SIGTERM), passed_on(signal.SIGUSR2)} == {signal.SIGTERM}
    assert {passed_on(signal.SIGINT), passed_on(signal.SIGUSR1), passed_on(signal.SIGHUP)} == {signal.SIGUSR1}
