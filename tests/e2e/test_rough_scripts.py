"""Scripts and surroundings that do not behave: nothing they do may cost the run, or bring a worker down."""

import json
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from lab import Lab, is_alive, until

from store.runs import Run
from store.servers.places import places
from store.states import Reason, State


def enqueue(lab: Lab, name: str, body: str, more: str = "") -> Run:
    script = lab.write(f"{name}.py", body)
    text = f'name = "{name}"\ncommand = ["{sys.executable}", "{script}"]\n{more}\n'
    done = lab.labq("enqueue", "--json", str(lab.write(f"{name}.toml", text)))
    return lab.store.run(json.loads(done.stdout)["ids"][0])


def test_odd_events_are_skipped_and_the_rest_is_kept(lab: Lab) -> None:
    run = enqueue(
        lab,
        "odd",
        "import labq, os\n"
        "labq.log(1, loss=1.0)\n"
        "with open(os.environ['LABQ_EVENTS'], 'a') as f:\n"
        '    f.write(\'{"step": 1e30, "a": 1}\\nnot json\\n{"step": 2, "a": 1\' + \'0\' * 400 + \'}\\n\')\n'
        '    f.write(\'{"_stop": "\\\\ud800"}\\n{"_artifact": "no\\\\u0000where"}\\n\')\n'
        "labq.log(2, loss=0.5)\n"
        "labq.artifact('/no/such/file')\n",
    )
    lab.worker("--burst")
    ended = lab.wait_until_ended(run)
    assert (ended.state, ended.attempt) == (State.FINISHED, 1)
    assert lab.store.series(run.id, "loss").values == (1.0, 0.5)


def test_the_best_checkpoint_can_be_fetched_long_after_it_was_overtaken(lab: Lab) -> None:
    run = enqueue(
        lab,
        "best",
        "import labq, time\n"
        "for step in range(12):\n"
        "    labq.log(step, loss=abs(step - 4))\n"
        "    labq.checkpoint({'step': step}, step=step, best=step <= 4)\n"
        "    time.sleep(0.1)\n",
    )
    refused = lab.labq("checkpoint", run.id, ok=False)
    assert (refused.returncode, "has no checkpoint yet" in refused.stderr) == (2, True)
    lab.worker("--burst")
    lab.wait_until_ended(run)
    for option, step in (("--best", 4), ("--json", 11)):
        folder = lab.home / f"fetched{option}"
        done = lab.labq("checkpoint", run.id, "--json", "-o", str(folder), option)
        assert json.loads(done.stdout)["step"] == step
        (file,) = folder.iterdir()
        with np.load(file) as arrays:
            assert arrays["step"] == step
    again = lab.labq("checkpoint", run.id, "--best", "-o", str(lab.home / "fetched--best"), ok=False)
    assert (again.returncode, "is there already" in again.stderr) == (2, True)
    assert "step 4, " in lab.labq("show", run.id).stdout


def test_a_script_that_never_stops_talking_gets_its_checkpoints_stored(lab: Lab) -> None:
    run = enqueue(
        lab,
        "chatty",
        "import labq, time\n"
        "for step in range(100_000):\n"
        "    labq.log(step, loss=1.0)\n"
        "    if step % 200 == 0: labq.checkpoint({'step': step}, step=step)\n"
        "    time.sleep(0.001)\n",
    )
    lab.worker()
    stored = {lab.wait_for_checkpoint(run).checkpoint}
    until(lambda: stored.add(lab.run(run).checkpoint) or len(stored) > 3, 30, what="a fourth checkpoint")
    lab.labq("stop", run.id)
    lab.wait_until_ended(run)


def test_links_and_vanishing_files_among_the_checkpoints_do_no_harm(lab: Lab) -> None:
    run = enqueue(
        lab,
        "links",
        "import labq, os, pathlib, time\n"
        "folder = pathlib.Path(os.environ['LABQ_CHECKPOINTS'])\n"
        "(folder / 'latest').symlink_to('nowhere')\n"
        "for step in range(6):\n"
        "    hidden = folder / '.part'; hidden.write_text(f'state {step}'); hidden.rename(folder / f'model².{step}')\n"
        "    labq.log(step, loss=step); time.sleep(0.15)\n"
        "    if step % 2: (folder / f'model².{step}').unlink(missing_ok=True)\n",
    )
    lab.worker("--burst")
    ended = lab.wait_until_ended(run)
    assert (ended.state, ended.attempt) == (State.FINISHED, 1)
    assert lab.store.series(run.id, "loss").steps == tuple(range(6))
    assert ended.checkpoint is not None


def test_a_checkpoint_by_rename_alone_is_resumed_from(lab: Lab) -> None:
    run = enqueue(
        lab,
        "rename",
        "import os, pathlib, sys, time\n"
        "resume = os.environ.get('LABQ_RESUME')\n"
        "if resume:\n"
        "    (file,) = pathlib.Path(resume).iterdir()\n"
        "    sys.exit(0 if file.read_text() == 'state 3' and os.environ['LABQ_RESUME_STEP'] == '3' else 5)\n"
        "folder = pathlib.Path(os.environ['LABQ_CHECKPOINTS'])\n"
        "for step in range(4):\n"
        "    hidden = folder / '.part'; hidden.write_text(f'state {step}'); hidden.rename(folder / f'model-{step}.pt')\n"
        "    time.sleep(0.3)\n"
        "time.sleep(1); os.kill(os.getpid(), 9)\n",
    )
    lab.worker()
    ended = lab.wait_until_ended(run)
    assert (ended.state, ended.attempt) == (State.FINISHED, 2), ended


def test_pipes_and_odd_names_among_what_is_to_be_kept_do_no_harm(lab: Lab) -> None:
    run = enqueue(
        lab,
        "pipes",
        "import labq, os\n"
        "folder = os.environ['LABQ_CHECKPOINTS'].encode()\n"
        "os.mkfifo(folder + b'/pipe'); os.symlink('nowhere', folder + b'/link')\n"
        "open(folder + b'/.part', 'w').write('x'); os.rename(folder + b'/.part', folder + b'/mod\\xe8le.pt')\n"
        "labq.artifact('/dev/zero'); labq.artifact(folder.decode() + '/pipe')\n"
        "with open(os.environ['LABQ_EVENTS'], 'a') as f:\n"
        '    f.write(\'{"_checkpoint": "pipe", "step": 1}\\n{"_checkpoint": "link", "step": 1}\\n\')\n'
        "labq.checkpoint({'step': 2}, step=2)\n",
    )
    lab.worker("--burst")
    ended = lab.wait_until_ended(run)
    assert ended.state is State.FINISHED
    assert ended.checkpoint is not None
    assert ended.checkpoint.step == 2
    assert lab.log_text().count(f"checkpoint-not-readable run={run.id}") <= 2


def test_artifacts_of_one_name_are_all_kept_and_those_of_an_earlier_attempt_replaced(lab: Lab) -> None:
    run = enqueue(
        lab,
        "reports",
        "import labq, os, pathlib, sys\n"
        "for i in range(3):\n"
        "    place = pathlib.Path(os.environ['LABQ_DIR'], f'fold{i}'); place.mkdir()\n"
        "    (place / 'report.txt').write_text(f'attempt {labq.attempt()}'); labq.artifact(place / 'report.txt')\n"
        "sys.exit(0 if labq.attempt() == 2 else 1)\n",
        '[retry]\nbackoff = "0.1s"\non = ["error"]',
    )
    lab.worker()
    lab.wait_until_ended(run)
    kept = [(one.name, one.attempt, one.source) for one in lab.store.artifacts(run.id)]
    assert kept == [
        ("report-2.txt", 2, "fold1/report.txt"),
        ("report-3.txt", 2, "fold2/report.txt"),
        ("report.txt", 2, "fold0/report.txt"),
    ]


FIXED_NAME = """
import json, os, pathlib, sys, time
events = os.open(os.environ["LABQ_EVENTS"], os.O_WRONLY | os.O_APPEND)
folder = pathlib.Path(os.environ["LABQ_CHECKPOINTS"])
resume, start = os.environ.get("LABQ_RESUME"), 0
if resume:
    (file,) = pathlib.Path(resume).iterdir()
    print("content", file.read_text(), "label", os.environ["LABQ_RESUME_STEP"], flush=True)
    start = int(file.read_text()) + 1
for step in range(start, 6000):
    os.write(events, json.dumps({"step": step, "loss": step}).encode() + b"\\n")
    if step % 5 == 4:
        (folder / ".part").write_text(str(step)); (folder / ".part").rename(folder / "last.pt")
        os.write(events, json.dumps({"_checkpoint": "last.pt", "step": step}).encode() + b"\\n")
    time.sleep(0.002)
"""


def test_a_checkpoint_that_is_replaced_all_the_time_is_stored_with_the_line_that_announced_it(lab: Lab) -> None:
    run = enqueue(lab, "fixed", FIXED_NAME, '[retry]\nmax = 99\nbackoff = "0.1s"')
    worker = lab.worker()
    labels: dict[int, str] = {}
    for attempt in range(1, 6):
        lab.wait_for_checkpoint(run, attempt=attempt)
        enough = len(labels) + 6
        until(lambda enough=enough: store_label(lab, run, labels) >= enough, what="six checkpoints")
        for process in psutil.Process(worker.pid).children(recursive=True):
            if "fixed.py" in " ".join(process.cmdline()):
                process.kill()
    ended = lab.wait_until_ended(run)
    # Step 0: a file that no line has announced, told by its rename alone, counts with the position it has.
    assert {step: content for step, content in labels.items() if step and str(step) != content} == {}
    assert lab.store.series(run.id, "loss").steps == tuple(range(len(lab.store.series(run.id, "loss").steps)))
    assert ended.state is State.FINISHED


def store_label(lab: Lab, run: Run, labels: dict[int, str]) -> int:
    """Note the step and the content of the newest stored checkpoint."""
    newest = lab.run(run).checkpoint
    if newest is not None and newest.step not in labels:
        with tempfile.TemporaryDirectory() as folder:
            labels[newest.step] = lab.store.fetch_checkpoint(newest, Path(folder)).read_text()
    return len(labels)


def test_sigterm_after_the_end_does_not_undo_it(lab: Lab) -> None:
    run = enqueue(
        lab,
        "late",
        "import labq, os, pathlib\n"
        "big = pathlib.Path(os.environ['LABQ_DIR'], 'big'); big.write_bytes(os.urandom(150_000_000))\n"
        "labq.artifact(big)\nprint('over', flush=True)\n",
    )
    worker = lab.worker()
    until(lambda: b"over" in lab.store.log_tail(run.id, 1, 100), what="the last word")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=60) == 0
    assert lab.run(run).state is State.FINISHED


def test_stop_while_draining_is_not_forgotten(lab: Lab) -> None:
    run = enqueue(
        lab,
        "slow-to-leave",
        "import signal, time\nsignal.signal(15, signal.SIG_IGN)\nprint('here', flush=True)\ntime.sleep(600)\n",
        'grace = "3s"',
    )
    worker = lab.worker()
    until(lambda: b"here" in lab.store.log_tail(run.id, 1, 100), what="the first word")
    lab.labq("requeue", run.id)
    time.sleep(1.0)
    lab.labq("stop", run.id)
    assert lab.wait_until_ended(run).state is State.CANCELLED
    worker.terminate()
    worker.wait()


def test_a_garbage_ticket_brings_no_worker_down(lab: Lab) -> None:
    from redis import Redis

    client = Redis.from_url(places(lab.home).redis_url)
    client.hset("rq:job:garbage", mapping={"created_at": "never", "data": "{"})
    worker = lab.worker()
    until(lambda: any(w.pid == worker.pid for w in lab.store.workers(60)), what="the worker")
    client.rpush("rq:queue:labq-default", "garbage")
    run = lab.enqueue_steps("after-garbage", steps=5)
    assert lab.wait_until_ended(run).state is State.FINISHED
    assert worker.poll() is None
    assert "Traceback" not in lab.log_text()


@pytest.mark.parametrize(
    ("variable", "value", "code"),
    [
        ("LABQ_MONGO_URL", "mongodb://localhost:99999/", 2),
        ("LABQ_MONGO_URL", "postgres://x/", 2),
        ("LABQ_LEASE_S", "0.1", 2),
    ],
)
def test_a_worker_with_wrong_settings_says_so_once_and_leaves(lab: Lab, variable: str, value: str, code: int) -> None:
    before = lab.log_text()
    worker = lab.worker(**{variable: value})
    assert worker.wait(timeout=20) == code
    said = lab.log_text().removeprefix(before)
    assert "Traceback" not in said
    assert len(said.splitlines()) < 6


def test_a_database_of_a_newer_labq_is_left_alone_without_a_storm(lab: Lab) -> None:
    lab.store.database["meta"].update_one({"_id": "schema"}, {"$set": {"version": 99}})
    before = lab.log_text()
    try:
        worker = lab.worker()
        time.sleep(3.0)
        assert worker.poll() is None
        said = lab.log_text().removeprefix(before)
        assert "upgrade labq" in said
        assert "Traceback" not in said
        assert len(said.splitlines()) < 12
        assert "upgrade labq" in lab.labq("ls", ok=False).stderr
    finally:
        lab.store.database["meta"].update_one({"_id": "schema"}, {"$set": {"version": 1}})


def test_a_crew_that_is_told_to_stop_starts_nobody_any_more(lab: Lab) -> None:
    crew = lab.worker("-n", "2")
    members = until(lambda: m if len(m := psutil.Process(crew.pid).children()) == 2 else None, what="two workers")
    os.kill(members[0].pid, signal.SIGKILL)
    crew.send_signal(signal.SIGTERM)
    assert crew.wait(timeout=15) == 0
    until(lambda: not any(is_alive(member) for member in members), 5, what="an empty crew")


def test_the_signal_that_ended_a_script_is_kept(lab: Lab) -> None:
    run = enqueue(lab, "limit", "import time\ntime.sleep(60)\n", '[resources]\ntime = "0.5s"')
    lab.worker("--burst")
    ended = lab.wait_until_ended(run)
    assert ended.reason is Reason.TIME_LIMIT
    assert ended.ending is not None
    assert ended.ending.signal == signal.SIGTERM
