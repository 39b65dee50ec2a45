import signal

import pytest

from worker.stopping import HURRY, means_hurry


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
