from dataclasses import replace
from datetime import UTC, datetime

import pytest

from queueing.retry import LONGEST_BACKOFF_S, backoff, verdict
from store.runs import Checkpoint, Ending, Retry, Run, Task
from store.states import Reason, State, Wish

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RUN = Run(
    id="r", key="k", experiment="x", params={}, task=Task(workdir="/"), queued_at=NOW, state=State.RUNNING, attempt=4
)


def with_checkpoint_of(attempt: int) -> Run:
    checkpoint = Checkpoint(
        id="c",
        run="r",
        attempt=attempt,
        step=1,
        line=1,
        name="c",
        is_dir=False,
        size_bytes=1,
        sha256="",
        created_at=NOW,
    )
    return replace(RUN, checkpoint=checkpoint, setbacks=3)


@pytest.mark.parametrize(
    ("reason", "state"),
    [
        (None, State.FINISHED),
        (Reason.DRAINED, State.QUEUED),
        (Reason.STOPPED, State.QUEUED),  # the stop was taken back before the script had ended
        (Reason.LOST, State.QUEUED),
        (Reason.KILLED, State.QUEUED),
        (Reason.ERROR, State.FAILED),
        (Reason.OUT_OF_MEMORY, State.FAILED),
        (Reason.TIME_LIMIT, State.FAILED),
        (Reason.DIVERGED, State.FAILED),
        (Reason.DISK_FULL, State.FAILED),
        (Reason.REFUSED, State.FAILED),
    ],
)
def test_infrastructure_is_tried_again_and_programme_errors_are_not(reason: Reason | None, state: State) -> None:
    assert verdict(RUN, Ending(reason=reason)).state is state


def test_draining_costs_no_setback() -> None:
    assert verdict(replace(RUN, setbacks=2), Ending(reason=Reason.DRAINED)).setbacks == 2


def test_setbacks_without_progress_use_up_the_tries() -> None:
    after = [verdict(replace(RUN, setbacks=n), Ending(reason=Reason.KILLED)).state for n in range(5)]
    assert after == [State.QUEUED, State.QUEUED, State.QUEUED, State.FAILED, State.FAILED]


def test_a_newer_checkpoint_forgives_earlier_setbacks() -> None:
    assert verdict(with_checkpoint_of(attempt=4), Ending(reason=Reason.LOST)).setbacks == 1
    assert verdict(with_checkpoint_of(attempt=3), Ending(reason=Reason.LOST)).state is State.FAILED


def test_the_policy_of_the_file_decides() -> None:
    run = replace(RUN, retry=Retry(max=1, backoff_s=30.0, on=(Reason.ERROR,)))
    first = verdict(run, Ending(reason=Reason.ERROR))
    assert (first.state, first.backoff_s, first.reason) == (State.QUEUED, 30.0, Reason.ERROR)
    assert verdict(replace(run, setbacks=1), Ending(reason=Reason.ERROR)).state is State.FAILED
    assert verdict(run, Ending(reason=Reason.LOST)).state is State.FAILED


def test_a_lost_run_waits_for_nobody() -> None:
    assert verdict(RUN, Ending(reason=Reason.LOST)).backoff_s == 0.0


def test_a_run_that_somebody_wanted_gone_does_not_come_back() -> None:
    wanted_gone = replace(RUN, wish=Wish.CANCEL)
    assert verdict(wanted_gone, Ending(reason=Reason.LOST)).state is State.CANCELLED
    assert verdict(wanted_gone, Ending(reason=Reason.DRAINED)).state is State.CANCELLED
    assert verdict(wanted_gone, Ending(reason=None)).state is State.FINISHED


def test_the_last_wish_counts() -> None:
    assert verdict(replace(RUN, wish=Wish.REQUEUE), Ending(reason=Reason.STOPPED)).state is State.QUEUED


def test_the_pause_doubles_up_to_ten_minutes() -> None:
    assert [backoff(30, n) for n in (1, 2, 3, 4, 5, 6, 100)] == [
        30,
        60,
        120,
        240,
        480,
        LONGEST_BACKOFF_S,
        LONGEST_BACKOFF_S,
    ]
    assert backoff(3600, 5) == 3600


@pytest.mark.parametrize("reason", [Reason.STOPPED, Reason.DRAINED, Reason.LOST])
def test_a_run_that_somebody_wants_gone_is_cancelled_however_it_ends(reason: Reason) -> None:
    assert verdict(replace(RUN, wish=Wish.CANCEL), Ending(reason=reason)).state is State.CANCELLED


@pytest.mark.parametrize("reason", [Reason.STOPPED, Reason.DRAINED, Reason.LOST, Reason.KILLED])
def test_a_run_that_somebody_wants_paused_waits_however_it_is_interrupted(reason: Reason) -> None:
    settlement = verdict(replace(RUN, wish=Wish.PAUSE), Ending(reason=reason))
    assert (settlement.state, settlement.backoff_s) == (State.PAUSED, 0.0)
