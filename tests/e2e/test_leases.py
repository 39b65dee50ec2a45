"""Leases and fencing with real processes: frozen, cut off, lost."""

import os
import signal
import time
from datetime import timedelta
from typing import Any

import psutil
import pytest
from lab import LEASE_S, Lab, child_of, is_alive, supervisor_of, until

from store.states import Reason, State


def test_a_zombie_attempt_changes_nothing_and_stops_itself(lab: Lab, undisturbed: dict[str, Any]) -> None:
    run = lab.enqueue_steps("zombie", pause_s=0.05)
    first = lab.worker()
    lab.wait_for_checkpoint(run)
    frozen = supervisor_of(first)
    child = child_of(first)
    os.kill(frozen.pid, signal.SIGSTOP)
    lab.worker()
    until(lambda: lab.run(run).attempt == 2, what="another worker's claim")
    lab.wait_for_checkpoint(run, attempt=2)
    os.kill(frozen.pid, signal.SIGCONT)
    until(lambda: not is_alive(child), 10, what="the end of the zombie's child")
    ended = lab.wait_until_ended(run)
    assert ended.state is State.FINISHED
    assert ended.attempt == 2
    assert {**lab.outcome(run), "weights": None} == {**undisturbed, "weights": None}
    assert lab.outcome(run)["weights"] == undisturbed["weights"]
    assert lab.settles(run) == 1
    assert len(lab.notices(run)) == 1
    assert "superseded" in lab.log_text()


@pytest.mark.prompt
def test_a_dead_workers_run_is_released_while_all_others_are_busy(lab: Lab) -> None:
    busy = lab.enqueue_steps("busy", steps=2000, pause_s=0.05)
    lab.worker()
    lab.wait_for_checkpoint(busy)
    lost = lab.enqueue_steps("lost", pause_s=0.05)
    doomed = lab.worker()
    lab.wait_for_checkpoint(lost)
    doomed.kill()
    died_at = time.monotonic()
    until(lambda: lab.run(lost).state is State.QUEUED, 10, what="the release")
    assert time.monotonic() - died_at < LEASE_S + 0.4 + 2, "lease, repair, and a little"
    assert lab.run(lost).reason is Reason.LOST
    assert lab.run(busy).state is State.RUNNING
    assert lab.run(busy).attempt == 1
    lab.labq("stop", busy.id, lost.id)
    lab.wait_until_ended(busy)


@pytest.mark.prompt
def test_a_dead_workers_run_is_claimable_within_30_s_at_default_settings(lab: Lab) -> None:
    names = ("lease_s", "renew_s", "repair_s", "look_s")
    defaults = {f"LABQ_{name.upper()}": str(getattr(lab.settings, name)) for name in names}
    busy = lab.enqueue_steps("busy-default", steps=4000, pause_s=0.05)
    lab.worker(**defaults)
    lab.wait_for_checkpoint(busy)
    lost = lab.enqueue_steps("lost-default", pause_s=0.05)
    doomed = lab.worker(**defaults)
    lab.wait_for_checkpoint(lost)
    doomed.kill()
    died_at = time.monotonic()
    until(lambda: lab.run(lost).state is State.QUEUED, 40, what="the release")
    assert time.monotonic() - died_at < 30
    lab.labq("stop", busy.id, lost.id)
    lab.wait_until_ended(busy)


@pytest.mark.prompt
def test_a_dead_child_is_noticed_within_a_tenth_of_a_second(lab: Lab) -> None:
    run = lab.enqueue_steps("noticed", steps=2000, pause_s=0.05, more="[retry]\nmax = 0")
    worker = lab.worker()
    lab.wait_for_checkpoint(run)
    supervisor = supervisor_of(worker)
    child = child_of(worker)
    child.kill()
    killed_at = time.monotonic()
    # A dead child stays a zombie until its supervisor has looked: gone means noticed.
    while psutil.pid_exists(child.pid):
        assert time.monotonic() - killed_at < 0.1
        time.sleep(0.002)
    ended = lab.wait_until_ended(run)
    assert (ended.state, ended.reason) == (State.FAILED, Reason.KILLED)
    assert ended.ending is not None
    assert ended.ending.signal == signal.SIGKILL
    assert supervisor.pid != child.pid


def test_a_run_goes_on_while_mongodb_is_away(lab: Lab, undisturbed: dict[str, Any]) -> None:
    run = lab.enqueue_steps("outage", pause_s=0.05)
    worker = lab.worker()
    lab.wait_for_checkpoint(run)
    child = child_of(worker)
    lab.kill_server("mongod")
    time.sleep(LEASE_S + 1.0)
    assert is_alive(child)
    lab.up()
    ended = lab.wait_until_ended(run)
    assert ended.attempt == 1
    assert lab.outcome(run) == undisturbed


def test_an_exclusive_run_is_stopped_before_its_lease_ends(lab: Lab) -> None:
    run = lab.enqueue_steps("exclusive", steps=2000, pause_s=0.05, more='exclusive = true\ngrace = "0.3s"')
    worker = lab.worker(LABQ_MONGO_TIMEOUT_S="0.4")
    lab.wait_for_checkpoint(run)
    child = child_of(worker)
    lab.kill_server("mongod")
    cut_at = time.monotonic()
    until(lambda: not is_alive(child), 5, what="the self-fence")
    assert time.monotonic() - cut_at < LEASE_S
    worker.kill()
    lab.up()
    until(lambda: lab.labq("stop", run.id).returncode == 0)


def test_an_exclusive_run_goes_on_when_renewals_are_rare(lab: Lab) -> None:
    run = lab.enqueue_steps("rare", steps=400, pause_s=0.02, more="exclusive = true")
    lab.worker("--burst", LABQ_LEASE_S="4", LABQ_RENEW_S="2", LABQ_REPAIR_S="1.5")
    ended = lab.wait_until_ended(run)
    assert (ended.state, ended.attempt) == (State.FINISHED, 1)
    assert f"fenced run={run.id}" not in lab.log_text()


def test_everything_works_without_redis(lab: Lab, undisturbed: dict[str, Any]) -> None:
    lab.kill_server("redis")
    run = lab.enqueue_steps("no-redis")
    assert not lab.run(run).history
    lab.worker()
    lab.wait_until_ended(run)
    assert lab.outcome(run) == undisturbed


def test_a_worker_waits_for_servers_that_come_later(lab: Lab) -> None:
    run = lab.enqueue_steps("patience", steps=20)
    lab.kill_server("redis")
    lab.kill_server("mongod")
    worker = lab.worker()
    time.sleep(2.0)
    assert worker.poll() is None
    lab.up()
    assert lab.wait_until_ended(run).state is State.FINISHED


def test_a_burst_without_servers_waits_calmly(lab: Lab) -> None:
    env = {"LABQ_HOME": str(lab.home / "nowhere"), "LABQ_LOOK_S": "10", "LABQ_LEASE_S": "60"}
    worker = psutil.Process(lab.worker("--burst", **env).pid)
    until(lambda: "mongodb-away" in lab.log_text(), what="the first look")
    before = worker.num_ctx_switches().voluntary
    time.sleep(3.0)
    assert worker.num_ctx_switches().voluntary - before < 40, "a look per second, not a hundred: each waits twice"


def test_attempts_keep_their_place_in_the_history(lab: Lab) -> None:
    run = lab.enqueue_steps("history")
    worker = lab.worker()
    lab.wait_for_checkpoint(run)
    child_of(worker).kill()
    lab.wait_until_ended(run)
    first, second = lab.run(run).history
    assert first.ending is not None
    assert first.ending.reason is Reason.KILLED
    assert first.ended_at is not None
    assert second.resumed_from_step is not None
    assert second.started_at - first.ended_at < timedelta(seconds=10)
    assert second.facts["host"]
