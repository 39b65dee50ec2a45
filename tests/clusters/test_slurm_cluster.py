"""The fixture itself: what the other tests rely on."""

import getpass
import subprocess

import psutil
import pytest
from processes import ClusterMissing, need, until
from slurm_cluster import SlurmCluster


def _submit(slurm: SlurmCluster, script: str, *options: str) -> str:
    return slurm.run("sbatch", "--parsable", f"--chdir={slurm.folder}", *options, f"--wrap={script}").stdout.strip()


def _ended(slurm: SlurmCluster, number: str) -> str:
    until(lambda: slurm.is_over(number), 30, "the job's end")
    return slurm.job(number)["JobState"]


def test_a_job_runs_and_sees_the_gpus_it_asked_for(slurm: SlurmCluster) -> None:
    number = _submit(slurm, "echo gpus=$CUDA_VISIBLE_DEVICES node=$SLURMD_NODENAME", "--gres=gpu:2", "-o", "gpus.txt")
    assert _ended(slurm, number) == "COMPLETED"
    assert (slurm.folder / "gpus.txt").read_text().split()[0] == "gpus=0,1"


def test_jobs_lie_on_several_nodes(slurm: SlurmCluster) -> None:
    _submit(slurm, "sleep 60", "--array=0-2", "--exclusive")
    until(lambda: set(slurm.jobs().values()) == {"RUNNING"}, 20, lambda: str(slurm.jobs()))
    nodes = slurm.run("squeue", "-h", "-r", "-o", "%N").stdout.split()
    assert sorted(nodes) == ["n1", "n2", "n3"]


def test_a_job_of_the_low_partition_gives_way_and_runs_again(slurm: SlurmCluster) -> None:
    low = _submit(slurm, "exec sleep 60", "--array=0-2", "--exclusive", "-p", "low")
    until(lambda: set(slurm.jobs().values()) == {"RUNNING"}, 20, lambda: str(slurm.jobs()))
    high = _submit(slurm, "true", "--exclusive")
    assert _ended(slurm, high) == "COMPLETED"
    assert "PENDING" in slurm.jobs().values()
    slurm.start_again_now(next(number for number, state in slurm.jobs().items() if state == "PENDING"))
    until(lambda: list(slurm.jobs().values()) == ["RUNNING"] * 3, 20, lambda: f"{low}: {slurm.jobs()}")


def test_nothing_is_left_of_a_cluster_that_was_stopped() -> None:
    try:
        slurm = SlurmCluster(nodes=1, gpus=0)
        slurm.start()
    except ClusterMissing as error:
        pytest.skip(f"NO SLURM HERE: {error}")
    _submit(slurm, "exec sleep 321")
    until(lambda: "RUNNING" in slurm.jobs().values(), 20, "a running job")
    slurm.stop()
    assert not slurm.folder.exists()
    left = subprocess.run(["pgrep", "-u", getpass.getuser(), "-f", str(slurm.folder)], capture_output=True, text=True)
    assert left.stdout == ""
    assert not [p for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"] == ["sleep", "321"]]


def test_what_is_not_installed_is_named() -> None:
    with pytest.raises(ClusterMissing, match=r"not installed: no-such-daemon \(Debian: slurm-wlm munge\)"):
        need(["sh", "no-such-daemon"], "slurm-wlm munge")
