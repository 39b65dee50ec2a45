"""Sweeps whose poor runs are stopped: the good one keeps its bits, promoted ones go on from their checkpoint, whoever
dies; and a person's word counts more."""

import itertools
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from lab import Lab, kill, supervisor_of, until

from store.runs import Run
from store.states import ENDED, Reason, State

SCRIPT = json.dumps(str(Path(__file__).parent / "curves.py"))
_NUMBERS = itertools.count()
FLOORS = [0.1, 0.5, 0.7, 0.9]


def a_sweep(
    lab: Lab, rules: str, *, floors: list[float] = FLOORS, epochs: int = 40, pause_s: float = 0.05
) -> list[Run]:
    name = f"sweep-{next(_NUMBERS)}"
    text = f"""
name = "{name}"
command = ["{sys.executable}", {SCRIPT}]
[params]
epochs = {epochs}
pause_s = {pause_s}
[sweep.params]
floor = {floors}
{rules}
"""
    done = lab.labq("enqueue", "--json", str(lab.write(f"{name}.toml", text)))
    return [lab.store.run(run_id) for run_id in json.loads(done.stdout)["ids"]]


def rules(text: str) -> str:
    return f'[stopping]\nmetric = "val_loss"\nby = "epoch"\n{text}'


def by_floor(lab: Lab, runs: list[Run]) -> dict[float, Run]:
    return {run.params["floor"]: lab.run(run) for run in runs}


def all_over(lab: Lab, runs: list[Run]) -> dict[float, Run]:
    def over() -> dict[float, Run] | None:
        found = by_floor(lab, runs)
        return found if all(run.state in ENDED for run in found.values()) else None

    try:
        return until(over, 120, "the end of the sweep")
    except AssertionError as error:
        raise AssertionError(f"{error}\n{by_floor(lab, runs)}\n{lab.log_text()}") from error


@pytest.fixture(scope="module")
def in_peace(shared_lab: Lab) -> dict[str, Any]:
    """The good run, without any rules."""
    (run,) = a_sweep(shared_lab, "", floors=[0.1])
    worker = shared_lab.worker("--burst")
    shared_lab.wait_until_ended(run)
    worker.wait(timeout=60)
    return shared_lab.outcome(run)


def events(lab: Lab, run: Run, name: str) -> list[str]:
    return [event.because for event in lab.store.events(run.id) if event.event == name]


def test_poor_runs_are_stopped_and_the_good_one_keeps_its_bits(lab: Lab, in_peace: dict[str, Any]) -> None:
    runs = a_sweep(lab, rules('rule = "asha"\nmin = 5\nmax = 40\neta = 2'))
    for _ in range(2):
        lab.worker()
    found = all_over(lab, runs)
    assert lab.outcome(found[0.1]) == in_peace
    for floor in (0.7, 0.9):
        run = found[floor]
        assert (run.state, run.reason) == (State.CANCELLED, Reason.STOPPED)
        assert run.ending is not None
        assert run.ending.message.startswith("asha: val_loss ")
        assert events(lab, run, "stop") == [run.ending.message]
        assert run.checkpoint is not None
    shown = lab.labq("show", found[0.9].id).stdout
    assert "asha: val_loss" in shown.replace("\n", " ")
    listed = lab.labq("stopping", runs[0].experiment).stdout
    assert "val_loss, the smaller the better, by epoch" in listed
    assert found[0.9].id[:8] in listed


def test_promoted_runs_go_on_from_their_checkpoint(lab: Lab, in_peace: dict[str, Any]) -> None:
    runs = a_sweep(lab, rules('rule = "halving"\nmin = 5\nmax = 40\neta = 2'))
    for _ in range(2):
        lab.worker()
    found = all_over(lab, runs)
    good = found[0.1]
    assert lab.outcome(good) == in_peace
    assert good.attempt > 1
    assert good.history[0].resumed_from_step is None
    assert all(attempt.resumed_from_step is not None and attempt.resumed_from_step >= 5 for attempt in good.history[1:])
    assert events(lab, good, "pause")[0].startswith("halving: val_loss")
    assert events(lab, good, "resume")[0].startswith("halving: val_loss")
    assert found[0.9].state is State.CANCELLED
    assert lab.store.series(found[0.9].id, "epoch").values[-1] < 40


def test_whoever_decides_is_killed_and_everything_is_decided_once(lab: Lab, in_peace: dict[str, Any]) -> None:
    """One worker at a time, killed with its supervisor's keeper right after each decision; the next one goes on."""
    runs = a_sweep(lab, rules('rule = "asha"\nmin = 5\nmax = 40\neta = 2\npromote = "resume"'))
    kills = 0
    while kills < 5 and not _any_over(lab, runs):
        decisions = _decisions(lab, runs)
        worker = lab.worker()
        until(lambda known=decisions: _decisions(lab, runs) > known or _any_over(lab, runs), 60, "a decision")  # type: ignore[misc]
        if kills % 2:
            kill(supervisor_of(worker))
        worker.kill()
        worker.wait()
        kills += 1
    for _ in range(2):
        lab.worker()
    found = all_over(lab, runs)
    assert kills > 2
    assert lab.outcome(found[0.1]) == in_peace
    for run in found.values():
        assert len(events(lab, run, "stop")) == (run.state is State.CANCELLED)
        rungs = [because.split(" is ")[0] for because in events(lab, run, "pause")]
        assert len(rungs) == len(set(rungs)), rungs  # held once at a rung


def _decisions(lab: Lab, runs: list[Run]) -> int:
    return sum(len(events(lab, run, name)) for run in runs for name in ("stop", "pause", "resume"))


def _any_over(lab: Lab, runs: list[Run]) -> bool:
    return any(run.state in ENDED for run in by_floor(lab, runs).values())


def test_a_run_that_a_person_resumes_is_not_stopped_for_the_same_reason(lab: Lab) -> None:
    runs = a_sweep(lab, rules('rule = "patience"\npatience = 3\ndelta = 10'), floors=[0.1], epochs=30)
    lab.worker()
    (run,) = all_over(lab, runs).values()
    assert run.state is State.CANCELLED
    step = run.checkpoint.step if run.checkpoint else None
    assert "let go on" not in lab.labq("stopping", run.experiment).stdout
    lab.labq("resume", run.id)
    ended = lab.wait_until_ended(run)
    assert ended.state is State.FINISHED
    assert ended.history[-1].resumed_from_step == step
    assert "let go on by a person: patience" in lab.labq("stopping", run.experiment).stdout


def test_rules_are_tried_changed_and_taken_away(lab: Lab) -> None:
    runs = a_sweep(lab, "", floors=[0.1, 0.9], epochs=30, pause_s=0.01)
    lab.worker("--burst").wait(timeout=60)
    all_over(lab, runs)
    name = runs[0].experiment
    file = lab.write("rules.toml", rules('rule = "median"\ngrace = 10\nsiblings = 1'))
    assert "has no rules" in lab.labq("stopping", name, ok=False).stderr
    done = json.loads(lab.labq("stopping", name, "--rules", str(file), "--dry-run", "--json").stdout)
    told = {one["run"]: one for one in done["runs"]}
    assert told[by_floor(lab, runs)[0.9].id]["because"].startswith("median: val_loss")
    assert 0 < done["steps_saved"] < done["steps"]
    text = lab.labq("stopping", name, "--rules", str(file), "--dry-run").stdout
    assert "1 would have been stopped" in text
    assert "would have got there" in text
    assert lab.store.ruled() == [] or name not in [one.name for one in lab.store.ruled()]
    lab.labq("stopping", name, "--rules", str(file))
    assert name in [one.name for one in lab.store.ruled()]
    lab.labq("stopping", name, "--off")
    assert name not in [one.name for one in lab.store.ruled()]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("stopping", "nobody"), "there is no experiment 'nobody'"),
        (("stopping", "SWEEP", "--rules", "/nowhere.toml"), "there is no such file"),
        (("stopping", "SWEEP", "--rules", "BAD"), "did you mean 'asha'?"),
        (("stopping", "SWEEP", "--off", "--dry-run"), "--off goes with neither"),
    ],
)
def test_mistakes_are_said_without_a_traceback(lab: Lab, arguments: tuple[str, ...], words: str) -> None:
    runs = a_sweep(lab, "", floors=[0.1])
    lab.labq("stop", runs[0].id)
    bad = lab.write("bad.toml", rules('rule = "ashaa"\nmin = 1'))
    named = [{"SWEEP": runs[0].experiment, "BAD": str(bad)}.get(one, one) for one in arguments]
    done = lab.labq(*named, ok=False)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_an_epoch_can_be_asked_for_when_stopping_by_query(lab: Lab) -> None:
    runs = a_sweep(lab, "", floors=[0.1, 0.9], epochs=4000)
    for _ in range(2):
        lab.worker()
    until(
        lambda: all("epoch" in run.summary and run.summary["epoch"].last > 12 for run in by_floor(lab, runs).values())
    )
    lab.labq("stop", "--where", f"experiment={runs[0].experiment} and val_loss > 0.7 and epoch > 10")
    until(lambda: by_floor(lab, runs)[0.9].state is State.CANCELLED, what="the stop")
    assert by_floor(lab, runs)[0.1].state is State.RUNNING
    lab.labq("stop", "--where", f"experiment={runs[0].experiment}")


def test_mongodb_may_be_away_while_something_is_to_be_decided(lab: Lab, in_peace: dict[str, Any]) -> None:
    runs = a_sweep(lab, rules('rule = "asha"\nmin = 5\nmax = 40\neta = 2'))
    for _ in range(2):
        lab.worker()
    until(lambda: sum(run.state is State.RUNNING for run in by_floor(lab, runs).values()) == 2, what="two runs")
    lab.kill_server("mongod")
    lab.up()
    found = all_over(lab, runs)
    assert lab.outcome(found[0.1]) == in_peace
    assert found[0.9].state is State.CANCELLED
