"""`labq exec`: somebody's own script, tracked, whatever is killed meanwhile."""

import shutil
import signal
import sys
from collections.abc import Iterator
from email import message_from_bytes
from email.policy import default
from typing import Any

import pytest
from lab import LABQ, Lab, kill, until
from own_scripts import STEPS, Started, bash, begin, folders, only, runs, steps

from queueing.repair import LOST
from queueing.retry import verdict
from store.schedulers import Scheduler
from store.states import Reason, State

SPEAKS = """
import sys, pathlib
print("to stdout {braces}", flush=True)
print("to stderr", file=sys.stderr, flush=True)
print(sys.stdin.read(), end="", flush=True)
pathlib.Path("out-1.csv").write_text("a\\n1\\n")
sys.exit(int(sys.argv[1]))
"""


@pytest.fixture(autouse=True)
def no_folders_left(lab: Lab) -> Iterator[None]:
    """What an attempt could not store stays on the disk: the next test has none of it."""
    yield
    shutil.rmtree(lab.home / "scripts", ignore_errors=True)


def test_a_command_is_a_run_with_everything_that_a_run_has(lab: Lab, undisturbed: dict[str, Any]) -> None:
    done = steps(lab, "whole", "--tag", "paper", "--notify", "me@lab.example")
    assert done.code() == 0, done.said()
    run = only(lab, "whole")
    assert lab.outcome(run) == undisturbed
    assert (run.params["seed"], run.tags, run.resources.on) == (7, ("paper",), Scheduler.SCRIPT)
    facts = run.history[0].facts
    assert facts["command"] == STEPS
    assert facts["host"]
    assert "git" in run.provenance
    assert "step 119" in done.out.read_text()
    assert lab.labq("logs", run.id).stdout == done.out.read_text()
    assert f"run {run.id[:8]} of whole, attempt 1" in done.err.read_text()
    assert [notice.about for notice in lab.notices(run)] == ["finished"]
    assert not folders(lab)
    assert not [one for one in lab.store.workers(3600) if one.only == run.id]


def test_output_streams_files_and_exit_code_are_the_programmes_own(lab: Lab) -> None:
    script = lab.write("speaks.py", SPEAKS)
    own = [*LABQ, "exec", "--quiet", "--name", "speaks", "--files", "out-*.csv", "--", sys.executable, str(script), "7"]
    done = bash(lab, f"echo from stdin | {' '.join(own)}")
    assert done.code() == 7
    assert done.out.read_text() == "to stdout {braces}\nfrom stdin\n"
    assert done.err.read_text() == "to stderr\n"
    run = only(lab, "speaks")
    assert (run.state, run.reason, run.ending and run.ending.exit_code) == (State.FAILED, Reason.ERROR, 7)
    assert [one.name for one in lab.store.artifacts(run.id)] == ["out-1.csv"]
    assert sorted(lab.labq("logs", run.id).stdout.splitlines()) == ["from stdin", "to stderr", "to stdout {braces}"]


def test_a_run_that_is_told_to_leave_goes_on_when_its_script_comes_back(lab: Lab, undisturbed: dict[str, Any]) -> None:
    first = steps(lab, "leaves", "--notify", "me@lab.example", pause_s=0.2)
    first.until_it_says("step 12")
    first.process.send_signal(signal.SIGTERM)
    assert first.code() == 0, first.said()
    run = only(lab, "leaves")
    assert (run.state, run.reason, run.setbacks) == (State.QUEUED, Reason.DRAINED, 0)
    lab.worker("--burst").wait(60)
    assert lab.run(run).attempt == 1  # it belongs to its script
    assert "labq exec --resume" in lab.labq("why", run.id).stdout
    assert [notice.about for notice in lab.notices(run)] == ["interrupted"]
    lab.labq("notify", "--once")
    mails = [message_from_bytes(file.read_bytes(), policy=default) for file in (lab.home / "mail").glob("*.eml")]
    (said,) = [mail for mail in mails if "leaves" in str(mail["subject"])]
    text = said.get_body(("plain",))
    assert text is not None
    assert f"when its script is run again: labq exec --resume {run.id[:8]}" in " ".join(text.get_content().split())
    assert "waits for its script" in str(said["subject"])
    again = begin(lab, "--resume", run.id[:8], "--", *STEPS)
    assert again.code() == 0, again.said()
    assert lab.run(run).history[1].resumed_from_step is not None
    assert lab.outcome(run) == undisturbed


@pytest.mark.parametrize("victim", ["programme", "supervisor", "labq exec"])
def test_whatever_is_killed_the_run_is_told_so_and_goes_on(lab: Lab, undisturbed: dict[str, Any], victim: str) -> None:
    name = f"killed-{victim.replace(' ', '-')}"
    first = steps(lab, name, pause_s=0.1)
    first.until_it_says("step 12")
    run = lab.wait_for_checkpoint(only(lab, name))
    programme = first.programme
    kill(programme if victim == "programme" else first.supervisor if victim == "supervisor" else psutil_of(first))
    assert first.code() == (-9 if victim == "labq exec" else 137)
    until(lambda: not programme.is_running(), what="the end of the programme")
    helper = lab.worker()
    expected = (State.FAILED, Reason.KILLED) if victim == "programme" else (State.QUEUED, Reason.LOST)
    until(lambda: (lab.run(run).state, lab.run(run).reason) == expected, what=f"{expected}: {lab.run(run)}")
    again = begin(lab, "--resume", run.id, "--", *STEPS)
    assert again.code() == 0, again.said()
    assert lab.outcome(run) == undisturbed
    assert lab.run(run).attempt == 2
    helper.terminate()


def psutil_of(started: Started) -> Any:
    import psutil

    return psutil.Process(started.process.pid)


def test_a_mongodb_that_goes_away_for_a_while_costs_nothing(lab: Lab, undisturbed: dict[str, Any]) -> None:
    lab.env["LABQ_OUTAGE_GRACE_S"] = "3"  # another run would have checkpointed and left
    try:
        started = steps(lab, "outage", pause_s=0.1)
        started.until_it_says("step 5")
        until(lambda: only(lab, "outage").summary, what="first points")
        lab.kill_server("mongod")
        started.until_it_says("step 70")
        lab.up()
        assert started.code() == 0, started.said()
    finally:
        del lab.env["LABQ_OUTAGE_GRACE_S"]
    run = only(lab, "outage")
    assert run.attempt == 1
    assert lab.outcome(run) == undisturbed


def test_without_mongodb_the_programme_runs_and_is_recorded_later(lab: Lab, undisturbed: dict[str, Any]) -> None:
    lab.kill_server("mongod")
    started = steps(lab, "later", pause_s=0.1)
    started.until_it_says("step 5")
    lab.up()
    run = until(lambda: next((one for one in runs(lab, "later") if one.state is State.RUNNING), None), what="the run")
    assert started.code() == 0, started.said()
    assert lab.outcome(run) == undisturbed
    assert lab.run(run).attempt == 1
    assert not folders(lab)


def test_what_ended_while_mongodb_was_away_is_stored_later_and_once(lab: Lab, undisturbed: dict[str, Any]) -> None:
    lab.kill_server("mongod")
    started = steps(lab, "unsent")
    assert started.code() == 0, started.said()
    assert "labq send --unsent" in started.err.read_text()
    refused = begin(lab, "--name", "unsent", "--if-away", "fail", "--", "true")
    assert refused.code() == 3
    lab.up()
    assert not runs(lab, "unsent")
    assert "unsent: stored" in lab.labq("send", "--unsent").stdout
    run = only(lab, "unsent")
    assert run.state is State.FINISHED
    assert lab.outcome(run) == undisturbed
    assert lab.labq("send", "--unsent").stdout == "nothing is left to be stored on this machine\n"


def test_what_a_killed_attempt_had_not_stored_is_stored_later(lab: Lab) -> None:
    started = steps(lab, "tail", pause_s=0.1)
    started.until_it_says("step 5")
    run = until(lambda: next(iter(runs(lab, "tail")), None), what="the run")
    lab.kill_server("mongod")
    started.until_it_says("step 30")
    kill(psutil_of(started))
    lab.up()
    assert "tail: stored" in lab.labq("send", "--unsent").stdout
    series = lab.store.series(run.id, "loss")
    assert list(series.steps) == list(range(len(series.steps)))
    assert len(series.steps) > 30
    assert (lab.run(run).state, lab.run(run).reason) == (State.QUEUED, Reason.LOST)


def test_a_run_that_was_given_up_while_it_could_not_be_heard_takes_itself_back(
    lab: Lab, undisturbed: dict[str, Any]
) -> None:
    started = steps(lab, "unheard", pause_s=0.1)
    started.until_it_says("step 12")
    run = lab.wait_for_checkpoint(only(lab, "unheard"))
    lab.store.settle(run.id, 1, lambda now: verdict(now, LOST))
    assert started.code() == 0, started.said()
    assert lab.outcome(run) == undisturbed
    assert lab.run(run).attempt == 1
    assert "rejoined" in [event.event for event in lab.store.events(run.id)]


def test_the_same_key_is_one_run_and_never_two_at_once(lab: Lab, undisturbed: dict[str, Any]) -> None:
    first = steps(lab, "keyed", "--key", "one", pause_s=0.2)
    first.until_it_says("step 12")
    second = steps(lab, "keyed", "--key", "one")
    assert second.code() == 2
    assert "is being carried out by" in second.err.read_text()
    assert "step" not in second.out.read_text()
    other = begin(lab, "--name", "keyed", "--key", "two", "--", "true")
    assert other.code() == 0
    first.process.send_signal(signal.SIGTERM)
    assert first.code() == 0
    third = steps(lab, "keyed", "--key", "one")
    assert third.code() == 0, third.said()
    run = next(run for run in runs(lab, "keyed") if run.params)
    assert run.attempt == 2
    outcome = lab.outcome(run)
    assert (outcome["weights"], outcome["series"]) == (undisturbed["weights"], undisturbed["series"])
    assert len(runs(lab, "keyed")) == 2


def test_a_job_that_is_started_again_goes_on_with_its_run_at_once(lab: Lab, undisturbed: dict[str, Any]) -> None:
    job = {"SLURM_JOB_ID": "4711", "SLURM_CLUSTER_NAME": "none", "SLURM_JOB_NAME": "wrap"}
    first = steps(lab, "requeued", pause_s=0.1, **job)
    first.until_it_says("step 12")
    run = lab.wait_for_checkpoint(only(lab, "requeued"))
    kill(psutil_of(first))  # as by the death of its node: nobody says good-bye, and its lease goes on
    again = steps(lab, "requeued", pause_s=0.1, SLURM_RESTART_COUNT="1", **job)
    assert again.code() == 0, again.said()
    assert lab.outcome(run) == undisturbed
    now = lab.run(run)
    assert (now.attempt, now.history[0].ending and now.history[0].ending.reason) == (2, Reason.LOST)
    assert now.history[1].facts["scheduler"] == {"scheduler": "slurm", "job": "4711"}
    other = steps(lab, "requeued", pause_s=0.001, SLURM_RESTART_COUNT="1", **job)  # the next line of the same script
    assert other.code() == 0
    assert len(runs(lab, "requeued")) == 2


def test_a_stopped_run_does_not_come_back_with_its_job(lab: Lab) -> None:
    job = {"SLURM_JOB_ID": "4712", "SLURM_CLUSTER_NAME": "none"}
    first = steps(lab, "stopped", pause_s=0.2, **job)
    first.until_it_says("step 3")
    run = only(lab, "stopped")
    lab.labq("stop", run.id)
    first.code()
    assert lab.run(run).state is State.CANCELLED
    again = steps(lab, "stopped", pause_s=0.2, SLURM_RESTART_COUNT="1", **job)
    assert again.code() == 2
    assert "was cancelled by a person" in again.err.read_text()
    assert "step" not in again.out.read_text()


def test_ctrl_c_reaches_the_programme_as_ctrl_c_and_cancels_the_run(lab: Lab) -> None:
    script = lab.write("waits.py", "import time\nprint('here', flush=True)\ntime.sleep(60)\n")
    started = begin(lab, "--name", "pressed", "--", sys.executable, str(script))
    started.until_it_says("here")
    started.process.send_signal(signal.SIGINT)
    assert started.code() == 130
    assert "KeyboardInterrupt" in started.err.read_text()
    assert only(lab, "pressed").state is State.CANCELLED


def test_labqs_own_trouble_keeps_no_programme_from_running(lab: Lab) -> None:
    (lab.home / "scripts").mkdir(exist_ok=True)
    (host,) = {one.host for one in [lab_worker(lab)]}
    blocked = lab.home / "scripts" / host
    moved = blocked.rename(lab.home / "scripts-before") if blocked.exists() else None
    blocked.write_text("not a folder")
    try:
        done = begin(lab, "--name", "trouble", "--", "sh", "-c", "echo it runs; exit 5")
        assert done.code() == 5, done.said()
        assert done.out.read_text() == "it runs\n"
        assert "without labq" in done.err.read_text()
    finally:
        blocked.unlink()
        if moved is not None:
            moved.rename(blocked)
    wrong = begin(lab, "--", "sh", "-c", "echo it runs", LABQ_NOSUCHSETTING="1")
    assert wrong.code() == 0
    assert wrong.out.read_text() == "it runs\n"
    assert "NOSUCHSETTING" in wrong.err.read_text()


def lab_worker(_lab: Lab) -> Any:
    from worker.script.places import describe

    return describe("")


def test_inside_a_tracked_run_the_command_is_just_run(lab: Lab) -> None:
    inner = " ".join([*LABQ, "exec", "--name", "inner", "--", "sh", "-c", "'exit 4'"])
    done = begin(lab, "--name", "outer", "--", "sh", "-c", inner)
    assert done.code() == 4, done.said()
    assert "which is tracked already" in done.err.read_text()
    assert not runs(lab, "inner")
    assert only(lab, "outer").state is State.FAILED


def test_mistakes_are_told_in_one_line(lab: Lab) -> None:
    for options, code, says in (
        (["--"], 2, "no command"),
        (["--param", "lr", "--", "true"], 2, "allowed: NAME=VALUE"),
        (["--resume", "zzzz", "--", "true"], 2, "no run has an id"),
        (["--notify", "nobody", "--", "true"], 2, "--notify"),
        (["--grace", "soon", "--", "true"], 2, "--grace 'soon'"),
        (["--", "no-such-programme"], 127, "no such programme"),
        (["--", str(lab.home)], 126, "may not be executed"),
    ):
        done = begin(lab, *options)
        assert done.code() == code, done.said()
        assert says in done.err.read_text()
        assert len(done.err.read_text().splitlines()) == 1, done.said()
