"""The fixture itself: what the other tests rely on."""

import getpass
import subprocess

import pytest
from processes import ClusterMissing, until
from sge_cluster import SgeCluster


def _submit(sge: SgeCluster, script: str, *options: str) -> str:
    file = sge.folder / "job.sh"
    file.write_text(f"#!/bin/bash\n{script}\n")
    command = [
        "qsub",
        "-terse",
        "-N",
        "test",
        "-wd",
        str(sge.folder),
        "-j",
        "y",
        "-o",
        str(sge.folder),
        *options,
        str(file),
    ]
    return sge.run(*command).stdout.strip()


def test_a_job_runs_and_its_ending_is_known(sge: SgeCluster) -> None:
    number = _submit(sge, "exit 3")
    until(lambda: sge.accounts(number).get("exit_status") == "3", 30, lambda: str(sge.jobs()))


def test_gpus_are_counted(sge: SgeCluster) -> None:
    first, second = (_submit(sge, "exec sleep 60", "-l", "gpu=2") for _ in range(2))
    until(lambda: sge.jobs().get(first) == "r", 20, lambda: str(sge.jobs()))
    assert sge.jobs()[second] == "qw"


def test_a_job_hears_of_its_end_before_it_comes(sge: SgeCluster) -> None:
    number = _submit(sge, "trap 'echo told; exit 7' USR2; echo ready; sleep 60 & wait", "-notify")
    output = sge.folder / f"test.o{number}"
    until(lambda: output.exists() and "ready" in output.read_text(), 20, lambda: str(sge.jobs()))
    sge.run("qdel", number)
    until(lambda: "told" in output.read_text(), 20, lambda: output.read_text())
    until(lambda: number not in sge.jobs(), 20, lambda: str(sge.jobs()))


def test_nothing_is_left_of_a_cluster_that_was_stopped() -> None:
    try:
        sge = SgeCluster(settings={"max_u_jobs": "1"})
        sge.start()
    except ClusterMissing as error:
        pytest.skip(f"NO SGE HERE: {error}")
    number = _submit(sge, "exec sleep 322")
    until(lambda: sge.jobs().get(number) == "r", 20, lambda: str(sge.jobs()))
    refused = sge.run("qsub", "-N", "second", "/bin/true", ok=False)
    sge.stop()
    assert refused.returncode != 0
    assert not sge.folder.exists()
    left = subprocess.run(["pgrep", "-u", getpass.getuser(), "-f", "sleep 322"], capture_output=True, text=True)
    assert left.stdout == ""
