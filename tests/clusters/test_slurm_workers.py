"""Workers as jobs of a real Slurm: asked for, listed, at work, interrupted, stopped."""

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lab import LABQ, Lab
from processes import ClusterMissing, until
from slurm_cluster import SlurmCluster

from store.allocations import Allocation, Phase
from store.states import State

LIMITS = """
function slurm_job_submit(job, partitions, user)
  local last = tonumber(string.match(job.array_inx or "0", "(%d+)$"))
  if last ~= nil and last > 1 then return slurm.ESLURM_ACCOUNTING_POLICY or 2050 end
  return slurm.SUCCESS
end
function slurm_job_modify(job, record, partitions, user) return slurm.SUCCESS end
return slurm.SUCCESS
"""
"""No more than two tasks at once, refused in Slurm's own words."""

FAR = "NodeName=far NodeHostname=elsewhere NodeAddr=127.0.0.2 CPUs=1 State=UNKNOWN\nPartitionName=far Nodes=far\nPartitionName=here Nodes=n1"


@pytest.fixture(scope="module")
def strict_slurm() -> Iterator[SlurmCluster]:
    """One node here, one on another machine; few jobs at once."""
    try:
        made = SlurmCluster(nodes=1, more=f"JobSubmitPlugins=lua\n{FAR}")
        (made.folder / "job_submit.lua").write_text(LIMITS)
        made.start()
    except ClusterMissing as error:
        pytest.skip(f"NO SLURM HERE: {error}")
    yield made
    made.stop()


def start(lab: Lab, *options: str) -> list[str]:
    done = lab.labq("workers", "start", "--json", "--on", "slurm", "--memory", "300MB", "--time", "10m", *options)
    ids: list[str] = json.loads(done.stdout)["allocations"]
    return ids


def listed(lab: Lab) -> dict[str, dict[str, Any]]:
    """What `labq workers` tells of each place."""
    told = json.loads(lab.labq("workers", "--json").stdout)["allocations"]
    return {one["allocation"]["id"]: {**one["allocation"], "worker": one["worker"]} for one in told}


def with_workers(lab: Lab, ids: list[str]) -> dict[str, dict[str, Any]]:
    until(lambda: all(listed(lab)[one]["worker"] for one in ids), 60, lambda: f"{listed(lab)}")
    return listed(lab)


def remembered(lab: Lab) -> list[Allocation]:
    return lab.store.allocations(3600)


def tiny(lab: Lab, name: str, count: int) -> list[str]:
    values = list(range(count))
    file = lab.write(f"{name}.toml", f'name = "{name}"\ncommand = ["true", "{{i}}"]\n[sweep.params]\ni = {values}\n')
    ids: list[str] = json.loads(lab.labq("enqueue", "--json", str(file)).stdout)["ids"]
    return ids


def states(lab: Lab, ids: list[str]) -> set[State]:
    return {lab.store.run(one).state for one in ids}


def test_workers_in_more_arrays_than_one_do_the_work_and_leave_when_told(slurm_lab: Lab, slurm: SlurmCluster) -> None:
    ids = start(slurm_lab, "-n", "10")
    assert len(ids) == 10
    assert len({one.split("-")[0] for one in ids}) == 2  # MaxArraySize is 8
    assert len(slurm.jobs()) == 10
    runs = tiny(slurm_lab, "ten", 10)
    until(lambda: states(slurm_lab, runs) == {State.FINISHED}, 60, "the runs")
    found = with_workers(slurm_lab, ids)
    assert {one["phase"] for one in found.values()} == {"running"}
    assert {one["node"] for one in found.values()} == {"n1", "n2", "n3"}
    (worker, *_) = slurm_lab.store.workers(60)
    assert (worker.cpus, worker.memory_bytes) == (1, 300_000_000)
    slurm_lab.labq("workers", "stop", "--on", "slurm")
    until(lambda: not slurm.jobs(), 30, lambda: str(slurm.jobs()))
    slurm_lab.labq("workers")
    assert {one.phase for one in remembered(slurm_lab)} == {Phase.ENDED}


def test_what_waits_is_shown_with_its_reason_and_cancelled(slurm_lab: Lab, slurm: SlurmCluster) -> None:
    working = start(slurm_lab, "-n", "3", "--cpus", "4")
    waiting = start(slurm_lab, "-n", "2", "--cpus", "4")
    with_workers(slurm_lab, working)
    assert {listed(slurm_lab)[one]["says"] for one in waiting} <= {"Resources", "Priority"}
    table = slurm_lab.labq("workers").stdout
    assert f"{waiting[0]}…1" in table
    submission = waiting[0].split("-")[0]
    told = json.loads(slurm_lab.labq("workers", "stop", "--json", submission).stdout)
    assert (sorted(told["cancelled"]), told["leaving"]) == (waiting, [])
    assert set(slurm.jobs()) == {one.job for one in remembered(slurm_lab) if one.id in working}
    job = next(one.job for one in remembered(slurm_lab) if one.id == working[1])
    assert json.loads(slurm_lab.labq("workers", "stop", "--json", job).stdout)["leaving"] == [working[1]]


def test_stop_now_sends_what_runs_back_to_the_queue(slurm_lab: Lab, slurm: SlurmCluster) -> None:
    (place,) = start(slurm_lab)
    run = slurm_lab.enqueue_steps("stop-now", steps=2000, pause_s=0.05)
    slurm_lab.wait_for_checkpoint(run)
    slurm_lab.labq("workers", "stop", "--now", place)
    until(lambda: not slurm.jobs(), 40, lambda: str(slurm.jobs()))
    now = slurm_lab.run(run)
    assert (now.state, now.setbacks) == (State.QUEUED, 0)
    assert now.checkpoint is not None


def test_a_cancelled_job_interrupts_its_run_and_fails_nothing(slurm_lab: Lab, slurm: SlurmCluster) -> None:
    start(slurm_lab)
    run = slurm_lab.enqueue_steps("scancelled", steps=400, pause_s=0.02)
    slurm_lab.wait_for_checkpoint(run)
    slurm.run("scancel", next(iter(slurm.jobs())))
    until(lambda: not slurm.jobs(), 40, lambda: str(slurm.jobs()))
    until(lambda: slurm_lab.run(run).state is State.QUEUED, 20, lambda: str(slurm_lab.run(run)))
    slurm_lab.labq("workers")
    (one,) = remembered(slurm_lab)
    assert (one.phase, one.says) == (Phase.ENDED, "CANCELLED")
    start(slurm_lab)
    ended = slurm_lab.wait_until_ended(run)
    assert (ended.state, ended.setbacks, ended.attempt) == (State.FINISHED, 0, 2)
    assert ended.history[1].resumed_from_step


def test_a_requeued_worker_goes_on_where_it_was(slurm_lab: Lab, slurm: SlurmCluster) -> None:
    (place,) = start(slurm_lab)
    run = slurm_lab.enqueue_steps("requeued", steps=400, pause_s=0.02)
    slurm_lab.wait_for_checkpoint(run)
    (job,) = slurm.jobs()
    slurm.run("scontrol", "requeue", job)
    until(lambda: slurm.jobs().get(job) == "PENDING", 40, lambda: str(slurm.jobs()))
    slurm.start_again_now(job)
    ended = slurm_lab.wait_until_ended(run)
    assert (ended.state, ended.setbacks, ended.attempt) == (State.FINISHED, 0, 2)
    found = with_workers(slurm_lab, [place])
    assert found[place]["job"] == job


@pytest.mark.parametrize("moment", ["after", "before"])
def test_whoever_is_killed_while_submitting_leaves_no_job_that_nobody_knows(
    slurm_lab: Lab, slurm: SlurmCluster, moment: str, tmp_path: Path
) -> None:
    killing = tmp_path / "sbatch"
    real = shutil.which("sbatch")
    lines = {"after": f'{real} "$@"\nkill -9 $PPID\n', "before": "kill -9 $PPID\n"}
    killing.write_text(f"#!/bin/sh\n{lines[moment]}")
    killing.chmod(0o755)
    path = slurm_lab.env.get("PATH", "")
    slurm_lab.env["PATH"] = f"{tmp_path}:{path}"
    done = slurm_lab.labq("workers", "start", "--on", "slurm", "-n", "2", "--time", "10m", ok=False)
    slurm_lab.env["PATH"] = path
    assert done.returncode == -9
    assert [one.phase for one in remembered(slurm_lab)] == [Phase.SUBMITTING] * 2
    if moment == "before":
        slurm_lab.labq("workers")  # the same moment might be one of a submission that goes on
        assert [one.phase for one in remembered(slurm_lab)] == [Phase.SUBMITTING] * 2
        return
    found = with_workers(slurm_lab, [one.id for one in remembered(slurm_lab)])
    assert {one["job"] for one in found.values()} == set(slurm.jobs())
    slurm_lab.labq("workers", "stop", "--all")
    until(lambda: not slurm.jobs(), 30, lambda: str(slurm.jobs()))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--partition", "nope"], "Slurm has no partition 'nope'; there are: low, normal, short"),
        (["--partition", "short"], "--time is 10m; partition short allows 1m at most"),
        (["--gpus", "h100:1"], "Slurm refused: Requested node configuration is not available"),
        (["--constraint", "haswell"], "Slurm refused: Invalid feature specification"),
        (["--option=--no-such-option"], "Slurm refused: "),
    ],
)
def test_what_slurm_will_not_do_is_said_in_one_line(slurm_lab: Lab, options: list[str], says: str) -> None:
    done = slurm_lab.labq("workers", "start", "--on", "slurm", "--time", "10m", *options, ok=False)
    assert done.returncode == 2
    assert done.stderr.startswith(f"labq: {says}")
    assert len(done.stderr.splitlines()) == 1


def test_a_full_cluster_is_asked_for_fewer_at_once(slurm_lab: Lab, strict_slurm: SlurmCluster) -> None:
    slurm_lab.env |= {"SLURM_CONF": strict_slurm.env["SLURM_CONF"]}
    ids = start(slurm_lab, "-n", "5", "--partition", "here")
    assert len(ids) == 5
    assert sorted(strict_slurm.jobs()) == sorted(one.job for one in remembered(slurm_lab) if one.id in ids)
    assert len({one.split("-")[0] for one in ids}) == 3
    assert set(listed(slurm_lab)) == set(ids)
    strict_slurm.clear()


def test_embedded_servers_are_not_for_jobs_on_other_machines(slurm_lab: Lab, strict_slurm: SlurmCluster) -> None:
    slurm_lab.env |= {"SLURM_CONF": strict_slurm.env["SLURM_CONF"]}
    done = slurm_lab.labq("workers", "start", "--on", "slurm", "--partition", "far", ok=False)
    assert done.returncode == 2
    says = "MongoDB (the embedded server of labq up) answers on this machine only, but the jobs would run on elsewhere"
    assert says in done.stderr
    assert strict_slurm.jobs() == {}


def test_a_controller_that_does_not_answer_is_named_and_what_was_known_is_still_shown(
    slurm_lab: Lab, slurm: SlurmCluster
) -> None:
    ids = start(slurm_lab)
    slurm.kill("slurmctld")
    try:
        began = time.monotonic()
        done = slurm_lab.labq("workers", "start", "--on", "slurm", ok=False)
        assert done.returncode == 3
        assert done.stderr.startswith("labq: Slurm does not answer: ")
        assert len(done.stderr.splitlines()) == 1
        assert time.monotonic() - began < 30
        shown = slurm_lab.labq("workers", "--json")
        assert "slurm: as it was seen last; Slurm does not answer" in shown.stderr
        assert json.loads(shown.stdout)["allocations"][0]["allocation"]["id"] == ids[0]
    finally:
        slurm.start_controller()
        until(lambda: slurm.run("sinfo", ok=False).returncode == 0, 30, "slurmctld")


def test_a_machine_without_slurm_says_so_in_one_line(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "python").symlink_to(LABQ[0])
    lab_path, lab.env["PATH"] = lab.env["PATH"], str(tmp_path)
    done = lab.labq("workers", "start", "--on", "slurm", ok=False)
    lab.env["PATH"] = lab_path
    assert done.returncode == 2
    assert (
        done.stderr
        == "labq: scontrol was not found: no Slurm on this machine, or not in PATH; go where jobs are submitted\n"
    )


def test_a_dry_run_prints_the_script_and_asks_nobody(lab: Lab) -> None:
    lab.store.database["allocations"].delete_many({})
    done = lab.labq("workers", "start", "--on", "slurm", "--gpus", "1", "--dry-run")
    assert "#SBATCH --gres=gpu:1" in done.stdout
    assert remembered(lab) == []
