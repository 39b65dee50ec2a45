"""Workers whose time ends: runs checkpoint before that, hop to others, and end with the bits of one that did not."""

import json
import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from subprocess import Popen
from typing import Any

import psutil
import pytest
from lab import Lab, child_of, is_alive, until

from queueing.people import stop_change
from store.runs import Run
from store.states import Reason, State
from store.store import RunQuery

WALK = Path(__file__).parents[1] / "chaos" / "walk.py"
SHORT = "+8s"
MARGIN = {"LABQ_UNTIL_MARGIN_S": "0.5"}

LANGUAGE_MODEL = """
name = "{name}"
trainer = "rnn"
[params]
model = "language-model"
n_hidden = 24
vocabulary_size = 800
epochs = {epochs}
learning_rate = 0.01
checkpoint_every_s = 0.5
[data]
source = "pydoc"
max_sentences = 4000
"""

DEAF = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("here", flush=True)
time.sleep(600)
"""


@pytest.fixture(autouse=True)
def nothing_left(lab: Lab) -> Iterator[None]:
    """Workers of the next test find none of the runs of this one."""
    yield
    left = lab.store.run_ids(RunQuery(states=(State.QUEUED, State.RUNNING)))
    lab.store.change(left, stop_change())


def enqueue(lab: Lab, name: str, text: str) -> list[Run]:
    done = lab.labq("enqueue", "--json", str(lab.write(f"{name}.toml", text)))
    return [lab.store.run(run_id) for run_id in json.loads(done.stdout)["ids"]]


def walk(lab: Lab, name: str, *, pause_s: float) -> Run:
    """Its checkpoints are folders."""
    command = json.dumps([sys.executable, str(WALK)])
    params = f"{{seed = 4, steps = 200, pause_s = {pause_s}}}"
    (run,) = enqueue(lab, name, f'name = "{name}"\ncommand = {command}\nparams = {params}\n')
    return run


def final(lab: Lab, run: Run, folder: Path) -> dict[str, Any]:
    """All that must be equal. A folder is packed with the times of its files, so the weights tell their own hash."""
    folder.mkdir()
    kept = {one.name: lab.store.fetch_artifact(one, folder).read_text() for one in lab.store.artifacts(run.id)}
    assert list(kept) == ["weights.sha256"]
    return {**lab.outcome(run), "weights": kept}


def script(lab: Lab, name: str, body: str, more: str = "") -> Run:
    command = json.dumps([sys.executable, str(lab.write(f"{name}.py", body))])
    (run,) = enqueue(lab, name, f'name = "{name}"\ncommand = {command}\n{more}\n')
    return run


def family(worker: Popen[bytes]) -> list[psutil.Process]:
    return [psutil.Process(worker.pid), *psutil.Process(worker.pid).children(recursive=True)]


def hop_until_ended(lab: Lab, runs: list[Run], *, least: int) -> None:
    """Short-lived workers, one after another; each leaves of itself, and in order.

    A slow machine begins a run and gets to no checkpoint in that time: then the next worker has more of it.
    """
    lives_s, reached = 8, 0
    for number in range(30):
        assert lab.worker("--until", f"+{lives_s}s", **MARGIN).wait(timeout=60) == 0
        now = [lab.run(run) for run in runs]
        reached, before = sum(run.checkpoint.step if run.checkpoint else 0 for run in now), reached
        lives_s += 0 if reached > before else 4
        if all(run.state is State.FINISHED for run in now):
            assert number + 1 >= least, lab.log_text()
            return
        assert {run.state for run in now} <= {State.QUEUED, State.FINISHED}
    raise AssertionError(lab.log_text())


def check_only_interrupted(lab: Lab, run: Run) -> None:
    ended = lab.run(run)
    *before, _last = ended.history
    assert {attempt.ending.reason for attempt in before if attempt.ending} == {Reason.DRAINED}
    assert all("the time of its worker was over" in attempt.ending.message for attempt in before if attempt.ending)
    assert ended.setbacks == 0
    steps = [attempt.resumed_from_step for attempt in ended.history[1:]]
    reached = [-1 if step is None else step for step in steps]
    assert reached == sorted(reached), "each went on from the newest checkpoint"
    assert reached[-1] > 0
    assert len({attempt.worker for attempt in ended.history}) == len(ended.history)


def test_a_run_longer_than_any_worker_hops_through_five_bit_for_bit(lab: Lab, tmp_path: Path) -> None:
    peace = walk(lab, "walk-in-peace", pause_s=0)
    lab.worker("--burst").wait(timeout=60)
    run = walk(lab, "walk-that-hops", pause_s=0.15)
    hop_until_ended(lab, [run], least=5)
    check_only_interrupted(lab, run)
    assert final(lab, run, tmp_path / "hopped") == final(lab, peace, tmp_path / "in peace")


def test_the_trainer_hops_bit_for_bit(lab: Lab) -> None:
    (peace,) = enqueue(lab, "lm-in-peace", LANGUAGE_MODEL.format(name="lm-in-peace", epochs=40))
    lab.worker("--burst")
    lab.wait_until_ended(peace, timeout_s=120)
    (run,) = enqueue(lab, "lm-that-hops", LANGUAGE_MODEL.format(name="lm-that-hops", epochs=40))
    hop_until_ended(lab, [run], least=2)
    check_only_interrupted(lab, run)
    assert lab.outcome(run) == lab.outcome(peace)


def test_a_script_that_does_not_listen_is_ended_in_time_however_long_its_grace(lab: Lab) -> None:
    run = script(lab, "deaf-in-time", DEAF, 'grace = "10m"')
    worker = lab.worker("--until", SHORT, **MARGIN)
    until(lambda: b"here" in lab.store.log_tail(run.id, 1, 100), what="its first word")
    processes = family(worker)
    assert worker.wait(timeout=60) == 0
    assert not [process for process in processes if is_alive(process)]
    after = lab.run(run)
    assert (after.state, after.reason, after.setbacks) == (State.QUEUED, Reason.DRAINED, 0)
    assert "less-than-its-grace" in lab.log_text()
    lab.labq("stop", run.id)


def test_what_takes_longer_than_its_worker_has_left_is_left_to_others_and_says_why(lab: Lab) -> None:
    """It would fit into a fresh allocation of a minute, of which two seconds are over."""
    started = lab.worker("--until", "+60s")
    (worker,) = until(lambda: [w for w in lab.store.workers(60) if w.pid == started.pid], what="a sign of life")
    assert worker.until is not None
    assert {"time", "left"} <= set(lab.labq("workers").stdout.split())
    end = worker.until
    until(lambda: (end - lab.store.now()).total_seconds() < 58, what="two seconds")
    run = script(lab, "too-long", "import labq\nlabq.log(1, loss=1.0)\n", '[resources]\ntime = "54s"')
    (answer,) = json.loads(lab.labq("why", run.id, "--json").stdout)["because"]
    assert answer["cause"] == "no-time"
    assert re.fullmatch("it needs about 54s; the only worker that fits has [0-9]+s left", answer["text"])
    assert lab.run(run).attempt == 0
    lab.worker("--burst")
    ended = lab.wait_until_ended(run)
    assert (ended.state, ended.attempt) == (State.FINISHED, 1)
    assert ended.history[0].worker != worker.name


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2])
def test_a_schedulers_warning_means_leave_with_a_checkpoint(lab: Lab, number: int) -> None:
    run = lab.enqueue_steps(f"warned-{number}", pause_s=0.1)
    worker = lab.worker()
    lab.wait_for_checkpoint(run)
    worker.send_signal(signal.SIGCONT)
    worker.send_signal(number)
    assert worker.wait(timeout=20) == 0
    after = lab.run(run)
    assert (after.state, after.reason, after.setbacks) == (State.QUEUED, Reason.DRAINED, 0)
    assert after.checkpoint is not None
    assert after.checkpoint.step == lab.store.series(run.id, "loss").steps[-1], "made on request"
    lab.labq("stop", run.id)


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM])
def test_a_warning_to_every_process_again_and_again_is_one_request(lab: Lab, number: int) -> None:
    """What a scheduler without mercy does to all processes of a job, and a child that knows no such signal."""
    run = script(lab, f"everybody-{number}", "import time\nprint('here', flush=True)\ntime.sleep(600)\n")
    worker = lab.worker("-n", "2")
    until(lambda: b"here" in lab.store.log_tail(run.id, 1, 100), what="its first word")
    for _ in range(3):
        for process in reversed(family(worker) if worker.poll() is None else []):
            if is_alive(process):
                os.kill(process.pid, signal.SIGCONT)
                os.kill(process.pid, number)
        time.sleep(0.2)
    assert worker.wait(timeout=20) == 0
    after = lab.run(run)
    assert (after.state, after.reason, after.setbacks) == (State.QUEUED, Reason.DRAINED, 0)
    lab.labq("stop", run.id)


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2])
def test_a_warning_that_comes_while_workers_begin_is_heard_once_they_listen(lab: Lab, number: int) -> None:
    before = len(lab.log_text())
    crew = lab.worker("-n", "2")
    until(lambda: len(psutil.Process(crew.pid).children()) == 2, what="two workers that begin")
    assert "worker name=" not in lab.log_text()[before:]
    os.kill(crew.pid, number)
    assert crew.wait(timeout=20) == 0
    assert "worker-died" not in lab.log_text()[before:]


def test_an_idle_worker_leaves_when_its_time_is_over(lab: Lab) -> None:
    worker = lab.worker("--until", "+5s", LABQ_LOOK_S="2")
    until(lambda: [w for w in lab.store.workers(60) if w.pid == worker.pid], what="the worker's sign of life")
    assert worker.wait(timeout=30) == 0
    assert not [w for w in lab.store.workers(60) if w.pid == worker.pid]


def test_a_mongodb_that_is_away_at_the_end_keeps_nobody_beyond_it(lab: Lab) -> None:
    run = lab.enqueue_steps("away-at-the-end", steps=4000, pause_s=0.05)
    worker = lab.worker("--until", "+15s", **MARGIN)
    child = lab.wait_for_checkpoint(run) and child_of(worker)
    lab.kill_server("mongod")
    assert worker.wait(timeout=40) == 0  # the outage grace would be ten minutes
    assert not is_alive(child)
    lab.up()
    lab.worker()
    lab.wait_for_checkpoint(run, attempt=2)
    lab.labq("stop", run.id)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tomorrow", "--until 'tomorrow'; allowed: a duration such as 2h, a time such as 18:00"),
        ("2020-01-01T00:00", "--until '2020-01-01T00:00' is over already"),
        ("+0s", "--until '0s'; allowed"),
    ],
)
def test_an_end_that_is_none_is_refused(lab: Lab, text: str, said: str) -> None:
    for count in ("1", "2"):
        done = lab.labq("worker", "-n", count, "--until", text, ok=False)
        assert done.returncode == 2
        assert said in done.stderr
