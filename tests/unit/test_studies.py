"""Studies step by step, in memory: budget, telling once, dying in the middle."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from optimize_lab import FAILED, StudyLab

from queueing.optimize import step as step_module
from queueing.optimize.outside import ask_trial, tell_trial
from queueing.people import requeue_change, stop_change
from store.changes import Change, paused
from store.errors import EngineMissing, NoSuchStudy, StudyDiffers, UserError
from store.runs import Ending, Run
from store.states import Reason, State
from store.store import Settlement
from store.studies import StudyState, TrialState


def loss(run: Run) -> list[float]:
    return [1.0, (run.params["x"] - 0.3) ** 2 + abs(run.params.get("n", 50) - 50) / 100]


def test_a_study_ends_with_exactly_its_budget_each_told_once(tmp_path: Path) -> None:
    lab = StudyLab(tmp_path)
    assert len(lab.enqueue().ids) == 2
    assert lab.work(loss) == 6
    trials = lab.trials()
    assert [trial.number for trial in trials] == list(range(6))
    assert all(trial.state is TrialState.COMPLETE for trial in trials)
    assert lab.store.study("s").state is StudyState.FINISHED  # type: ignore[union-attr]
    for trial, run in zip(trials, lab.runs(), strict=True):
        assert trial.runs == (run.id,)
        assert trial.values == (run.summary["val_loss"].min,)
        assert run.trial == trial.number
    before = lab.trials()
    assert lab.step().told == 0
    assert lab.trials() == before


def test_no_more_trials_wait_or_run_at_once_than_allowed(tmp_path: Path) -> None:
    lab = StudyLab(tmp_path, parallel=3, trials=10)
    lab.enqueue()
    for _ in range(3):
        lab.step()
        assert len(lab.runs(State.QUEUED, State.RUNNING)) == 3
    lab.carry_out(val_loss=[0.5])
    lab.step()
    assert len(lab.runs(State.QUEUED, State.RUNNING)) == 3
    assert len(lab.trials()) == 4


def test_a_paused_trial_takes_no_place_and_is_waited_for_at_the_end(tmp_path: Path) -> None:
    lab = StudyLab(tmp_path, parallel=1, trials=3)
    lab.enqueue()
    first = lab.runs()[0]
    lab.store.change([first.id], Change(name="pause", apply=paused))
    lab.work(loss)
    assert [trial.state for trial in lab.trials()] == [TrialState.OPEN, TrialState.COMPLETE, TrialState.COMPLETE]
    assert lab.store.study("s").state is StudyState.ASKED  # type: ignore[union-attr]
    lab.store.change([first.id], Change(name="resume", apply=lambda run, _: replace(run, state=State.QUEUED)))
    lab.work(loss)
    assert lab.store.study("s").state is StudyState.FINISHED  # type: ignore[union-attr]


def test_a_trial_without_its_run_gets_it_from_whoever_comes_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = StudyLab(tmp_path)

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(step_module, "queue_runs", killed)
        with pytest.raises(KeyboardInterrupt):
            lab.enqueue()
    assert len(lab.trials()) == 1
    assert lab.runs() == []
    lab.step()
    assert [run.id for run in lab.runs()] == [one for trial in lab.trials() for one in trial.runs]
    assert lab.work(loss) == 6


def test_a_number_that_somebody_else_took_is_not_taken_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = StudyLab(tmp_path, trials=4, parallel=2)
    real = lab.store.add_trial

    def beaten(trial: Any) -> bool:
        if trial.number == 0 and trial.asked_by == "labq":
            real(replace(trial, asked_by="another step"))
        return real(trial)

    monkeypatch.setattr(lab.store, "add_trial", beaten)
    lab.enqueue()
    assert lab.work(loss) == 4
    assert [trial.number for trial in lab.trials()] == [0, 1, 2, 3]
    assert lab.trials()[0].asked_by == "another step"


def test_a_failed_run_is_told_as_failed_and_its_trial_counts(tmp_path: Path) -> None:
    lab = StudyLab(tmp_path, trials=2, parallel=1)
    lab.enqueue()
    lab.carry_out(settlement=FAILED, val_loss=[0.1])
    lab.work(loss)
    failed, fine = lab.trials()
    assert (failed.state, failed.values, failed.why) == (TrialState.FAILED, (), "error: boom")
    assert fine.state is TrialState.COMPLETE


def test_a_requeued_run_replaces_what_was_told_once(tmp_path: Path) -> None:
    lab = StudyLab(tmp_path, trials=2, parallel=1)
    lab.enqueue()
    run = lab.carry_out(settlement=FAILED)
    lab.step()
    lab.store.change([run.id], requeue_change())
    assert lab.step().told == 0
    lab.carry_out(run, val_loss=[0.25])
    assert lab.step().told == 1
    assert lab.trials()[0].values == (0.25,)
    assert len(lab.trials()) == 2


def test_a_run_that_was_stopped_on_the_way_is_told_with_what_it_had(tmp_path: Path) -> None:
    lab = StudyLab(tmp_path, trials=1)
    lab.enqueue()
    stopped = Settlement(state=State.CANCELLED, reason=Reason.STOPPED, ending=Ending(message="val_loss > 0.3"))
    lab.carry_out(settlement=stopped, val_loss=[0.9, math.nan, 0.7])
    lab.step()
    (trial,) = lab.trials()
    assert trial.state is TrialState.PRUNED
    assert trial.points == ((0, 0.9), (2, 0.7))
    assert trial.values == (0.7,)


def test_a_run_stopped_before_it_began_is_failed_and_its_place_is_taken(tmp_path: Path) -> None:
    lab = StudyLab(tmp_path, trials=2, parallel=1)
    lab.enqueue()
    lab.store.change([lab.runs()[0].id], stop_change())
    assert lab.work(loss) == 1
    assert [trial.state for trial in lab.trials()] == [TrialState.FAILED, TrialState.COMPLETE]


@pytest.mark.parametrize(("values", "state"), [([1.0, math.nan], "pruned"), ([math.inf], "pruned"), ([], "failed")])
def test_nan_and_no_metric_never_reach_the_sampler_as_values(tmp_path: Path, values: list[float], state: str) -> None:
    lab = StudyLab(tmp_path, trials=1, value="last")
    lab.enqueue()
    lab.carry_out(val_loss=values)
    lab.step()
    (trial,) = lab.trials()
    assert (trial.state, trial.values) == (state, ())
    assert "val_loss" in trial.why


def test_the_value_is_the_one_that_the_file_asks_for(tmp_path: Path) -> None:
    values = {"val_loss": [0.5, 0.2, 0.4], "err": [3.0, 2.0, 1.0]}
    expected = {"best": 0.2, "last": 0.4, "max": 0.5, "min": 0.2}
    for which, value in expected.items():
        lab = StudyLab(tmp_path, trials=1, value=which)
        lab.enqueue()
        lab.carry_out(**values)
        lab.step()
        assert lab.trials()[0].values == (value,)
    lab = StudyLab(tmp_path, trials=1, metric="err", at="val_loss")
    lab.enqueue()
    lab.carry_out(**values)
    lab.step()
    assert lab.trials()[0].values == (2.0,)


def test_a_figure_that_is_added_later_is_told(tmp_path: Path) -> None:
    lab = StudyLab(tmp_path, trials=1, metric="quality")
    lab.enqueue()
    run = lab.carry_out(val_loss=[0.5])
    lab.step()
    assert lab.trials()[0].state is TrialState.FAILED
    lab.store.report(run.id, {"quality": 0.75})
    assert lab.step().told == 1
    assert lab.trials()[0].values == (0.75,)


def test_repeats_are_one_trial_with_the_mean_of_those_that_finished(tmp_path: Path) -> None:
    lab = StudyLab(tmp_path, trials=2, parallel=1, repeat=3)
    lab.enqueue()
    runs = lab.runs()
    assert [run.params["seed"] for run in runs] == [0, 1, 2]
    assert len({run.params["x"] for run in runs}) == 1
    lab.carry_out(val_loss=[0.2])
    lab.carry_out(settlement=FAILED)
    lab.step()
    assert lab.trials()[0].state is TrialState.OPEN
    lab.carry_out(val_loss=[0.4])
    lab.step()
    assert lab.trials()[0].values == (pytest.approx(0.3),)
    assert "without 1 repeats" in lab.trials()[0].why


def test_the_budget_may_be_epochs(tmp_path: Path) -> None:
    lab = StudyLab(tmp_path, trials=50, parallel=1, epochs=10.0)
    lab.enqueue()
    assert lab.work(lambda run: [0.5, 0.4, 0.3]) == 4
    assert lab.store.study("s").state is StudyState.FINISHED  # type: ignore[union-attr]


def test_a_grid_is_its_own_budget(tmp_path: Path) -> None:
    lab = StudyLab(tmp_path, {"x": [0.1, 0.2], "n": {"low": 1, "high": 3, "type": "int"}}, sampler="grid", trials=None)
    lab.enqueue()
    assert lab.work(loss) == 6
    assert len({(run.params["x"], run.params["n"]) for run in lab.runs()}) == 6
    assert lab.store.study("s").state is StudyState.FINISHED  # type: ignore[union-attr]


def test_a_larger_budget_goes_on_and_another_space_is_another_study(tmp_path: Path) -> None:
    lab = StudyLab(tmp_path, trials=2)
    lab.enqueue()
    lab.work(loss)
    assert lab.enqueue().ids == ()
    lab.enqueue(trials=5)
    assert lab.work(loss) == 3
    for change, said in (({"params": {"x": [1, 2]}}, "another space"), ({"metric": "other"}, "another objective")):
        with pytest.raises(StudyDiffers, match=said):
            lab.enqueue(**change)
    assert len(lab.trials()) == 5


def test_earlier_runs_that_lie_in_the_space_are_known_from_the_start(tmp_path: Path) -> None:
    lab = StudyLab(tmp_path, trials=3, name="old")
    lab.enqueue()
    lab.work(loss)
    new = StudyLab(tmp_path, {"x": {"low": 0.0, "high": 1.0}}, trials=1, warm_start="experiment=old")
    new.store = lab.store
    assert new.enqueue().warm == 3
    assert new.enqueue().warm == 0
    warm = [trial for trial in new.trials() if trial.number < 0]
    assert sorted(trial.values for trial in warm) == sorted(trial.values for trial in lab.trials())
    assert new.work(loss) == 1


def test_configurations_that_the_file_names_come_first(tmp_path: Path) -> None:
    lab = StudyLab(tmp_path, first=[{"x": 0.5, "n": 7, "c": "b"}])
    lab.enqueue()
    assert lab.trials()[0].params == {"x": 0.5, "n": 7, "c": "b"}
    assert lab.trials()[1].asked_by == "labq"


def test_trials_from_outside_are_asked_and_told(tmp_path: Path) -> None:
    lab = StudyLab(tmp_path, engine="ask", trials=3)
    lab.enqueue()
    assert lab.trials() == []
    mine = ask_trial(lab.store, lab.doorbell, "s", {"x": 0.5, "n": 3, "c": "a"})  # type: ignore[arg-type]
    lab.carry_out(val_loss=[0.4])
    outside = ask_trial(lab.store, lab.doorbell, "s", {"x": 0.6, "n": 3, "c": "a"}, outside=True)  # type: ignore[arg-type]
    assert (mine.number, outside.number, outside.runs) == (0, 1, ())
    assert tell_trial(lab.store, "s", 1, {"value": 0.3}).values == (0.3,)
    assert tell_trial(lab.store, "s", 1, {"val_loss": 0.3}).values == (0.3,)
    with pytest.raises(UserError, match="told already"):
        tell_trial(lab.store, "s", 1, {"value": 0.2})
    with pytest.raises(UserError, match="told of itself"):
        tell_trial(lab.store, "s", 0, {"value": 0.2})
    assert lab.trials()[0].values == (0.4,)
    for wrong, said in (
        ({"x": 2.0, "n": 3, "c": "a"}, "x = 2.0 lies outside"),
        ({"y": 1}, "is no parameter"),
        ({"x": 0.5}, "n is missing"),
    ):
        with pytest.raises(UserError, match=said):
            ask_trial(lab.store, lab.doorbell, "s", wrong)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="no metric of the study"):
        tell_trial(lab.store, "s", 1, {"val_loss": 0.3, "test_loss": 0.1})


def test_the_engine_proposes_to_whoever_asks(tmp_path: Path) -> None:
    lab = StudyLab(tmp_path, trials=3, parallel=1)
    lab.enqueue()
    trial = ask_trial(lab.store, lab.doorbell, "s")  # type: ignore[arg-type]
    assert trial.number == 1
    assert lab.store.run(trial.runs[0]).state is State.QUEUED
    ask_trial(lab.store, lab.doorbell, "s")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="has had its 3 trials"):
        ask_trial(lab.store, lab.doorbell, "s")  # type: ignore[arg-type]


def test_an_unknown_study_is_named_with_those_there_are(tmp_path: Path) -> None:
    lab = StudyLab(tmp_path)
    lab.enqueue()
    with pytest.raises(NoSuchStudy, match="there are: s"):
        ask_trial(lab.store, lab.doorbell, "t")  # type: ignore[arg-type]


def test_a_missing_library_is_named_with_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    lab = StudyLab(tmp_path, sampler="tpe")
    with pytest.raises(EngineMissing, match=r"pip install 'labq\[optimize\]'"):
        lab.enqueue()
    assert lab.store.study("s") is None
