"""Time limits and deletion in a real SGE: with -notify a run is interrupted, never failed."""

import json

from jobs import deaf, qsub, said, steps
from lab import Lab
from processes import until
from sge_cluster import NOTIFY_S, SgeCluster

from store.states import Reason, State
from store.workers import Worker

LIMIT_S = 40


def workers(lab: Lab, job: str) -> list[Worker]:
    return [worker for worker in lab.store.workers(60) if worker.allocation == f"sge:{job}"]


def is_over(sge: SgeCluster, job: str) -> bool:
    return "exit_status" in sge.accounts(job)


def test_a_run_hops_over_time_limits_and_ends_bit_for_bit(sge_lab: Lab, sge: SgeCluster) -> None:
    """Of the forty seconds that h_rt gives, the worker leaves before the last ones."""
    run = steps(sge_lab, "over-limits", seconds=50)
    for number in (1, 2):
        job = qsub(sge_lab, "-notify", "-l", f"h_rt={LIMIT_S}", worker=("--idle-exit", "3s"))
        until(lambda job=job: workers(sge_lab, job), 40, lambda: said(sge_lab))
        (worker,) = workers(sge_lab, job)
        assert worker.until is not None
        assert worker.whole_s == LIMIT_S
        assert 0 < (worker.until - sge_lab.store.now()).total_seconds() <= LIMIT_S + 1
        until(lambda job=job: is_over(sge, job), 90, lambda: said(sge_lab))
        assert (sge.accounts(job)["failed"], sge.accounts(job)["exit_status"]) == ("0", "0"), said(sge_lab)
        if number == 1:
            now = sge_lab.run(run)
            assert (now.state, now.reason, now.setbacks) == (State.QUEUED, Reason.DRAINED, 0), said(sge_lab)
    ended = sge_lab.run(run)
    assert (ended.state, ended.attempt) == (State.FINISHED, 2), said(sge_lab)
    same = sge_lab.enqueue_steps("over-limits-in-peace", steps=run.params["steps"], pause_s=0)
    sge_lab.worker("--burst").wait(timeout=120)
    assert sge_lab.outcome(run) == sge_lab.outcome(same)


def test_qdel_lets_a_run_checkpoint_and_go_back(sge_lab: Lab, sge: SgeCluster) -> None:
    """SIGUSR2 to the job's processes, SIGKILL five seconds later."""
    run = steps(sge_lab, "deleted", seconds=600)
    job = qsub(sge_lab, "-notify", "-t", "2-2")
    number = job.split(".")[0]
    until(lambda: sge_lab.run(run).checkpoint is not None, 60, lambda: said(sge_lab))
    assert [worker.until for worker in workers(sge_lab, f"{number}.2")] == [None]
    sge.run("qdel", number)
    until(lambda: sge_lab.run(run).state is not State.RUNNING, 20, lambda: said(sge_lab))
    after = sge_lab.run(run)
    assert (after.state, after.reason, after.setbacks) == (State.QUEUED, Reason.DRAINED, 0), said(sge_lab)
    assert after.checkpoint is not None
    assert after.checkpoint.step == sge_lab.store.series(run.id, "loss").steps[-1], "made on request"
    sge_lab.labq("stop", run.id)


def test_a_script_that_does_not_listen_is_ended_before_sge_ends_all(sge_lab: Lab, sge: SgeCluster) -> None:
    run = deaf(sge_lab, "deaf-in-sge")
    job = qsub(sge_lab, "-notify", worker=("-n", "2"))
    until(lambda: b"here" in sge_lab.store.log_tail(run.id, 1, 100), 60, lambda: said(sge_lab))
    sge.run("qdel", job)
    until(lambda: sge_lab.run(run).state is not State.RUNNING, NOTIFY_S + 10, lambda: said(sge_lab))
    after = sge_lab.run(run)
    assert (after.state, after.reason, after.setbacks) == (State.QUEUED, Reason.DRAINED, 0), said(sge_lab)
    until(lambda: is_over(sge, job), 60, "its end")
    shown = json.loads(sge_lab.labq("show", run.id, "--json").stdout)
    assert shown["run"]["history"][0]["ending"]["reason"] == "drained"
    sge_lab.labq("stop", run.id)
