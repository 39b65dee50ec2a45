"""Workers as jobs of a real SGE: asked for, listed, at work, stopped."""

import json
import os
import signal
import sys
from pathlib import Path

import pytest
from lab import Lab
from processes import ClusterMissing, until
from sge_cluster import SgeCluster

from store.allocations import Phase
from store.states import State

STEPS = Path(__file__).parents[1] / "e2e" / "steps.py"


def start(lab: Lab, *options: str) -> list[str]:
    done = lab.labq("workers", "start", "--json", "--on", "sge", "--time", "10m", *options)
    ids: list[str] = json.loads(done.stdout)["allocations"]
    return ids


def test_workers_do_the_work_and_leave_when_told(sge_lab: Lab, sge: SgeCluster) -> None:
    ids = start(sge_lab, "-n", "6", "--memory", "2GB")
    text = f'name = "six"\ncommand = ["true", "{{i}}"]\n[sweep.params]\ni = {list(range(6))}\n'
    runs = json.loads(sge_lab.labq("enqueue", "--json", str(sge_lab.write("six.toml", text))).stdout)["ids"]
    until(lambda: {sge_lab.store.run(one).state for one in runs} == {State.FINISHED}, 60, "the runs")
    told = json.loads(sge_lab.labq("workers", "--json").stdout)["allocations"]
    phases = {one["allocation"]["id"]: one["allocation"]["phase"] for one in told}
    assert sorted(phases) == sorted(ids)
    assert list(phases.values()).count("running") == 4  # the machine has four slots
    waiting = [one["allocation"]["says"] for one in told if one["allocation"]["phase"] == "pending"]
    assert len(waiting) == 2
    assert "full" in waiting[0]
    stopped = json.loads(sge_lab.labq("workers", "stop", "--on", "sge", "--json").stdout)
    assert (len(stopped["cancelled"]) >= 2, len(stopped["cancelled"]) + len(stopped["leaving"])) == (True, 6)
    until(lambda: not sge.jobs(), 40, lambda: str(sge.jobs()))
    sge_lab.labq("workers")
    assert {one.phase for one in sge_lab.store.allocations(3600)} == {Phase.ENDED}
    assert (sge_lab.home / "allocations" / f"{ids[0]}.log").exists()


def test_what_is_deleted_is_interrupted_and_fails_nothing(sge_lab: Lab, sge: SgeCluster) -> None:
    start(sge_lab)
    run = sge_lab.enqueue_steps("qdel", steps=400, pause_s=0.02)
    sge_lab.wait_for_checkpoint(run)
    sge.run("qdel", next(iter(sge.jobs())))
    until(lambda: not sge.jobs(), 40, lambda: str(sge.jobs()))
    start(sge_lab)
    ended = sge_lab.wait_until_ended(run)
    assert ended.state is State.FINISHED
    assert ended.history[-1].resumed_from_step


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--partition", "nope"], "SGE has no queue 'nope'; there are: all.q"),
        (["--gpus", "9"], "SGE refused: error: no suitable queues"),
        (["--account", "nope"], 'SGE refused: the requested project "nope" does not exist'),
    ],
)
def test_what_sge_will_not_do_is_said_in_one_line(sge_lab: Lab, options: list[str], says: str) -> None:
    done = sge_lab.labq("workers", "start", "--on", "sge", *options, ok=False)
    assert (done.returncode, done.stderr) == (2, f"labq: {says}\n")


def test_a_full_sge_is_asked_for_fewer_at_once_and_its_words_are_passed_on(sge_lab: Lab) -> None:
    try:
        strict = SgeCluster(settings={"max_aj_tasks": "4", "max_u_jobs": "2"})
        strict.start()
    except ClusterMissing as error:
        pytest.skip(f"NO SGE HERE: {error}")
    try:
        sge_lab.env |= {name: value for name, value in strict.env.items() if name.startswith("SGE_")}
        done = sge_lab.labq("workers", "start", "--json", "--on", "sge", "-n", "20", ok=False)
        assert done.returncode == 1
        told = json.loads(done.stdout)
        assert len(told["allocations"]) == 8
        words = "SGE refused: only 2 jobs are allowed per user (current job count: 2)"
        assert told["refusal"] == words
        assert done.stderr == f"labq: 8 of 20 asked for: {words}\n"
        sge_lab.labq("workers", "stop", "--all")
        until(lambda: not strict.jobs(), 40, lambda: str(strict.jobs()))
    finally:
        strict.stop()


def test_each_run_may_have_a_job_of_its_own(sge_lab: Lab, sge: SgeCluster) -> None:
    text = f'name = "own"\ncommand = ["true", "{{i}}"]\n[resources]\ncpus = 2\n[sweep.params]\ni = {list(range(3))}\n'
    file = str(sge_lab.write("own.toml", text))
    ids = json.loads(sge_lab.labq("enqueue", file, "--on", "sge", "--json", "--time", "10m").stdout)["ids"]
    assert sorted(one.run or "" for one in sge_lab.store.allocations(60)) == sorted(ids)
    until(lambda: {sge_lab.store.run(one).state for one in ids} == {State.FINISHED}, 90, lambda: str(sge.jobs()))
    until(lambda: not sge.jobs(), 30, lambda: str(sge.jobs()))
    assert len({sge_lab.store.run(one).history[0].worker for one in ids}) == 3


def test_a_job_of_its_own_that_hears_of_its_end_comes_back(sge_lab: Lab, sge: SgeCluster) -> None:
    command = json.dumps([sys.executable, str(STEPS)])
    text = f'name = "hops"\ncommand = {command}\n[params]\nseed = 7\nsteps = 500\npause_s = 0.02\n'
    file = str(sge_lab.write("hops.toml", text))
    (run,) = json.loads(sge_lab.labq("enqueue", file, "--on", "sge", "--json", "--time", "10m").stdout)["ids"]
    sge_lab.wait_for_checkpoint(sge_lab.store.run(run))
    (worker,) = [one for one in sge_lab.store.workers(60) if one.only == run]
    os.kill(worker.pid, signal.SIGUSR2)  # what -notify sends
    ended = sge_lab.wait_until_ended(sge_lab.store.run(run), 120)
    assert (ended.state, ended.attempt, ended.setbacks) == (State.FINISHED, 2, 0)
    assert ended.history[1].resumed_from_step
    assert len(sge_lab.store.allocations(3600)) == 1
