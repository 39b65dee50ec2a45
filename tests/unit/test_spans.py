"""Which run is worth beginning in how much time, and what attempts say of the next one."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from store.runs import Attempt, Checkpoint, Ending, Progress, Run, Task
from store.spans import Needs, Outlook, Pace, Span, is_worth, leaving_s, needs, outlook_after, pace_of, together
from store.states import Reason, State

BEGAN = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = 3600.0
MINUTE = 60.0


def span(left_s: float, whole_s: float = 4 * HOUR, margin_s: float = 15.0) -> Span:
    return Span.of(left_s, whole_s, margin_s)


def wanted(time_s: float | None = None, own: Outlook | None = None, siblings: Pace | None = None, **more: Any) -> Needs:
    return needs(time_s=time_s, own=own, siblings=siblings, **{"ours": False, **more})


# ── what fits ──
def test_a_run_that_ends_in_time_is_begun() -> None:
    assert is_worth(span(40 * MINUTE), wanted(time_s=39 * MINUTE))
    assert is_worth(span(40 * MINUTE), wanted(siblings=Pace(took_s=36 * MINUTE)))
    assert is_worth(span(40 * MINUTE), wanted(own=Outlook(rest_s=33 * MINUTE)))


def test_a_prediction_counts_beside_a_generous_time_limit() -> None:
    assert is_worth(span(40 * MINUTE), wanted(time_s=4 * HOUR, siblings=Pace(took_s=10 * MINUTE)))


def test_a_run_of_its_own_pace_is_not_judged_by_its_siblings() -> None:
    almost = Outlook(rest_s=5 * MINUTE)
    assert is_worth(span(10 * MINUTE), wanted(own=almost, siblings=Pace(took_s=3 * HOUR)))


def test_what_would_fit_into_a_fresh_allocation_is_left_to_others() -> None:
    assert not is_worth(span(40 * MINUTE), wanted(time_s=190 * MINUTE))
    assert not is_worth(span(40 * MINUTE), wanted(siblings=Pace(took_s=190 * MINUTE)))


def test_what_fits_into_no_allocation_is_tried_in_the_first_half_of_one_as_it_may_keep_checkpoints() -> None:
    assert is_worth(span(3 * HOUR), wanted(time_s=10 * HOUR))
    assert not is_worth(span(1 * HOUR), wanted(time_s=10 * HOUR))


def test_one_whose_siblings_keep_no_checkpoints_is_not_tried_where_it_cannot_end() -> None:
    assert not is_worth(span(4 * HOUR), wanted(time_s=10 * HOUR, siblings=Pace(took_s=9 * HOUR)))
    assert not is_worth(span(1 * HOUR, 1 * HOUR), wanted(siblings=Pace(wasted_s=1 * HOUR)))


@pytest.mark.parametrize(
    "known",
    [{"own": Outlook(hops=True)}, {"siblings": Pace(saves=True)}, {"ours": True}],
    ids=["its own", "its siblings'", "the trainer's"],
)
def test_a_run_that_hops_needs_no_time_to_end(known: dict[str, Any]) -> None:
    assert is_worth(span(10 * MINUTE), wanted(time_s=10 * HOUR, **known))


def test_a_start_must_be_worth_its_cost() -> None:
    slow = wanted(siblings=Pace(saves=True, start_s=5 * MINUTE, leave_s=1.0))
    assert is_worth(span(21 * MINUTE), slow)
    assert not is_worth(span(19 * MINUTE), slow)
    seldom = wanted(siblings=Pace(saves=True, start_s=10.0, every_s=15 * MINUTE, leave_s=1.0))
    assert is_worth(span(31 * MINUTE), seldom)
    assert not is_worth(span(29 * MINUTE), seldom)


def test_half_a_fresh_allocation_is_worth_every_start() -> None:
    assert is_worth(span(50 * MINUTE, HOUR), wanted(siblings=Pace(saves=True, every_s=3 * HOUR)))


def test_a_run_that_kept_nothing_when_it_was_asked_needs_more_than_it_had() -> None:
    kept_nothing = wanted(own=Outlook(hops=True, wasted_s=50 * MINUTE))
    assert not is_worth(span(HOUR, HOUR), kept_nothing)
    assert is_worth(span(2 * HOUR, 2 * HOUR), kept_nothing)


def test_a_run_of_which_nothing_is_known_is_begun_while_there_is_a_minute_to_work() -> None:
    assert is_worth(span(2 * MINUTE), wanted())
    assert not is_worth(span(1 * MINUTE), wanted())
    assert is_worth(span(6.0, 6.0, 0.5), wanted())


def test_nothing_is_begun_when_the_time_is_over() -> None:
    for needed in (wanted(), wanted(ours=True), wanted(time_s=1.0), wanted(time_s=10 * HOUR)):
        assert not is_worth(span(10.0), needed)


def test_leaving_takes_the_grace_until_somebody_has_seen_less() -> None:
    assert leaving_s(300.0, None) == 300.0
    assert leaving_s(300.0, 4.0) == 9.0
    assert leaving_s(5.0, 60.0) == 5.0


def test_a_grace_longer_than_the_allocation_leaves_time_to_work() -> None:
    assert is_worth(span(HOUR, HOUR), wanted(ours=True, grace_s=2 * HOUR))


def test_a_margin_is_a_small_part_of_a_short_time() -> None:
    assert span(60.0, 60.0).usable_s == 55.0
    assert span(4 * HOUR).usable_s == 4 * HOUR - 15.0


# ── what is known ──
def test_of_siblings_what_comes_again_is_usual_and_what_may_be_lost_is_the_most() -> None:
    paces = [
        Pace(start_s=1.0, took_s=10.0),
        Pace(start_s=2.0, leave_s=3.0, saves=True),
        Pace(start_s=600.0, took_s=40.0),
    ]
    assert together(paces) == Pace(start_s=2.0, leave_s=3.0, took_s=40.0, saves=True)


def a_run(*attempts: tuple[float, float, int | None], **changes: Any) -> Run:
    """Attempts as (minute it began, minute it ended, step it went on from); the last one runs yet."""
    history = tuple(
        Attempt(
            number=number,
            worker="w",
            started_at=BEGAN + timedelta(minutes=start),
            ended_at=None if number == len(attempts) else BEGAN + timedelta(minutes=end),
            resumed_from_step=step,
        )
        for number, (start, end, step) in enumerate(attempts, 1)
    )
    run = Run(
        id="a", key="k", experiment="e", params={}, task=Task(command=("x",), workdir="/"), queued_at=BEGAN,
        state=State.RUNNING, attempt=len(attempts), history=history,
    )  # fmt: skip
    return replace(run, **changes)


def at(minute: float) -> datetime:
    return BEGAN + timedelta(minutes=minute)


def checkpoint(attempt: int) -> Checkpoint:
    return Checkpoint(
        id="c", run="a", attempt=attempt, step=1, line=1, name="c", is_dir=False, size_bytes=1, sha256="", created_at=BEGAN
    )  # fmt: skip


LEFT = Ending(reason=Reason.DRAINED, pace=Pace(start_s=2.0, leave_s=1.0))


def test_the_rest_follows_from_all_that_was_worked_since_it_began_from_nothing() -> None:
    run = a_run(
        (0, 5, None), (10, 20, None), (30, 40, 7), progress=Progress(done=25, total=100), checkpoint=checkpoint(3)
    )
    assert outlook_after(run, LEFT, at(40)).rest_s == pytest.approx(60 * MINUTE)


def test_without_a_checkpoint_the_rest_is_the_whole() -> None:
    run = a_run((0, 10, None), progress=Progress(done=25, total=100))
    assert outlook_after(run, LEFT, at(10)).rest_s == pytest.approx(40 * MINUTE)


def test_a_run_that_has_hardly_begun_foretells_nothing() -> None:
    assert outlook_after(a_run((0, 10, None), progress=Progress(done=1, total=100)), LEFT, at(10)).rest_s is None
    assert outlook_after(a_run((0, 10, None)), LEFT, at(10)).rest_s is None


def test_time_without_a_checkpoint_was_wasted_only_when_the_run_left_as_it_was_asked() -> None:
    run = a_run((0, 10, None))
    assert outlook_after(run, LEFT, at(10)).wasted_s == 10 * MINUTE
    assert outlook_after(run, Ending(reason=Reason.LOST), at(10)).wasted_s == 0.0
    assert outlook_after(replace(run, checkpoint=checkpoint(1)), LEFT, at(10)).wasted_s == 0.0


def test_what_was_seen_before_stays_until_it_is_seen_again() -> None:
    before = Outlook(wasted_s=120.0, pace=Pace(start_s=9.0, leave_s=8.0, store_s=7.0))
    after = outlook_after(a_run((0, 1, None), outlook=before), LEFT, at(1))
    assert (after.wasted_s, after.pace) == (120.0, Pace(start_s=2.0, leave_s=1.0, store_s=7.0))


def test_a_finished_run_tells_how_long_it_took_and_an_interrupted_one_what_it_wasted() -> None:
    run = a_run((0, 5, None), (10, 20, 3), checkpoint=checkpoint(2))
    finished = pace_of(run, Ending(exit_code=0, pace=Pace(start_s=2.0)), at(20))
    assert finished == Pace(start_s=2.0, took_s=15 * MINUTE, saves=True)
    assert pace_of(replace(run, checkpoint=None), LEFT, at(20)) == replace(LEFT.pace or Pace(), wasted_s=10 * MINUTE)


def test_a_few_seconds_tell_nothing() -> None:
    assert pace_of(a_run((0, 1, None)), LEFT, BEGAN + timedelta(seconds=2)) is None
