"""Time limits, preemption, cancellation and the death of a node, in a real Slurm: interrupted, never failed."""

import os
import signal
import time
from typing import Any

import psutil
import pytest
from jobs import deaf, said, sbatch, steps
from lab import Lab
from processes import until
from slurm_cluster import SlurmCluster

from store.runs import Run
from store.states import Reason, State
from store.workers import Worker

ALLOCATIONS = 5
SECONDS = 216.0
"""More than four allocations of one minute, less than five."""


def in_peace(lab: Lab, run: Run) -> dict[str, Any]:
    """The outcome of the same training, undisturbed."""
    same = lab.enqueue_steps(f"{run.experiment}-in-peace", steps=run.params["steps"], pause_s=0)
    lab.worker("--burst").wait(timeout=120)
    lab.wait_until_ended(same)
    return lab.outcome(same)


def workers(lab: Lab, job: str) -> list[Worker]:
    return [worker for worker in lab.store.workers(60) if worker.allocation == f"slurm:{job}"]


def wait_for_checkpoint(lab: Lab, run: Run) -> Run:
    until(lambda: lab.run(run).checkpoint is not None, 60, lambda: said(lab))
    return lab.run(run)


def reasons(run: Run) -> list[Reason | None]:
    return [attempt.ending.reason for attempt in run.history if attempt.ending]


@pytest.mark.timeout(480)
def test_a_run_of_five_allocations_of_one_minute_ends_bit_for_bit(slurm_lab: Lab, slurm: SlurmCluster) -> None:
    run = steps(slurm_lab, "five-minutes", seconds=SECONDS)
    for number in range(1, ALLOCATIONS + 1):
        job = sbatch(slurm_lab, "-p", "short", "--signal=B:USR1@50", worker=("--idle-exit", "3s"))
        until(lambda job=job: workers(slurm_lab, job), 40, lambda: said(slurm_lab))
        (worker,) = workers(slurm_lab, job)
        assert worker.until is not None
        assert worker.whole_s == 60.0
        assert 0 < (worker.until - slurm_lab.store.now()).total_seconds() <= 61
        until(lambda job=job: slurm.is_over(job), 120, lambda: said(slurm_lab))
        assert slurm.job(job)["JobState"] == "COMPLETED", "it left before its limit"
        now = slurm_lab.run(run)
        assert now.attempt == number
        if number < ALLOCATIONS:
            assert (now.state, now.reason, now.setbacks) == (State.QUEUED, Reason.DRAINED, 0), said(slurm_lab)
    assert slurm_lab.run(run).state is State.FINISHED, said(slurm_lab)
    assert "warned" in said(slurm_lab), "of an end that it knew"
    assert slurm_lab.outcome(run) == in_peace(slurm_lab, run)


def test_a_preempted_run_goes_on_in_another_partition_and_its_worker_comes_back(
    slurm_lab: Lab, slurm: SlurmCluster
) -> None:
    run = steps(slurm_lab, "preempted", seconds=12)
    low = sbatch(slurm_lab, "-p", "low", "-w", "n1", "--exclusive", "--time=10")
    wait_for_checkpoint(slurm_lab, run)
    (first,) = workers(slurm_lab, low)
    normal = sbatch(slurm_lab, "-p", "normal", "-w", "n1", "--exclusive", "--time=10", worker=("--idle-exit", "3s"))
    ended = slurm_lab.wait_until_ended(run)
    assert (ended.state, ended.setbacks) == (State.FINISHED, 0)
    assert reasons(ended) == [Reason.DRAINED, None]
    assert [attempt.facts["scheduler"]["job"] for attempt in ended.history] == [low, normal]
    assert slurm_lab.outcome(run) == in_peace(slurm_lab, run)
    until(lambda: slurm.is_over(normal), 30, "the end of what took its place")
    again = steps(slurm_lab, "after-the-preemption", seconds=1)
    slurm.start_again_now(low)
    assert slurm_lab.wait_until_ended(again).state is State.FINISHED, said(slurm_lab)
    assert slurm.job(low)["Restarts"] == "1"
    (second,) = workers(slurm_lab, low)
    assert second.name != first.name


def test_scancel_of_a_script_that_does_not_listen_is_no_setback(slurm_lab: Lab, slurm: SlurmCluster) -> None:
    """SIGKILL comes five seconds after SIGTERM here; the run's own grace is ten minutes."""
    run = deaf(slurm_lab, "cancelled")
    job = sbatch(slurm_lab, "--time=10", worker=("-n", "2"))
    until(lambda: b"here" in slurm_lab.store.log_tail(run.id, 1, 100), 40, lambda: said(slurm_lab))
    slurm.run("scancel", job)
    until(lambda: slurm_lab.run(run).state is not State.RUNNING, 15, lambda: said(slurm_lab))
    after = slurm_lab.run(run)
    assert (after.state, after.reason, after.setbacks) == (State.QUEUED, Reason.DRAINED, 0), said(slurm_lab)
    until(lambda: slurm.is_over(job), 20, "its end")
    assert slurm.job(job)["JobState"] == "CANCELLED"
    until(lambda: not workers(slurm_lab, job), 10, "its workers' good-bye")
    slurm_lab.labq("stop", run.id)


def test_scontrol_requeue_interrupts_and_the_same_job_goes_on(slurm_lab: Lab, slurm: SlurmCluster) -> None:
    run = steps(slurm_lab, "requeued", seconds=8)
    job = sbatch(slurm_lab, "--time=10")
    wait_for_checkpoint(slurm_lab, run)
    slurm.run("scontrol", "requeue", job)
    until(lambda: slurm_lab.run(run).state is State.QUEUED, 20, lambda: said(slurm_lab))
    assert (slurm_lab.run(run).reason, slurm_lab.run(run).setbacks) == (Reason.DRAINED, 0)
    until(lambda: slurm.job(job)["JobState"] == "PENDING", 30, "the job in the queue again")
    slurm.start_again_now(job)
    ended = slurm_lab.wait_until_ended(run)
    assert (ended.state, ended.attempt) == (State.FINISHED, 2)
    assert slurm_lab.outcome(run) == in_peace(slurm_lab, run)


def test_sigusr1_long_before_the_end_means_leave(slurm_lab: Lab, slurm: SlurmCluster) -> None:
    """Half an hour before the end it is no warning of that: a preemption may have sent it, or a person."""
    run = steps(slurm_lab, "warned", seconds=600)
    job = sbatch(slurm_lab, "--time=30")
    wait_for_checkpoint(slurm_lab, run)
    slurm.run("scancel", "--batch", "--signal=USR1", job)
    until(lambda: slurm.is_over(job), 30, lambda: said(slurm_lab))
    assert slurm.job(job)["JobState"] == "COMPLETED"
    after = slurm_lab.run(run)
    assert (after.state, after.reason, after.setbacks) == (State.QUEUED, Reason.DRAINED, 0)
    assert after.checkpoint is not None
    assert after.checkpoint.step == slurm_lab.store.series(run.id, "loss").steps[-1], "made on request"
    slurm_lab.labq("stop", run.id)


def test_a_limit_that_is_changed_while_a_run_trains_is_heard(slurm_lab: Lab, slurm: SlurmCluster) -> None:
    run = steps(slurm_lab, "cut-short", seconds=600)
    job = sbatch(slurm_lab, "--time=2")
    wait_for_checkpoint(slurm_lab, run)
    slurm.run("scontrol", "update", f"jobid={job}", "timelimit=1")
    until(lambda: slurm.is_over(job), 80, lambda: said(slurm_lab))
    assert slurm.job(job)["JobState"] == "COMPLETED", "it left before the new limit"
    assert (slurm_lab.run(run).state, slurm_lab.run(run).reason) == (State.QUEUED, Reason.DRAINED)
    slurm_lab.labq("stop", run.id)


def test_a_node_that_dies_costs_what_came_after_the_last_checkpoint(slurm_lab: Lab, slurm: SlurmCluster) -> None:
    run = steps(slurm_lab, "node-dies", seconds=15)
    job = sbatch(slurm_lab, "-w", "n2", "--time=10", "--no-requeue")
    before = wait_for_checkpoint(slurm_lab, run)
    slurm.kill("n2")
    for process in _of_job(job):
        os.kill(process.pid, signal.SIGKILL)
    sbatch(slurm_lab, "-w", "n3", "--time=10", worker=("--idle-exit", "3s"))
    ended = slurm_lab.wait_until_ended(run)
    assert (ended.state, reasons(ended)) == (State.FINISHED, [Reason.LOST, None])
    assert before.checkpoint is not None
    assert (ended.history[1].resumed_from_step or 0) >= before.checkpoint.step
    assert slurm_lab.outcome(run) == in_peace(slurm_lab, run)
    slurm.start_node("n2")
    time.sleep(0.1)


def _of_job(job: str) -> list[psutil.Process]:
    """All that the job started, and what looks after it."""
    found = []
    for process in psutil.process_iter():
        try:
            mine = process.environ().get("SLURM_JOB_ID") == job or f"[{job}." in " ".join(process.cmdline())
        except psutil.Error:
            continue
        if mine:
            found.append(process)
    assert found
    return found
