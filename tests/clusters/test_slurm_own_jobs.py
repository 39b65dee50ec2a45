"""`labq enqueue --on slurm`: each run is a job of its own, which asks for what the run wants."""

import json
import sys
from pathlib import Path

from lab import Lab
from processes import until
from slurm_cluster import SlurmCluster

from store.allocations import Allocation, Phase
from store.runs import Run
from store.states import State
from store.store import RunQuery

STEPS = Path(__file__).parents[1] / "e2e" / "steps.py"


def enqueue(lab: Lab, name: str, text: str, *options: str) -> list[str]:
    file = lab.write(f"{name}.toml", f'name = "{name}"\n{text}')
    done = lab.labq("enqueue", str(file), "--on", "slurm", "--json", *options)
    ids: list[str] = json.loads(done.stdout)["ids"]
    return ids


def steps(count: int, pause_s: float) -> str:
    command = json.dumps([sys.executable, str(STEPS)])
    return f"command = {command}\n[params]\nseed = 7\nsteps = {count}\npause_s = {pause_s}\n"


def runs(lab: Lab, ids: list[str]) -> list[Run]:
    return [lab.store.run(one) for one in ids]


def all_finished(lab: Lab, ids: list[str]) -> bool:
    return {run.state for run in runs(lab, ids)} == {State.FINISHED}


def places(lab: Lab) -> list[Allocation]:
    return lab.store.allocations(3600)


def why(lab: Lab, run: str) -> list[str]:
    return [one["cause"] for one in json.loads(lab.labq("why", run, "--json").stdout)["because"]]


def test_each_run_gets_the_job_that_it_wants_in_arrays(slurm_lab: Lab, slurm: SlurmCluster) -> None:
    text = 'command = ["true", "{i}"]\n[resources]\ncpus = 2\nmemory = "300MB"\ntime = "5m"\n[sweep.params]\n'
    ids = enqueue(slurm_lab, "ten", f"{text}i = {list(range(10))}\n")
    found = places(slurm_lab)
    assert sorted(one.run or "" for one in found) == sorted(ids)
    assert len({one.submission for one in found}) == 2  # MaxArraySize is 8
    job = slurm.job(found[0].job)
    assert (job["NumCPUs"], job["MinMemoryNode"]) == ("2", "287M")
    until(lambda: all_finished(slurm_lab, ids), 90, lambda: str(runs(slurm_lab, ids)))
    until(lambda: not slurm.jobs(), 30, lambda: str(slurm.jobs()))
    assert len({run.history[0].worker for run in runs(slurm_lab, ids)}) == 10
    slurm_lab.labq("workers")
    assert {one.phase for one in places(slurm_lab)} == {Phase.ENDED}


def test_other_workers_leave_such_runs_alone(slurm_lab: Lab, slurm: SlurmCluster) -> None:
    slurm.run("scontrol", "update", "partitionname=normal", "state=down")
    try:
        (run,) = enqueue(slurm_lab, "alone", 'command = ["true"]\n')
        slurm_lab.worker("--burst").wait(30)
        assert slurm_lab.store.run(run).state is State.QUEUED
        slurm_lab.labq("workers")
        assert why(slurm_lab, run) == ["job-waits"]
    finally:
        slurm.run("scontrol", "update", "partitionname=normal", "state=up")
    until(lambda: all_finished(slurm_lab, [run]), 60, lambda: str(slurm.jobs()))


def test_a_job_whose_time_ends_comes_back_by_itself(slurm_lab: Lab, slurm: SlurmCluster) -> None:
    (run,) = enqueue(slurm_lab, "hops", steps(600, 0.1), "--time", "1m")
    slurm_lab.wait_for_checkpoint(slurm_lab.store.run(run))
    (job,) = slurm.jobs()
    until(lambda: slurm.jobs().get(job) == "PENDING", 90, lambda: str(slurm.jobs()))
    interrupted = slurm_lab.store.run(run)
    assert (interrupted.state, interrupted.setbacks) == (State.QUEUED, 0)
    slurm.start_again_now(job)
    ended = slurm_lab.wait_until_ended(interrupted, 120)
    assert (ended.state, ended.attempt) == (State.FINISHED, 2)
    assert ended.history[1].resumed_from_step
    assert len(places(slurm_lab)) == 1


def test_a_cancelled_job_is_asked_for_again_by_the_same_command_and_once_only(
    slurm_lab: Lab, slurm: SlurmCluster
) -> None:
    (run,) = enqueue(slurm_lab, "cancelled", steps(400, 0.02), "--time", "10m")
    slurm_lab.wait_for_checkpoint(slurm_lab.store.run(run))
    slurm.run("scancel", next(iter(slurm.jobs())))
    until(lambda: not slurm.jobs(), 40, lambda: str(slurm.jobs()))
    until(lambda: slurm_lab.store.run(run).state is State.QUEUED, 20, "the run in the queue")
    slurm_lab.labq("workers")
    assert why(slurm_lab, run) == ["no-job"]
    for _ in range(2):
        assert enqueue(slurm_lab, "cancelled", steps(400, 0.02), "--time", "10m") == []
    assert len(slurm.jobs()) == 1
    ended = slurm_lab.wait_until_ended(slurm_lab.store.run(run))
    assert (ended.state, ended.attempt, ended.setbacks) == (State.FINISHED, 2, 0)


def test_a_killed_job_s_run_is_asked_for_again_by_the_scaler(slurm_lab: Lab, slurm: SlurmCluster) -> None:
    (run,) = enqueue(slurm_lab, "scaled", steps(400, 0.02), "--time", "10m")
    slurm_lab.wait_for_checkpoint(slurm_lab.store.run(run))
    slurm.run("scancel", "--full", "--signal=KILL", next(iter(slurm.jobs())))
    until(lambda: not slurm.jobs(), 40, lambda: str(slurm.jobs()))
    scaler = slurm_lab.start("scale", "--on", "slurm", "--max", "2", "--every", "1s", "--time", "10m")
    helper = slurm_lab.worker()  # another worker notices that the lease is over; it may not take the run
    ended = slurm_lab.wait_until_ended(slurm_lab.store.run(run), 120)
    assert (ended.state, ended.attempt) == (State.FINISHED, 2)
    assert len(places(slurm_lab)) == 2
    for process in (scaler, helper):
        process.terminate()
        assert process.wait(30) == 0


def test_a_job_for_a_run_that_needs_it_no_more_leaves_at_once(slurm_lab: Lab, slurm: SlurmCluster) -> None:
    slurm.run("scontrol", "update", "partitionname=normal", "state=down")
    try:
        (run,) = enqueue(slurm_lab, "stopped", 'command = ["sleep", "60"]\n')
        slurm_lab.labq("stop", run)
    finally:
        slurm.run("scontrol", "update", "partitionname=normal", "state=up")
    until(lambda: not slurm.jobs(), 60, lambda: str(slurm.jobs()))
    assert slurm_lab.store.run(run).attempt == 0


def test_more_time_than_the_partition_allows_is_refused_before_anything_is_queued(slurm_lab: Lab) -> None:
    file = slurm_lab.write("long.toml", 'name = "long"\ncommand = ["true"]\n[resources]\ntime = "2h"\n')
    done = slurm_lab.labq("enqueue", str(file), "--on", "slurm", "--partition", "short", ok=False)
    assert done.returncode == 2
    assert done.stderr == "labq: --time is 2h 3m; partition short allows 1m at most\n"
    assert not slurm_lab.store.run_ids(RunQuery(experiment="long"))
    nothing = slurm_lab.labq("enqueue", str(file), "--time", "1m", ok=False)
    assert nothing.stderr == "labq: --time is for jobs: say where, such as --on slurm\n"
