"""What rules would have done: to histories of runs that nobody stopped."""

from typing import Any

import pytest
from stopping_lab import Lab, constant, falling

from queueing.stopping.reading import stopping_of
from queueing.stopping.replay import Would, names_for, replay
from store.states import State

ASHA = {"metric": "loss", "rule": "asha", "min": 1, "max": 81}
NOBODY: frozenset[str] = frozenset()


def a_sweep(count: int = 27) -> dict[str, Any]:
    """The better come first, so that those that come later have somebody to be compared with."""
    return {f"run{number:02}": falling(0.1 + 0.8 * number / count) for number in range(count)}


def undisturbed(curves: dict[str, Any], epochs: int = 81, workers: int = 30) -> Lab:
    lab = Lab({"rule": "threshold", "when": "loss > 1e9"}, curves, epochs=epochs, workers=workers)
    while len(lab.in_state(State.FINISHED)) < len(curves):
        lab.tick(judging=False)
    return lab


def replayed(lab: Lab, table: dict[str, Any]) -> dict[str, Would]:
    rules = stopping_of(table)
    names = names_for(rules, NOBODY)
    runs = {run.id: run for run in lab.runs()}
    tracks = {run_id: dict(zip(names, lab.store.whole_tracks(run_id, names), strict=True)) for run_id in runs}
    return {one.run: one for one in replay(rules, NOBODY, runs, tracks)}


@pytest.fixture(scope="module")
def lab() -> Lab:
    return undisturbed(a_sweep())


def test_halving_would_have_cost_what_its_paper_says(lab: Lab) -> None:
    found = replayed(lab, {**ASHA, "rule": "halving"})
    used = sum(one.steps - one.steps_saved for one in found.values())
    assert used == 27 * 1 + 9 * 2 + 3 * 6 + 1 * (81 - 9)
    assert [run for run, one in found.items() if one.stopped is None] == ["run00"]
    assert found["run00"].waited == 3  # the first to come at each rung
    assert found["run26"].stopped is not None
    assert found["run26"].stopped.rung == 1


@pytest.mark.parametrize("more", [{}, {"promote": "resume"}])
def test_a_replay_stops_whom_the_rules_stop(more: dict[str, Any]) -> None:
    """Runs one after another: then nothing hangs on how often somebody looks."""
    live = Lab({**ASHA, **more}, a_sweep(), workers=1).until_over()
    found = replayed(undisturbed(a_sweep(), workers=1), {**ASHA, **more})
    stopped = {run.id for run in live.runs() if run.state is State.CANCELLED}
    assert {run for run, one in found.items() if one.stopped is not None} == stopped
    if not more:
        assert sum(one.steps - one.steps_saved for one in found.values()) == live.trained


def test_what_is_saved_is_counted_in_steps_and_seconds(lab: Lab) -> None:
    found = replayed(lab, {"metric": "loss", "rule": "patience", "patience": 10, "delta": 1.0})
    one = found["run03"]
    assert (one.steps, one.steps_saved, one.time_s, one.saved_s) == (81, 70, 80.0, 70.0)
    assert one.best is not None
    assert one.best_of_all is not None
    assert one.best > one.best_of_all


def test_a_threshold_is_asked_at_every_moment_of_the_past(lab: Lab) -> None:
    found = replayed(lab, {"rule": "threshold", "when": "loss > 0.5 and running_time > 10s"})
    stopped = {run: one for run, one in found.items() if one.stopped is not None}
    assert 0 < len(stopped) < 27
    assert {one.steps - one.steps_saved for one in stopped.values()} == {12}  # the first epoch comes with the claim


def test_rules_that_fit_nobody_stop_nobody(lab: Lab) -> None:
    assert all(one.stopped is None for one in replayed(lab, {**ASHA, "min": 1000, "max": 2000}).values())
    assert replayed(lab, {**ASHA, "metric": "other"}) == {}


def test_the_median_keeps_the_better_half() -> None:
    lab = undisturbed({f"run{number}": constant(float(number)) for number in range(9)}, epochs=30)
    found = replayed(lab, {"metric": "loss", "rule": "median", "grace": 10})
    assert "run0" in [run for run, one in found.items() if one.stopped is None]
    assert found["run8"].stopped is not None
