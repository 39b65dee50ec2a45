"""What people ask while everything runs: pause, resume, stop, priority, drain, why, and how soon it is heard."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
import redis

from queueing.doorbell import run_channel
from store.runs import Run
from store.servers.places import places
from store.states import Reason, State
from tests.e2e.lab import Lab, child_of, is_alive, until

SLOW_RENEWALS = {"LABQ_RENEW_S": "4", "LABQ_LEASE_S": "30", "LABQ_REPAIR_S": "4", "LABQ_LOOK_S": "15"}
"""So slow that what is heard within two seconds has come through Redis."""


@pytest.fixture(autouse=True)
def no_strangers(lab: Lab) -> None:
    """Workers of the test before have been killed: they would count as living for a moment."""
    lab.store.database["workers"].delete_many({})


def why(lab: Lab, run: Run) -> list[str]:
    answer = json.loads(lab.labq("why", run.id, "--json").stdout)
    return [one["cause"] for one in answer["because"]]


def listeners(lab: Lab, run: Run) -> int:
    """How many have subscribed to news of the run."""
    with redis.Redis.from_url(places(lab.home).redis_url) as client:
        ((_, count),) = client.pubsub_numsub(run_channel(run.id))
    return int(count)


def heard_after_s(ask: Callable[[], Any], heard: Callable[[], bool]) -> float:
    ask()
    began = time.monotonic()
    until(heard, what="what was asked to happen")
    return time.monotonic() - began


def test_a_paused_run_checkpoints_waits_and_goes_on_with_the_same_bits(lab: Lab, undisturbed: dict[str, Any]) -> None:
    run = lab.enqueue_steps("pause-me", pause_s=0.1)
    worker = lab.worker()
    lab.wait_for_checkpoint(run)
    child = child_of(worker)
    lab.labq("pause", run.id[:8])
    until(lambda: lab.run(run).state is State.PAUSED, what="the pause")
    assert not is_alive(child)
    assert lab.run(run).checkpoint is not None
    assert why(lab, run) == ["paused"]
    lab.labq("resume", run.id)
    lab.wait_until_ended(run)
    assert lab.outcome(run) == undisturbed
    assert lab.run(run).history[1].resumed_from_step is not None


def test_what_is_asked_is_heard_within_two_seconds_through_redis(lab: Lab) -> None:
    first = lab.enqueue_steps("heard-1", steps=5000, pause_s=0.1)
    worker = lab.worker(**SLOW_RENEWALS)
    lab.wait_for_checkpoint(first)
    child = child_of(worker)
    until(lambda: listeners(lab, first) == 1, what="the supervisor to listen")
    assert heard_after_s(lambda: lab.labq("stop", first.id), lambda: not is_alive(child)) < 2.0
    assert lab.wait_until_ended(first).reason is Reason.STOPPED
    assert heard_after_s(lambda: lab.labq("drain", name_of(lab, worker)), lambda: worker.poll() is not None) < 2.0
    assert worker.returncode == 0


def test_without_redis_it_is_heard_at_the_next_renewal(lab: Lab) -> None:
    run = lab.enqueue_steps("deaf", steps=5000, pause_s=0.1)
    worker = lab.worker()
    lab.wait_for_checkpoint(run)
    lab.kill_server("redis")
    child = child_of(worker)
    assert heard_after_s(lambda: lab.labq("pause", run.id), lambda: not is_alive(child)) < 3.0
    until(lambda: lab.run(run).state is State.PAUSED, what="the pause")
    lab.labq("stop", run.id)


def name_of(lab: Lab, worker: subprocess.Popen[bytes]) -> str:
    return until(lambda: [one.name for one in lab.store.workers(60) if one.pid == worker.pid], what="a worker")[0]


def test_a_drained_worker_ends_its_run_first_and_takes_no_other(lab: Lab) -> None:
    first, second = lab.enqueue_steps("drain-1", pause_s=0.1), lab.enqueue_steps("drain-2")
    worker = lab.worker()
    lab.wait_for_checkpoint(first)
    lab.labq("drain", name_of(lab, worker), "--after-current")
    assert "leaving" in lab.labq("workers").stdout
    assert worker.wait(timeout=30) == 0
    assert lab.run(first).state is State.FINISHED
    assert (lab.run(second).state, lab.run(second).attempt) == (State.QUEUED, 0)
    assert lab.store.drains() == []


def test_a_drained_host_stays_empty_until_that_is_undone(lab: Lab) -> None:
    run = lab.enqueue_steps("drain-host", steps=300, pause_s=0.1)
    crew = lab.worker("-n", "2")
    lab.wait_for_checkpoint(run)
    host = lab.store.workers(60)[0].host
    lab.labq("drain", host, "--now")
    assert crew.wait(timeout=30) == 0
    left = lab.run(run)
    assert (left.state, left.reason, left.setbacks) == (State.QUEUED, Reason.DRAINED, 0)
    assert lab.worker().wait(timeout=20) == 0
    assert lab.run(run).attempt == left.attempt
    lab.labq("drain", "--undo", host)
    lab.worker()
    assert lab.wait_until_ended(run, 120).state is State.FINISHED


def test_an_order_to_leave_at_a_time_is_kept(lab: Lab) -> None:
    run = lab.enqueue_steps("drain-at", steps=5000, pause_s=0.1)
    worker = lab.worker()
    lab.wait_for_checkpoint(run)
    lab.labq("drain", name_of(lab, worker), "--now", "--at", "2s")
    assert worker.poll() is None
    assert worker.wait(timeout=20) == 0
    assert lab.run(run).state is State.QUEUED
    lab.labq("stop", run.id)


def test_a_greater_priority_comes_first(lab: Lab) -> None:
    first, second = lab.enqueue_steps("usual", steps=10), lab.enqueue_steps("urgent", steps=10)
    lab.labq("priority", "10", second.id)
    lab.worker("--burst")
    ended = [lab.wait_until_ended(run) for run in (first, second)]
    assert ended[1].history[0].started_at < ended[0].history[0].started_at


def test_why_follows_a_run_through_its_life(lab: Lab) -> None:
    run = lab.enqueue_steps("asked-why", steps=5000, pause_s=0.1, more='[resources]\ntags = ["a100"]')
    assert why(lab, run) == ["no-worker"]
    lab.worker()
    until(lambda: why(lab, run) == ["no-tag"], what="a worker without the tag")
    lab.worker("--tag", "a100")
    until(lambda: why(lab, run) == ["running"], what="the start")
    other = lab.enqueue_steps("behind", steps=10, more='[resources]\ntags = ["a100"]')
    until(lambda: why(lab, other) == ["busy"], what="the worker to be known as busy")
    lab.labq("stop", run.id, other.id)
    lab.wait_until_ended(run)
    assert why(lab, run) == ["cancelled"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("priority", "high", "x"), "no whole number"),
        (("drain", "nowhere"), "'nowhere' is no living worker and no host of one; there are: none"),
        (("drain", "nowhere", "--undo"), "nobody has drained 'nowhere'"),
        (("why", "zzz"), "no run has an id that begins with 'zzz'"),
        (("pause", "zzz"), "no run has an id that begins with 'zzz'"),
        (("stop",), "name runs, or say which with --where QUERY"),
        (("stop", "zzz", "--where", "state=queued"), "and not both"),
        (("stop", "--where", "stat=queued"), "did you mean"),
    ],
)
def test_mistakes_are_named(lab: Lab, arguments: tuple[str, ...], words: str) -> None:
    done = lab.labq(*arguments, ok=False)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_what_cannot_be_changed_is_said_and_the_rest_is_done(lab: Lab) -> None:
    ended, waiting = lab.enqueue_steps("over", steps=10), lab.enqueue_steps("waits")
    lab.worker("--burst")
    lab.wait_until_ended(waiting)
    done = lab.labq("pause", ended.id, waiting.id, ok=False)
    assert done.returncode == 2
    assert f"run {ended.id} is finished" in done.stderr
    third = lab.enqueue_steps("third")
    done = lab.labq("pause", ended.id, "no-such-id", third.id, ok=False)
    assert "begins with 'no-such-id'" in done.stderr
    assert done.returncode == 2
    assert lab.run(third).state is State.PAUSED


def test_a_query_changes_those_whose_state_it_suits(lab: Lab) -> None:
    over = lab.enqueue_steps("where", steps=10)
    lab.worker("--burst").wait(timeout=60)
    lab.wait_until_ended(over)
    waiting = [lab.enqueue_steps(f"where-{number}", steps=5000, pause_s=0.05) for number in range(3)]
    assert "3 runs are meant" in lab.labq("pause", "--where", "experiment=where*", "--dry-run").stdout
    assert lab.run(waiting[0]).state is State.QUEUED
    lab.labq("pause", "--where", "experiment=where-*")
    assert [lab.run(run).state for run in waiting] == [State.PAUSED] * 3
    lab.labq("resume", waiting[0].id)
    lab.worker()
    lab.wait_for_checkpoint(waiting[0])
    lab.labq("stop", "--where", "experiment=where* and loss > 0 and step >= 0")
    assert lab.wait_until_ended(waiting[0]).state is State.CANCELLED
    assert lab.run(waiting[1]).state is State.PAUSED
    lab.labq("stop", "--where", "experiment=where*")
    assert [lab.run(run).state for run in (over, *waiting)] == [State.FINISHED, *[State.CANCELLED] * 3]
    assert "no run fits" in lab.labq("stop", "--where", "experiment=where*").stdout


SLOW_TO_LEAVE = """
import signal, time
def leave(*_):
    time.sleep(6)
    raise SystemExit(0)
signal.signal(signal.SIGTERM, leave)
print("ready", flush=True)
time.sleep(600)
"""


def test_a_stop_that_is_taken_back_while_the_script_leaves_cancels_nothing(lab: Lab) -> None:
    script = lab.write("slow.py", SLOW_TO_LEAVE)
    file = lab.write("slow.toml", f'name = "slow"\ncommand = ["{sys.executable}", "{script}"]\ngrace = "60s"\n')
    run_id = json.loads(lab.labq("enqueue", "--json", str(file)).stdout)["ids"][0]
    lab.worker()
    until(lambda: b"ready" in lab.store.log_tail(run_id, 1, 100), what="the script")
    lab.labq("stop", run_id)
    until(lambda: "stopping" in lab.log_text(), what="the stop to be heard")
    lab.labq("resume", run_id)
    until(lambda: lab.store.run(run_id).attempt == 2, what="the run to come back")
    lab.labq("stop", run_id)
