import pytest

from store.errors import IllegalTransition
from store.states import ENDED, TRANSITIONS, State, check_transition, origins


def test_every_state_has_its_row_in_the_table() -> None:
    assert set(TRANSITIONS) == set(State)


@pytest.mark.parametrize("old", list(State))
@pytest.mark.parametrize("new", list(State))
def test_exactly_the_transitions_of_the_table_are_legal(old: State, new: State) -> None:
    if new in TRANSITIONS[old]:
        check_transition("r", old, new)
    else:
        with pytest.raises(
            IllegalTransition, match=f"is {old} already" if old is new else f"is {old}: it cannot become {new}"
        ):
            check_transition("r", old, new)


def test_only_a_running_run_can_finish() -> None:
    assert origins(State.FINISHED) == [State.RUNNING]


def test_an_ended_run_can_only_be_queued_again() -> None:
    assert all(TRANSITIONS[state] == {State.QUEUED} for state in ENDED)
