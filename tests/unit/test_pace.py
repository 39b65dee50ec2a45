"""How fast a run goes and how long it will take, from what was watched and what its siblings took."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from queueing.live.pace import WINDOW_S, Mark, durations_s, rate, time_left_s, watched
from store.runs import Attempt, Checkpoint, Progress, Run, Task
from store.states import State

T0 = datetime(2026, 1, 1, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def a_run(done: float | None, total: float = 100.0, *, resumed: int | None = None, attempt: int = 1) -> Run:
    history = (Attempt(number=attempt, worker="w", started_at=T0, resumed_from_step=resumed),)
    progress = None if done is None else Progress(done=done, total=total)
    return Run(
        id="r", key="r", experiment="x", params={}, task=Task(command=("true",), workdir="/"), queued_at=T0,
        state=State.RUNNING, attempt=attempt, progress=progress, history=history,
    )  # fmt: skip


def an_ended(took_s: float, **changes: object) -> Run:
    run = replace(a_run(100.0), state=State.FINISHED, started_at=T0, ended_at=at(took_s))
    return replace(run, **changes)  # type: ignore[arg-type]


def test_the_rate_is_that_of_the_last_minute_once_it_was_watched() -> None:
    marks = (Mark(at=at(100), done=10), Mark(at=at(110), done=30))
    assert rate(a_run(50), marks, at(120)) == pytest.approx(2.0)


def test_before_that_it_is_the_mean_of_the_attempt() -> None:
    assert rate(a_run(50), (), at(100)) == pytest.approx(0.5)
    assert rate(a_run(50), (Mark(at=at(99), done=50),), at(100)) == pytest.approx(0.5)


def test_what_an_earlier_attempt_did_is_not_counted() -> None:
    assert rate(a_run(60, resumed=40, attempt=2), (), at(10)) == pytest.approx(2.0)
    assert rate(a_run(3, resumed=40_000, attempt=2), (), at(10)) is None  # its steps are not what progress counts


def test_a_run_that_says_nothing_or_has_just_begun_has_no_rate() -> None:
    assert rate(a_run(None), (), at(10)) is None
    assert rate(a_run(0), (), at(10)) is None
    assert rate(a_run(5), (), at(1)) is None


def test_a_run_that_stands_still_slows_down() -> None:
    marks = (Mark(at=at(0), done=0), Mark(at=at(10), done=20))
    assert rate(a_run(20), marks, at(10)) == pytest.approx(2.0)
    assert rate(a_run(20), marks, at(40)) == pytest.approx(0.5)


def test_marks_older_than_the_window_go_and_a_step_back_begins_anew() -> None:
    marks: tuple[Mark, ...] = ()
    for second in range(0, 200, 2):
        marks = watched(marks, Progress(done=second, total=1000), at(second))
    assert len(marks) <= WINDOW_S / 2 + 2
    assert watched(marks, Progress(done=5, total=1000), at(200)) == (Mark(at=at(200), done=5),)
    assert watched(marks, Progress(done=198, total=1000), at(199))[-1] == marks[-1]


def test_time_left_follows_its_own_pace() -> None:
    assert time_left_s(a_run(50), 2.0, at(25), ()) == pytest.approx(25.0)
    assert time_left_s(a_run(120), 2.0, at(25), ()) == 0.0
    assert time_left_s(a_run(50), 0.0, at(25), ()) is None
    assert time_left_s(a_run(None), None, at(25), ()) is None


def test_siblings_tell_where_the_run_does_not() -> None:
    assert time_left_s(a_run(None), None, at(25), (90, 100, 500)) == pytest.approx(75.0)
    assert time_left_s(a_run(None), None, at(125), (90, 100, 500)) == 0.0
    assert time_left_s(a_run(0), None, at(25), (100,)) == pytest.approx(100.0)
    assert time_left_s(a_run(None, attempt=2), None, at(25), (100,)) is None


def test_a_young_run_is_believed_less_than_its_siblings() -> None:
    slow_start = time_left_s(a_run(1), 0.1, at(10), (100,))
    assert slow_start == pytest.approx(0.05 * 990 + 0.95 * 99)
    assert time_left_s(a_run(20), 0.1, at(200), (100,)) == pytest.approx(800.0)


def test_only_undisturbed_finished_runs_are_siblings() -> None:
    ended = [an_ended(50), an_ended(70), an_ended(9, state=State.FAILED), an_ended(900, attempt=2)]
    assert durations_s([*ended, an_ended(5, experiment="y")]) == {"x": (50.0, 70.0), "y": (5.0,)}


def test_a_checkpoint_of_an_earlier_attempt_without_a_known_step_gives_no_mean() -> None:
    old = Checkpoint(
        id="c", run="r", attempt=1, step=4, line=1, name="c", is_dir=False, size_bytes=1, sha256="", created_at=T0
    )
    assert rate(replace(a_run(50, attempt=2), checkpoint=old), (), at(100)) is None
