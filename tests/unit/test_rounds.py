"""What is due, and when."""

from worker.rounds import Rounds


class _Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_it_is_due_at_once_and_again_after_a_while() -> None:
    clock = _Clock()
    rounds = Rounds(5.0, clock)
    assert rounds.is_due()
    rounds.done()
    assert (rounds.is_due(), rounds.in_s()) == (False, 5.0)
    clock.now += 5.0
    assert rounds.is_due()


def test_what_was_left_unfinished_is_due_at_once() -> None:
    rounds = Rounds(5.0, _Clock())
    rounds.done(unfinished=True)
    assert rounds.is_due()
