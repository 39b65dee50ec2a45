"""Servers that refuse, and servers that accept and never answer: for a worker, a notifier, a person at a terminal.

LABQ_TEST_OUTAGE_S=300 pytest tests/e2e/test_outages.py -k many_leases     # at the settings that users have
"""

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE, STDOUT, Popen
from typing import Any

import psutil
import pytest
from lab import LABQ, Lab, child_of, is_alive, until
from lab import LEASE_S as SHORT_LEASE_S

from store.runs import Run
from store.servers import lifecycle
from store.settings import Settings
from store.states import Reason, State

AWAY_S = float(os.environ.get("LABQ_TEST_OUTAGE_S", "8"))
TRUE_SIZE = AWAY_S >= 60
TIMES = ("lease_s", "renew_s", "repair_s", "look_s", "ship_s", "mongo_timeout_s", "redis_timeout_s")
DEFAULTS = {f"LABQ_{name.upper()}": str(getattr(Settings(), name)) for name in TIMES} if TRUE_SIZE else {}
LEASE_S = Settings().lease_s if TRUE_SIZE else SHORT_LEASE_S
MONGO_TIMEOUT_S, REDIS_TIMEOUT_S = 2.0, 1.0
START_S = 5.0
"""A Python process with everything imported, on a machine that has other things to do."""

pytestmark = pytest.mark.timeout(300 + 3 * AWAY_S)
both_ways = pytest.mark.parametrize("how", ["refuses", "is-silent"])


@contextmanager
def away(lab: Lab, server: str, how: str) -> Iterator[None]:
    """It is killed, or it accepts connections and does not answer; afterwards it is as before."""
    process = lifecycle.running(lab.settings)[server]
    if how == "refuses":
        lab.kill_server(server)
    else:
        process.suspend()
    try:
        yield
    finally:
        process.resume() if how == "is-silent" else lab.up()


def away_for(lab: Lab, server: str, how: str, seconds: float) -> None:
    with away(lab, server, how):
        time.sleep(seconds)


def events_on_disk(lab: Lab, run: Run) -> int:
    (file,) = lab.home.glob(f"runs/*/{run.id}-*/events.jsonl")
    return file.read_bytes().count(b"\n")


# ── MongoDB, and a worker ──
@both_ways
def test_a_run_goes_on_while_mongodb_is_away_for_many_leases(lab: Lab, undisturbed: dict[str, Any], how: str) -> None:
    run = lab.enqueue_steps(f"leases-{how}", pause_s=1.6 * AWAY_S / 120)
    worker = lab.worker(**DEFAULTS)
    lab.wait_for_checkpoint(run)
    lab.worker(**DEFAULTS)  # somebody who would take it
    child = child_of(worker)
    with away(lab, "mongod", how):
        before = events_on_disk(lab, run)
        time.sleep(AWAY_S)
        assert is_alive(child)
        assert events_on_disk(lab, run) > before + 40, "it trains on, and what it reports waits on disk"
    ended = lab.wait_until_ended(run, 60 + AWAY_S)
    assert (ended.state, ended.attempt) == (State.FINISHED, 1)
    assert lab.outcome(run) == undisturbed
    assert lab.settles(run) == 1
    assert len(lab.notices(run)) == 1


@both_ways
def test_an_exclusive_run_stops_before_its_lease_ends_and_goes_on_after_many_leases(
    lab: Lab, undisturbed: dict[str, Any], how: str
) -> None:
    pause_s = min(0.25, 1.6 * AWAY_S / 120)  # it stands still meanwhile
    run = lab.enqueue_steps(f"exclusive-{how}", pause_s=pause_s, more='exclusive = true\ngrace = "0.3s"')
    worker = lab.worker(**(DEFAULTS or {"LABQ_MONGO_TIMEOUT_S": "0.4"}))
    lab.wait_for_checkpoint(run)
    child = child_of(worker)
    with away(lab, "mongod", how):
        cut_at = time.monotonic()
        until(lambda: not is_alive(child), 2 * LEASE_S, what="its end")
        assert time.monotonic() - cut_at < LEASE_S
        time.sleep(max(0.0, cut_at + AWAY_S - time.monotonic()))
    ended = lab.wait_until_ended(run, 60 + AWAY_S)
    assert (ended.state, ended.attempt, ended.setbacks) == (State.FINISHED, 2, 0)
    assert ended.history[0].ending is not None
    assert ended.history[0].ending.reason is Reason.DRAINED
    assert lab.outcome(run) == undisturbed
    assert lab.settles(run) == 1


def test_a_run_that_ends_while_mongodb_is_silent_is_settled_once_it_answers(
    lab: Lab, undisturbed: dict[str, Any]
) -> None:
    run = lab.enqueue_steps("ends-in-silence")
    worker = lab.worker()
    lab.wait_for_checkpoint(run)
    child = child_of(worker)
    with away(lab, "mongod", "is-silent"):
        until(lambda: not is_alive(child), what="the end of the child")
        time.sleep(2.5 * LEASE_S)
    ended = lab.wait_until_ended(run)
    assert (ended.state, ended.attempt) == (State.FINISHED, 1)
    assert lab.outcome(run) == undisturbed
    assert lab.settles(run) == 1


def test_a_worker_told_twice_to_leave_does_not_wait_for_a_silent_mongodb(lab: Lab, undisturbed: dict[str, Any]) -> None:
    run = lab.enqueue_steps("leave-in-silence", pause_s=0.05)
    worker = lab.worker()
    lab.wait_for_checkpoint(run)
    with away(lab, "mongod", "is-silent"):
        worker.send_signal(signal.SIGINT)
        time.sleep(1.0)
        assert worker.poll() is None, "once: it waits to hand over what the run has made"
        worker.send_signal(signal.SIGINT)
        assert worker.wait(timeout=4 * MONGO_TIMEOUT_S + START_S) == 0
    lab.worker()
    ended = lab.wait_until_ended(run)
    assert (ended.state, ended.attempt) == (State.FINISHED, 2)
    assert lab.outcome(run) == undisturbed


@both_ways
def test_an_idle_worker_leaves_in_time_while_mongodb_is_away(lab: Lab, how: str) -> None:
    worker = lab.worker()
    until(lambda: any(one.pid == worker.pid for one in lab.store.workers(60)), what="its sign of life")
    with away(lab, "mongod", how):
        time.sleep(2.0)
        worker.terminate()
        assert worker.wait(timeout=2 * MONGO_TIMEOUT_S + START_S) == 0


# ── MongoDB, and people ──
@pytest.mark.parametrize("how", ["is-silent"])
@pytest.mark.prompt
def test_every_verb_says_within_one_time_out_that_mongodb_is_away(lab: Lab, how: str) -> None:
    run = lab.enqueue_steps("verbs")
    file = lab.write("more.toml", 'name = "more"\ncommand = ["true"]\n')
    verbs = {
        "ls": [], "enqueue": [str(file)], "stop": [run.id], "requeue": [run.id], "show": [run.id], "logs": [run.id],
        "notify": ["--once"], "plot": [run.id], "report": ["verbs", "-o", "x.html"], "workers": [], "why": [run.id],
    }  # fmt: skip
    took: dict[str, float] = {}
    with away(lab, "mongod", how):
        for verb, arguments in verbs.items():
            began = time.monotonic()
            done = lab.labq(verb, *arguments, ok=False)
            took[verb] = time.monotonic() - began
            assert done.returncode == 3, (verb, done.stdout, done.stderr)
            assert "labq: MongoDB does not answer" in done.stderr
            assert "Traceback" not in done.stderr
        began = time.monotonic()
        assert lab.labq("doctor", ok=False).returncode == 1
        took["doctor"] = time.monotonic() - began
    print(json.dumps(took))
    assert max(took.values()) < MONGO_TIMEOUT_S + START_S, took
    lab.labq("stop", run.id)


@pytest.mark.prompt
def test_a_verb_that_is_talking_to_mongodb_when_it_falls_silent_says_so_in_time(lab: Lab) -> None:
    run = lab.enqueue_steps("follow", steps=3000, pause_s=0.1)
    lab.worker()
    lab.wait_for_checkpoint(run)
    follower = Popen([*LABQ, "logs", "-f", run.id], env=lab.env, cwd=lab.home, stdout=PIPE, stderr=STDOUT, text=True)
    assert follower.stdout is not None
    assert follower.stdout.readline() == "step 0\n"
    with away(lab, "mongod", "is-silent"):
        began = time.monotonic()
        said = follower.communicate(timeout=2 * MONGO_TIMEOUT_S + START_S)[0]
        assert time.monotonic() - began < MONGO_TIMEOUT_S + START_S
    assert follower.returncode == 3
    assert said.splitlines()[-1].startswith("labq: MongoDB does not answer")
    lab.labq("stop", run.id)
    lab.wait_until_ended(run)


@both_ways
def test_the_notifier_waits_for_mongodb_and_sends_each_mail_once(lab: Lab, how: str) -> None:
    lab.worker()
    mails = lab.home / "mail"
    notifier = lab.start("notify", LABQ_NOTIFY_POLL_S="0.2")
    first = lab.enqueue_steps(f"mail-1-{how}", steps=3)
    until(lambda: list(mails.glob(f"*{first.id}*")), what="a mail")
    with away(lab, "mongod", how):
        time.sleep(2 * MONGO_TIMEOUT_S)
        assert notifier.poll() is None
    second = lab.enqueue_steps(f"mail-2-{how}", steps=3)
    until(lambda: list(mails.glob(f"*{second.id}*")), what="another mail")
    with away(lab, "mongod", how):
        time.sleep(0.5)
        notifier.terminate()
        assert notifier.wait(timeout=2 * MONGO_TIMEOUT_S + START_S) == 0
    for run in (first, second):
        assert len(list(mails.glob(f"*{run.id}*"))) == 1


# ── Redis ──
@both_ways
@pytest.mark.prompt
def test_redis_away_for_the_whole_life_of_runs_costs_time_alone(
    lab: Lab, undisturbed: dict[str, Any], how: str
) -> None:
    with away(lab, "redis", how):
        began = time.monotonic()
        long = lab.enqueue_steps(f"no-redis-{how}", more="exclusive = true")
        assert time.monotonic() - began < REDIS_TIMEOUT_S + START_S
        command = json.dumps([sys.executable, "-c", "print('done')"])
        text = f'name = "short-{how}"\ncommand = {command}\n[sweep.params]\nx = {list(range(8))}\n'
        done = lab.labq("enqueue", "--json", str(lab.write("short.toml", text)))
        assert "Redis does not answer" in done.stderr
        short = [lab.store.run(run_id) for run_id in json.loads(done.stdout)["ids"]]
        worker = lab.worker()
        for run in [long, *short]:
            ended = lab.wait_until_ended(run)
            assert (ended.state, ended.attempt) == (State.FINISHED, 1)
        ended_at = [lab.run(run).ended_at for run in short]
        span_s = (max(filter(None, ended_at)) - min(filter(None, ended_at))).total_seconds()
        assert span_s < len(short) * REDIS_TIMEOUT_S, "no run waits for Redis"
        worker.terminate()
        assert worker.wait(timeout=3 * REDIS_TIMEOUT_S + START_S) == 0
    assert lab.outcome(long) == undisturbed
    assert f"fenced run={long.id}" not in lab.log_text()


def test_a_worker_hears_the_doorbell_again_once_redis_answers(lab: Lab) -> None:
    worker = lab.worker()
    until(lambda: any(one.pid == worker.pid for one in lab.store.workers(60)), what="its sign of life")
    said = len(lab.log_text())
    with away(lab, "redis", "is-silent"):
        until(lambda: "redis-away" in lab.log_text()[said:], what="its complaint")
    until(lambda: "redis-is-back" in lab.log_text()[said:], what="its relief")
    assert psutil.Process(worker.pid).num_threads() == 1


@pytest.mark.prompt
def test_stop_and_requeue_work_while_redis_is_silent(lab: Lab) -> None:
    run = lab.enqueue_steps("no-bell", pause_s=0.1)
    lab.worker()
    lab.wait_for_checkpoint(run)
    with away(lab, "redis", "is-silent"):
        began = time.monotonic()
        lab.labq("stop", run.id)
        assert lab.wait_until_ended(run).state is State.CANCELLED
        assert time.monotonic() - began < 2 * REDIS_TIMEOUT_S + START_S
        lab.labq("requeue", run.id)
        until(lambda: lab.run(run).attempt == 2, what="the next attempt")
    lab.labq("stop", run.id)
    lab.wait_until_ended(run)


def test_both_servers_silent_at_once(lab: Lab, undisturbed: dict[str, Any], tmp_path: Path) -> None:
    run = lab.enqueue_steps("both", pause_s=0.06)
    lab.worker()
    lab.wait_for_checkpoint(run)
    with away(lab, "redis", "is-silent"), away(lab, "mongod", "is-silent"):
        time.sleep(2 * LEASE_S)
    ended = lab.wait_until_ended(run)
    assert (ended.state, ended.attempt) == (State.FINISHED, 1)
    assert lab.outcome(run) == undisturbed
