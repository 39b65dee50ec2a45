"""The main job as a user sees it: enqueue, work, look, mail; and the trainer under fire."""

import email
import email.policy
import json
import shlex
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from lab import LABQ, Lab, child_of, is_alive, kill, until

from store.notices import NoticeState
from store.runs import Run
from store.states import Reason, State

LANGUAGE_MODEL = """
name = "{name}"
trainer = "rnn"
[params]
model = "language-model"
n_hidden = 12
vocabulary_size = 500
epochs = 6
learning_rate = 0.01
checkpoint_every_s = 0.1
[data]
source = "pydoc"
max_sentences = 4000
[notify]
to = ["me@lab.example"]
"""


def enqueue(lab: Lab, name: str, text: str) -> Run:
    done = lab.labq("enqueue", "--json", str(lab.write(f"{name}.toml", text)))
    return lab.store.run(json.loads(done.stdout)["ids"][0])


@pytest.fixture(scope="module")
def undisturbed(shared_lab: Lab) -> dict[str, Any]:
    run = enqueue(shared_lab, "lm-undisturbed", LANGUAGE_MODEL.format(name="lm-undisturbed"))
    shared_lab.worker("--burst").wait()
    shared_lab.wait_until_ended(run)
    return shared_lab.outcome(run)


def test_the_trainer_survives_everything_bit_for_bit(lab: Lab, undisturbed: dict[str, Any]) -> None:
    run = enqueue(lab, "lm-killed", LANGUAGE_MODEL.format(name="lm-killed"))
    worker = lab.worker()
    lab.wait_for_checkpoint(run)
    kill(child_of(worker))
    lab.wait_for_checkpoint(run, attempt=2)
    worker.kill()
    worker.wait()
    lab.kill_server("mongod")
    lab.up()
    lab.worker()
    ended = lab.wait_until_ended(run)
    assert ended.state is State.FINISHED
    assert ended.attempt == 3
    assert lab.outcome(run) == undisturbed


def test_a_failing_command_is_reported_with_its_traceback_and_mailed(lab: Lab) -> None:
    script = lab.write("broken.py", "print('about to fail')\nraise ValueError('the <shape> is wrong')\n")
    text = f'name = "broken"\ncommand = ["python3", "{script}"]\n[notify]\nto = ["me@lab.example"]\n'
    run = enqueue(lab, "broken", text)
    lab.worker("--burst")
    ended = lab.wait_until_ended(run)
    assert (ended.state, ended.reason) == (State.FAILED, Reason.ERROR)
    assert ended.ending is not None
    assert ended.ending.message == "ValueError: the <shape> is wrong"
    assert "about to fail" in lab.labq("logs", run.id[:6]).stdout
    lab.labq("notify", "--once")
    (file,) = (lab.home / "mail").glob(f"{run.id}*.eml")
    mail = email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
    text_part = mail.get_body(("plain",))
    assert text_part is not None
    for said in (
        "Traceback (most recent call last)",
        "ValueError",
        f"labq requeue --scratch {run.id[:8]}",
        "Exit code",
    ):
        assert said in text_part.get_content()


@pytest.mark.parametrize(
    ("command", "reason", "says"),
    [
        ('["./no-such-programme"]', Reason.REFUSED, "there is no programme './no-such-programme'"),
        ('["python3", "-c", "import os; os.abort()"]', Reason.KILLED, "SIGABRT"),
        ('["python3", "-c", "import sys; sys.exit(7)"]', Reason.ERROR, "exit code 7"),
    ],
)
def test_every_ending_has_its_reason(lab: Lab, command: str, reason: Reason, says: str) -> None:
    run = enqueue(lab, f"end-{reason}", f'name = "end-{reason}"\ncommand = {command}\n[retry]\nmax = 0\n')
    lab.worker("--burst")
    ended = lab.wait_until_ended(run)
    assert ended.reason is reason
    assert ended.ending is not None
    assert says in ended.ending.message


def test_a_machine_without_room_gives_the_run_to_others(lab: Lab, tmp_path: Path) -> None:
    run = enqueue(lab, "room", 'name = "room"\ncommand = ["true"]\n')
    shutil.rmtree(lab.home / "runs", ignore_errors=True)
    (lab.home / "runs").write_text("no folder")
    try:
        lab.labq("worker", "--burst")
        waiting = lab.run(run)
        assert (waiting.state, waiting.reason, waiting.setbacks) == (State.QUEUED, Reason.REFUSED, 0)
        assert waiting.ending is not None
        assert "cannot go on here" in waiting.ending.message
    finally:
        (lab.home / "runs").unlink()
    lab.labq("stop", run.id)


def test_a_machine_that_cannot_hold_the_checkpoint_gives_the_run_to_others(lab: Lab) -> None:
    body = (
        "import labq, numpy as np, sys\n"
        "at = labq.resume()\n"
        "labq.checkpoint({'w': np.zeros(500_000)}, step=1)\n"
        "sys.exit(0 if at else 1)\n"
    )
    script = json.dumps([LABQ[0], str(lab.write("large.py", body))])
    run = enqueue(lab, "large", f'name = "large"\ncommand = {script}\n')
    lab.worker("--burst")
    assert lab.wait_until_ended(run).checkpoint is not None
    lab.labq("requeue", run.id)
    worker = shlex.join([*LABQ, "worker", "--burst"])
    subprocess.run(["sh", "-c", f"ulimit -f 1000; exec {worker}"], env=lab.env, cwd=lab.home, check=True, timeout=60)
    waiting = lab.run(run)
    assert (waiting.state, waiting.reason, waiting.setbacks, waiting.attempt) == (State.QUEUED, Reason.REFUSED, 0, 2)
    lab.worker()
    assert lab.wait_until_ended(run).state is State.FINISHED


def test_a_time_limit_lets_the_script_checkpoint_and_then_fails_it(lab: Lab) -> None:
    run = lab.enqueue_steps("limited", steps=5000, pause_s=0.05, more='[resources]\ntime = "1.5s"')
    lab.worker("--burst")
    ended = lab.wait_until_ended(run)
    assert (ended.state, ended.reason) == (State.FAILED, Reason.TIME_LIMIT)
    assert ended.checkpoint is not None


def test_a_script_that_diverged_has_failed(lab: Lab) -> None:
    script = lab.write("nan.py", "import labq\nlabq.log(0, loss=float('nan'))\nlabq.stop('diverged')\n")
    run = enqueue(lab, "nan", f'name = "nan"\ncommand = ["{LABQ[0]}", "{script}"]\n')
    lab.worker("--burst")
    ended = lab.wait_until_ended(run)
    assert (ended.state, ended.reason) == (State.FAILED, Reason.DIVERGED)


def test_files_folders_and_artifacts_reach_the_next_attempt_and_the_user(lab: Lab, tmp_path: Path) -> None:
    script = lab.write(
        "folder.py",
        "import labq, os, pathlib, signal\n"
        "at = labq.resume()\n"
        "if at is None:\n"
        "    model = pathlib.Path(os.environ['LABQ_DIR'], 'model'); model.mkdir(); (model / 'w').write_text('w1')\n"
        "    labq.checkpoint(model, step=3)\n"
        "    import time; time.sleep(1.5); os.kill(os.getpid(), 9)\n"
        "assert (at.path / 'w').read_text() == 'w1' and at.step == 3\n"
        "report = pathlib.Path(os.environ['LABQ_DIR'], 'report.txt'); report.write_text('fine')\n"
        "labq.artifact(report)\n",
    )
    run = enqueue(lab, "folder", f'name = "folder"\ncommand = ["{LABQ[0]}", "{script}"]\n')
    lab.worker()
    ended = lab.wait_until_ended(run)
    assert ended.state is State.FINISHED, lab.store.log_tail(run.id, ended.attempt, 2000)
    assert ended.attempt == 2
    lab.labq("artifacts", run.id, "-o", str(tmp_path))
    assert (tmp_path / "report.txt").read_text() == "fine"


def test_a_damaged_checkpoint_is_passed_over(lab: Lab) -> None:
    run = lab.enqueue_steps("damaged")
    worker = lab.worker()
    until(lambda: len(lab.store.checkpoints(run.id)) == 2, what="two checkpoints")
    worker.send_signal(signal.SIGTERM)
    worker.wait()
    newest, older = lab.store.checkpoints(run.id)
    from bson import ObjectId

    chunk = {"files_id": ObjectId(newest.id)}
    lab.store.database["checkpoint_files.chunks"].update_one(chunk, {"$set": {"data": b"x" * newest.size_bytes}})
    lab.worker()
    ended = lab.wait_until_ended(run)
    assert ended.state is State.FINISHED
    assert ended.history[1].resumed_from_step == older.step
    series = lab.store.series(run.id, "loss")
    assert series.steps == tuple(range(120))


def test_what_a_user_sees(lab: Lab, tmp_path: Path) -> None:
    run = lab.enqueue_steps("seen", steps=30, pause_s=0.1)
    lab.worker("--burst")
    followed = lab.labq("logs", "-f", run.id[:8]).stdout
    assert followed.splitlines() == [f"step {i}" for i in range(30)]
    assert run.id[:8] in lab.labq("ls", "seen").stdout
    shown = lab.labq("show", run.id[:8]).stdout
    assert "finished" in shown
    assert "loss" in shown
    assert "numpy==" in lab.labq("show", "--packages", run.id).stdout
    assert lab.labq("show", "--diff", run.id, ok=False).returncode == 2
    told = json.loads(lab.labq("show", "--json", run.id).stdout)
    assert told["run"]["state"] == "finished"
    assert told["run"]["summary"]["loss"]["count"] == 30
    assert "loss" in lab.labq("plot", run.id[:8]).stdout
    lab.labq("plot", run.id[:8], "-o", str(tmp_path / "x.png"))
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")
    listed = json.loads(lab.labq("ls", "--json", "--state", "finished", "seen").stdout)
    assert [row["id"] for row in listed] == [run.id]
    for wrong in (["show", "zzzz"], ["ls", "--state", "bogus"], ["plot", run.id, "-m", "nothing"], ["logs", "zzzz"]):
        done = lab.labq(*wrong, ok=False)
        assert done.returncode == 2
        assert done.stderr.startswith("labq: ")
        assert "Traceback" not in done.stderr


def test_the_notifier_may_die_and_servers_may_go(lab: Lab) -> None:
    notifier = lab.start("notify", LABQ_NOTIFY_POLL_S="0.1")
    time.sleep(0.5)
    notifier.kill()
    notifier.wait()
    run = lab.enqueue_steps("mailed", steps=10)
    lab.worker("--burst")
    lab.wait_until_ended(run)
    assert run.id in {owed.event.run for owed in lab.store.owed(100)}
    lab.kill_server("mongod")
    notifier = lab.start("notify", LABQ_NOTIFY_POLL_S="0.1")
    time.sleep(1.0)
    assert notifier.poll() is None
    lab.up()
    until(lambda: [one.state for one in lab.store.notices(run.id)] == [NoticeState.SENT], what="the mail")
    notifier.terminate()
    assert notifier.wait(timeout=10) == 0
    assert len(list((lab.home / "mail").glob(f"{run.id}*.eml"))) == 1


def test_nothing_is_left_on_the_machine(lab: Lab) -> None:
    run = lab.enqueue_steps("tidy", steps=20)
    worker = lab.worker("--burst")
    lab.wait_until_ended(run)
    worker.wait()
    left = [path for path in (lab.home / "runs").glob("*/*") if path.name not in (".turn", ".beginning")]  # two locks
    assert left == []
    mine = [p for p in psutil.process_iter() if is_alive(p) and str(lab.home) in " ".join(p.cmdline())]
    assert {p.name() for p in mine} <= {"mongod", "valkey-server", "redis-server"}
