"""`labq watch` in a real terminal, beside real workers that are killed and a server that goes away and comes back."""

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from lab import HERE, Lab, kill, supervisor_of, until
from terminal import Terminal

from queueing.people import stop_change
from store.findings import Diagnosis, Disease, Finding, Severity
from store.runs import Run
from store.states import State
from store.store import RunQuery

pytestmark = pytest.mark.prompt

FOUND = Finding(
    disease=Disease.DIVERGENCE, severity=Severity.SEVERE, evidence="val_loss explodes", advice="Lower the learning rate.", since_step=9,
)  # fmt: skip


@pytest.fixture(autouse=True)
def nothing_left(lab: Lab) -> Iterator[None]:
    """Workers of the next test find none of the runs of this one."""
    yield
    left = lab.store.run_ids(RunQuery(states=(State.QUEUED, State.RUNNING)))
    lab.store.change(left, stop_change())


def enqueue(lab: Lab, name: str, *, steps: int = 4000, rates: str = "[0.1, 10.0]") -> list[Run]:
    script = json.dumps(str(HERE / "watched.py"))
    text = f"""
name = "{name}"
command = ["{sys.executable}", {script}]
[params]
steps = {steps}
pause_s = 0.05
[sweep.params]
lr = {rates}
"""
    done = lab.labq("enqueue", "--json", str(lab.write(f"{name}.toml", text)))
    return [lab.store.run(run) for run in json.loads(done.stdout)["ids"]]


@contextmanager
def watching(lab: Lab, *arguments: str, columns: int = 110, lines: int = 36, **env: str) -> Iterator[Terminal]:
    with Terminal(lab, "watch", *arguments, "--every", "0.3", columns=columns, lines=lines, **env) as screen:
        yield screen


def leaves(screen: Terminal, key: bytes = b"q") -> bool:
    screen.press(key)
    return screen.wait() == 0 and screen.is_as_before()


def all_running(lab: Lab, runs: list[Run]) -> None:
    def reporting() -> bool:
        now = [lab.run(run) for run in runs]
        return all(run.state is State.RUNNING and "val_loss" in run.summary for run in now)

    until(reporting, what="runs that report")


def last_step(text: str) -> int:
    """The figure at the right end of the horizontal axis."""
    ruler = next(line for line in text.split("\n") if " step " in line and line.strip()[0].isdigit())
    return int(ruler.split("step")[1].replace(" ", ""))


def test_a_healthy_and_a_diverging_run_grow_before_ones_eyes(lab: Lab) -> None:
    lab.worker("-n", "2")
    healthy, sick = runs = enqueue(lab, "grows")
    all_running(lab, runs)
    assert lab.store.put_diagnosis(Diagnosis(run=sick.id, attempt=1, findings=(FOUND,)), [FOUND])
    with watching(lab, "grows") as screen:
        text = screen.wait_for("grows", "2 running", healthy.id[:8], sick.id[:8], "val_loss by step", "/s")
        first = last_step(text)
        until(lambda: last_step(screen.text) > first + 20, what="a longer curve")
        screen.wait_for("‼", "divergence", "val_loss explodes", "Lower the learning rate.")
        screen.press(b"l")
        screen.wait_for("val_loss by step, log")
        screen.press(b"x")
        screen.wait_for("val_loss by time, log", " time ")
        screen.press(b"m")
        screen.wait_for("accuracy by time", without=("val_loss by",))
        screen.press(b"s")
        screen.wait_for("last↓")
        screen.press(b"?")
        screen.wait_for("logarithmic scale")
        screen.press(b"\x1b[B")
        screen.wait_for("lately", without=("logarithmic scale",))
        lab.labq("stop", sick.id)
        screen.wait_for("cancelled", "1 running")
        assert leaves(screen)


def test_a_run_is_opened_and_left_again(lab: Lab) -> None:
    lab.worker()
    (run,) = enqueue(lab, "opened", rates="[0.1]")
    all_running(lab, [run])
    with watching(lab, "opened") as screen:
        screen.wait_for("val_loss by step")
        screen.press(b"\r")
        screen.wait_for(f"{run.id[:8]} of opened", "train_loss", "accuracy", "output", "epoch", "lr=0.1")
        said = until(lambda: _last_line(screen.text), what="output")
        until(lambda: _last_line(screen.text) > said, what="newer output")
        screen.press(b"\x7f")
        screen.wait_for("val_loss by step", "lately")
        assert leaves(screen, b"\x1b")


def _last_line(text: str) -> int:
    return max((int(line.split()[1]) for line in text.split("\n") if line.startswith("epoch ")), default=0)


def test_a_killed_worker_is_seen_and_so_is_who_goes_on(lab: Lab) -> None:
    worker = lab.worker()
    (run,) = enqueue(lab, "killed", rates="[0.1]")
    lab.wait_for_checkpoint(run)
    with watching(lab, "killed") as screen:
        screen.wait_for("1 running")
        kill(supervisor_of(worker))
        worker.kill()
        lab.worker()
        screen.wait_for("resumed attempt 2, from step", "1 running")
        assert leaves(screen)


def test_mongodb_may_go_and_come_back_and_keys_work_meanwhile(lab: Lab) -> None:
    lab.worker()
    (run,) = enqueue(lab, "away", rates="[0.1]")
    all_running(lab, [run])
    with watching(lab, "away") as screen:
        screen.wait_for("1 running", "val_loss by step")
        lab.kill_server("mongod")
        screen.wait_for("as of", "goes on by itself", "MongoDB does not answer")
        screen.press(b"l")
        screen.wait_for("val_loss by step, log", timeout_s=2)
        lab.up()
        text = screen.wait_for("1 running", without=("as of",))
        first = last_step(text)
        until(lambda: last_step(screen.text) > first, what="a curve that goes on")
        assert leaves(screen)


def test_a_resized_terminal_is_drawn_anew(lab: Lab) -> None:
    enqueue(lab, "resized", rates="[0.1, 0.2, 0.3]")
    with watching(lab, "resized", columns=60, lines=24) as screen:
        screen.wait_for("resized", "3 queued")
        screen.resize(130, 40)
        screen.wait_for("s sort  r reverse  ? help")
        screen.resize(50, 6)
        screen.wait_for("3 queued", without=("reverse",))
        assert leaves(screen)


def test_ctrl_c_sigterm_and_a_stop_in_between_give_the_terminal_back(lab: Lab) -> None:
    enqueue(lab, "left")
    for number in (signal.SIGINT, signal.SIGTERM):
        with watching(lab, "left") as screen:
            screen.wait_for("queued")
            os.killpg(screen.process.pid, number)
            assert screen.wait() == 0
            assert screen.is_as_before()
    with watching(lab, "left") as screen:
        screen.wait_for("queued")
        os.killpg(screen.process.pid, signal.SIGTSTP)
        until(screen.is_as_before, what="the terminal of the shell")
        os.killpg(screen.process.pid, signal.SIGCONT)
        until(lambda: not screen.is_as_before(), what="the page")
        screen.wait_for("queued")
        assert leaves(screen)


def test_no_colours_where_nobody_wants_any(lab: Lab) -> None:
    enqueue(lab, "plain")
    with watching(lab, "plain", NO_COLOR="1") as screen:
        screen.wait_for("queued")
        assert not any(f"\x1b[{code}m".encode() in screen.raw for code in (31, 32, 33, 36, 91, 92))
        assert leaves(screen)


def test_a_dumb_terminal_gets_one_picture(lab: Lab) -> None:
    enqueue(lab, "dumb")
    with watching(lab, "dumb", TERM="dumb") as screen:
        assert screen.wait() == 0
        assert b"\x1b" not in screen.raw
        assert "2 queued" in screen.text


def test_without_a_terminal_one_picture_is_printed_with_all_curves(lab: Lab) -> None:
    lab.worker("-n", "2")
    runs = enqueue(lab, "once", steps=40)
    for run in runs:
        lab.wait_until_ended(run)
    printed = lab.labq("watch", "once").stdout
    assert "2 finished" in printed
    assert "val_loss by step" in printed
    assert "\x1b" not in printed
    said = json.loads(lab.labq("watch", "once", "--json").stdout)
    assert {len(curve["values"]) for curve in said["curves"].values()} == {40}
    assert said["counts"] == {"finished": 2}
    one = json.loads(lab.labq("watch", runs[0].id[:6], "--json").stdout)
    assert one["run"]["id"] == runs[0].id
    assert sorted(one["curves"]) == ["accuracy", "train_loss", "val_loss"]


def test_what_is_meant_is_found_or_asked_for(lab: Lab) -> None:
    (run,) = enqueue(lab, "weather-rnn", rates="[0.1]")
    for given, said in (
        (["wether-rnn"], "did you mean weather-rnn"),
        (["weather-rnn", "--metric", "x", "--every", "0"], "0.2 to 3600"),
        (["weather-rnn", "--run"], "no run has an id that begins with"),
    ):
        done = lab.labq("watch", *given, ok=False)
        assert done.returncode == 2
        assert said in done.stderr
    (other,) = enqueue(lab, run.id[:6], rates="[0.5]")
    both = lab.labq("watch", run.id[:6]).stdout
    assert both.startswith(f"{run.id[:6]}  ")
    assert f"run {run.id[:8]} is called so as well: labq watch --run {run.id[:6]}" in both
    assert f"{run.id[:8]} of weather-rnn" in lab.labq("watch", "--run", run.id[:6]).stdout
    assert other.id[:8] in both
