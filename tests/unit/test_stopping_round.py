"""The round on the in-memory store: whole sweeps under each rule, people in between, deciders that die or come twice."""

import math
import random
from typing import Any

import pytest
from stopping_lab import Lab, constant, falling

from queueing.stopping import round as rounds
from store.changes import cancelled, paused, resumed
from store.judged import Judged
from store.states import Reason, State

ASHA = {"metric": "loss", "rule": "asha", "min": 1, "max": 81}


def sweep(count: int, seed: int = 0) -> dict[str, Any]:
    """Curves that do not cross: the order of their ends is that of every rung. The best is `best`."""
    finals = [0.1 + 0.8 * number / count for number in range(count)]
    random.Random(seed).shuffle(finals)
    return {("best" if final == 0.1 else f"run{number:03}"): falling(final) for number, final in enumerate(finals)}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("more", [{}, {"promote": "resume"}])
def test_asha_finds_the_known_optimum_for_a_fraction_of_the_epochs(more: dict[str, Any], seed: int) -> None:
    lab = Lab({**ASHA, **more}, sweep(81, seed)).until_over()
    assert lab.store.run("best").state is State.FINISHED
    assert lab.trained < 0.35 * 81 * 81
    stopped = [run for run in lab.runs() if run.state is State.CANCELLED]
    assert len(stopped) + len(lab.in_state(State.FINISHED)) == 81
    assert all(run.judged.stopped and run.ending and "asha: loss" in run.ending.message for run in stopped)


def test_asha_that_promotes_keeps_a_third_at_each_rung_and_no_more() -> None:
    lab = Lab({**ASHA, "promote": "resume"}, sweep(81)).until_over()
    for rung, least, most in ((1, 81, 81), (3, 27, 33), (9, 9, 14), (27, 3, 7)):
        assert least <= len(lab.store.reached("exp", rung)) <= most


def test_promoted_runs_go_on_from_their_checkpoint() -> None:
    lab = Lab({**ASHA, "promote": "resume"}, sweep(27), epochs=30).until_over()
    resumed_runs = [run for run in lab.runs() if run.attempt > 1]
    assert resumed_runs
    for run in resumed_runs:
        steps = lab.store.series(run.id, "loss").steps
        assert steps == tuple(range(1, len(steps) + 1))  # each epoch once, none made again
        assert [attempt.resumed_from_step is not None for attempt in run.history] == [False] + [True] * (
            run.attempt - 1
        )
    assert lab.trained == sum(len(lab.store.series(run.id, "loss").steps) for run in lab.runs())


@pytest.mark.parametrize("count", [1, 2, 3, 8])
@pytest.mark.parametrize("table", [{**ASHA, "promote": "resume"}, {**ASHA, "rule": "halving"}, ASHA])
def test_small_sweeps_have_a_winner_too(table: dict[str, Any], count: int) -> None:
    lab = Lab(table, sweep(count)).until_over()
    assert lab.store.run("best").state is State.FINISHED


def test_halving_is_exact() -> None:
    lab = Lab({**ASHA, "rule": "halving"}, sweep(81)).until_over()
    assert [len(lab.store.reached("exp", rung)) for rung in (1, 3, 9, 27)] == [81, 27, 9, 3]
    assert lab.in_state(State.FINISHED) == ["best"]
    assert lab.trained == 81 * 1 + 27 * 2 + 9 * 6 + 3 * 18 + 1 * 54


@pytest.mark.parametrize("more", [{}, {"promote": "resume"}, {"synchronous": True}])
def test_hyperband_finds_the_optimum_among_many(more: dict[str, Any]) -> None:
    lab = Lab({**ASHA, "rule": "hyperband", **more}, sweep(120)).until_over()
    finished = {name: lab.store.run(name).summary["loss"].last for name in lab.in_state(State.FINISHED)}
    assert min(finished.values()) < 0.2
    assert lab.trained < 0.6 * 120 * 81


def test_the_median_spares_the_better_half_and_does_not_halve_again() -> None:
    """Those that were stopped count on with what they had: else each judgement would halve those that are left."""
    curves = {f"run{number}": constant(float(number)) for number in range(10)}
    lab = Lab({"metric": "loss", "rule": "median", "grace": 5}, curves, epochs=40, workers=10).until_over()
    assert lab.in_state(State.FINISHED) == [f"run{number}" for number in range(5)]


def test_what_a_stopped_run_reports_on_its_way_out_does_not_make_it_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    curves = {f"run{number}": constant(float(number)) for number in range(10)}
    lab = Lab({"metric": "loss", "rule": "median", "grace": 5}, curves, epochs=40, workers=10)
    heed = lab.heed

    def late(run: Any) -> None:
        if run.wish is not None:
            lab.report(run)
            run = lab.store.run(run.id)
        heed(run)

    monkeypatch.setattr(lab, "heed", late)
    assert lab.until_over().in_state(State.FINISHED) == [f"run{number}" for number in range(5)]


def test_patience_and_threshold_work_side_by_side() -> None:
    table = {
        "metric": "loss",
        "rules": [{"rule": "patience", "patience": 10}, {"rule": "threshold", "when": "loss > 2 after 20s"}],
    }
    curves = {"flat": constant(1.0), "falls": falling(0.1, half=30), "huge": lambda epoch: 10.0 - 0.01 * epoch}
    lab = Lab(table, curves, epochs=60).until_over()
    messages = {run.id: run.ending.message if run.ending else "" for run in lab.runs()}
    assert messages["flat"].startswith("patience: until step 11 no loss better than the 1 of step 1")
    assert messages["huge"] == "threshold: loss > 2 after 20s"
    assert lab.store.run("falls").state is State.FINISHED
    assert len(lab.store.series("huge", "loss").steps) in (20, 21, 22)


def test_a_run_that_reports_nan_is_worst_and_one_that_reports_nothing_is_not_judged() -> None:
    curves = {"good": falling(0.1), "nan": constant(math.nan), "fine": falling(0.2)}
    lab = Lab({**ASHA, "metric": "other"}, curves, epochs=10).until_over()
    assert len(lab.in_state(State.FINISHED)) == 3
    lab = Lab({**ASHA, "eta": 2}, curves, epochs=10).until_over()
    assert lab.store.run("nan").state is State.CANCELLED
    assert "nan at step 1" in str(lab.store.run("nan").ending)


def stopped_once(more: dict[str, Any] | None = None) -> Lab:
    lab = Lab({**ASHA, **(more or {})}, {"a": constant(0.1), "b": constant(0.2)}, epochs=40, workers=2)
    lab.tick()
    assert lab.store.run("b").state is State.CANCELLED
    return lab


def test_a_run_that_a_person_resumes_is_not_stopped_at_that_rung_again() -> None:
    lab = stopped_once()
    assert lab.store.run("b").reason is Reason.STOPPED
    lab.person("b", resumed)
    lab.tick()
    assert lab.store.run("b").state is State.RUNNING
    lab.tick()  # epoch 3: a new rung, and a new judgement
    stopped = lab.store.run("b")
    assert (stopped.state, stopped.judged.stopped and stopped.judged.stopped.rung) == (State.CANCELLED, 3)
    lab.person("b", resumed)
    lab.until_over()
    assert [one.rung for one in lab.store.run("b").judged.overruled][:2] == [1, 3]


def test_a_person_overrules_patience_for_good() -> None:
    lab = Lab({"metric": "loss", "rule": "patience", "patience": 3}, {"a": constant(0.1)}, epochs=40)
    for _ in range(6):
        lab.tick()
    assert lab.store.run("a").state is State.CANCELLED
    lab.person("a", resumed)
    assert lab.until_over().store.run("a").state is State.FINISHED


@pytest.mark.parametrize("person", [resumed, cancelled, paused])
def test_a_person_may_take_a_waiting_run_in_hand(person: Any) -> None:
    lab = Lab({**ASHA, "promote": "resume"}, {"a": constant(0.1), "b": constant(0.2)}, epochs=4, workers=2)
    lab.tick()
    assert lab.store.run("b").judged.held is not None
    lab.person("b", person)
    for _ in range(30):
        lab.tick()
    expected = {resumed: State.FINISHED, cancelled: State.CANCELLED, paused: State.PAUSED}[person]
    assert lab.store.run("b").state is expected
    assert lab.store.run("a").state is State.FINISHED


def test_runs_that_come_later_are_compared_with_those_that_ended() -> None:
    lab = Lab({**ASHA, "rule": "halving"}, sweep(9), epochs=12).until_over()
    lab.with_curve("better", falling(0.01))
    lab.with_curve("worse", falling(0.95))
    lab.until_over()
    assert lab.store.run("better").state is State.FINISHED
    assert lab.store.run("worse").state is State.CANCELLED


def test_runs_shorter_than_the_pause_between_rounds_count_as_siblings() -> None:
    lab = Lab({"metric": "loss", "rule": "median", "grace": 2}, {f"r{n}": constant(0.1) for n in range(4)}, epochs=3)
    for _ in range(5):
        lab.tick(judging=False)
    lab.judge()
    assert len(lab.store.reached("exp", 2.0)) == 4
    assert not any(run.judged.unread for run in lab.runs())


def test_rules_may_change_while_runs_are_running() -> None:
    lab = Lab(ASHA, {"a": constant(0.1), "b": constant(0.2)}, epochs=40, workers=2)
    lab.store.set_stopping("exp", {"metric": "loss", "rule": "patience", "patience": 30})
    for _ in range(10):
        lab.tick()
    assert len(lab.running()) == 2
    lab.store.set_stopping("exp", {"metric": "loss", "rule": "asha", "min": 5})
    lab.tick()
    assert lab.in_state(State.CANCELLED) == ["b"]
    assert "asha: loss 0.2 at step 5 is 2nd of 2" in str(lab.store.run("b").ending)


def test_without_rules_whoever_waits_goes_on() -> None:
    lab = Lab({**ASHA, "promote": "resume"}, {"a": constant(0.1), "b": constant(0.2)}, epochs=4, workers=2)
    lab.tick()
    lab.store.set_stopping("exp", None)
    rounds.let_go(lab.store, lab.bell, "exp")
    lab.until_over()
    assert len(lab.in_state(State.FINISHED)) == 2


# ── deciders that die, or come twice ──
class Killed(BaseException):
    pass


@pytest.mark.parametrize("table", [ASHA, {**ASHA, "promote": "resume"}, {**ASHA, "rule": "halving"}])
@pytest.mark.parametrize("seed", range(4))
def test_deciders_that_are_killed_between_any_two_writes_change_nothing(
    table: dict[str, Any], seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every write of the round may be its last, before or after it is done. The outcome is that of a quiet lab."""
    quiet = Lab(table, sweep(18), workers=18, epochs=30).until_over()
    draw = random.Random(seed)
    lab = Lab(table, sweep(18), workers=18, epochs=30)
    armed = False

    def deadly(name: str) -> None:
        real = getattr(lab.store, name)

        def call(*given: Any, **more: Any) -> Any:
            fate = draw.random() if armed else 1.0
            if fate < 0.15:
                raise Killed
            done = real(*given, **more)
            if fate < 0.3:
                raise Killed
            return done

        monkeypatch.setattr(lab.store, name, call)

    for name in ("reach", "save_courses", "change", "mark_read", "watched", "courses"):
        deadly(name)
    kills = 0
    real_judge = lab.judge

    def judge() -> None:
        nonlocal armed, kills
        while True:
            armed = True
            try:
                real_judge()
                return
            except Killed:
                kills += 1
            finally:
                armed = False

    monkeypatch.setattr(lab, "judge", judge)
    lab.until_over()
    assert kills > 5
    assert {run.id: (run.state, run.judged.stopped) for run in lab.runs()} == {
        run.id: (run.state, run.judged.stopped) for run in quiet.runs()
    }
    assert all(run.judged == Judged(stopped=run.judged.stopped) for run in lab.runs())


def test_a_decider_that_was_frozen_changes_nothing_when_it_wakes(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has read, then another round decides, then it goes on: what it decided is not kept, so not carried out."""
    lab = Lab(ASHA, {"a": constant(0.1), "b": constant(0.2), "c": constant(0.3)}, epochs=40, workers=3)
    lab.tick(judging=False)
    save, ahead = lab.store.save_courses, []

    def frozen(courses: Any) -> set[str]:
        if not ahead:
            ahead.append(None)
            ahead.append(lab.judge())
        return save(courses)

    monkeypatch.setattr(lab.store, "save_courses", frozen)
    late = lab.judge()
    assert late is not None
    assert sorted(ahead[1].stopped) == ["b", "c"]
    assert late.stopped == ()
    stops = [event for name in lab.curves for event in lab.store.events(name) if event.event == "stop"]
    assert len(stops) == 2


def test_of_many_that_read_at_once_each_run_is_read_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "UNREAD_AT_MOST", 3)
    lab = Lab(
        {"metric": "loss", "rule": "median", "grace": 2},
        {f"r{n}": constant(0.1) for n in range(10)},
        epochs=3,
        workers=10,
    )
    for _ in range(3):
        lab.tick(judging=False)
    assert lab.judge() is not None
    assert lab.rounds[-1].unfinished
    while lab.rounds[-1].unfinished:
        lab.judge()
    assert len(lab.store.reached("exp", 2.0)) == 10
