from __future__ import annotations

import os
import threading

import pytest

from trainer.crew import Crew


@pytest.mark.parametrize("n", [1, 2, 5])
def test_every_thread_of_a_crew_gets_its_number_and_the_first_is_the_callers(n: int) -> None:
    crew, seen = Crew(n), {}
    for _ in range(3):
        assert crew.run(lambda me: seen.setdefault(me, threading.get_ident()) and me) == 0
    assert sorted(seen) == list(range(n))
    assert seen[0] == threading.get_ident()
    assert len(set(seen.values())) == n


def test_the_threads_of_a_crew_run_at_once() -> None:
    together = threading.Barrier(3, timeout=60)
    Crew(3).run(lambda me: together.wait())


def test_an_error_in_any_thread_is_raised_where_the_crew_was_called() -> None:
    crew = Crew(3)
    with pytest.raises(ZeroDivisionError):
        crew.run(lambda me: 1 // (2 - me))
    assert crew.run(lambda me: me + 7) == 7


def test_a_crew_works_in_a_process_that_was_forked_from_its_own() -> None:
    crew = Crew(2)
    crew.run(lambda me: me)
    child = os.fork()
    if child == 0:
        together = threading.Barrier(2, timeout=60)
        crew.run(lambda me: together.wait())
        os._exit(17)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 17
