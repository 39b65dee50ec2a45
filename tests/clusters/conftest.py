"""Real clusters: one of each kind per test process, started by the first test that wants it."""

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "e2e"))

from lab import Lab
from processes import ClusterMissing, until
from pymongo.errors import PyMongoError
from sge_cluster import SgeCluster
from slurm_cluster import SlurmCluster
from ssh_hosts import NAMES, SshHosts

from store.errors import ServerFailed


@pytest.fixture(scope="session")
def shared_slurm() -> Iterator[SlurmCluster]:
    try:
        made = SlurmCluster()
        made.start()
    except ClusterMissing as error:
        pytest.skip(f"NO SLURM HERE: {error}")
    yield made
    made.stop()


@pytest.fixture
def slurm(shared_slurm: SlurmCluster) -> Iterator[SlurmCluster]:
    """Three nodes of four processors and two GPUs; the jobs of a test end with it."""
    yield shared_slurm
    shared_slurm.clear()


@pytest.fixture(scope="session")
def shared_sge() -> Iterator[SgeCluster]:
    try:
        made = SgeCluster()
        made.start()
    except ClusterMissing as error:
        pytest.skip(f"NO SGE HERE: {error}")
    yield made
    made.stop()


@pytest.fixture
def sge(shared_sge: SgeCluster) -> Iterator[SgeCluster]:
    """One node of four slots and two GPUs; the jobs of a test end with it."""
    yield shared_sge
    shared_sge.clear()


@pytest.fixture(scope="module")
def shared_lab() -> Iterator[Lab]:
    try:
        made = Lab()
    except ServerFailed as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))
    yield made
    made.close()


@pytest.fixture
def lab(shared_lab: Lab) -> Iterator[Lab]:
    """The module's lab, its servers running."""
    shared_lab.up()
    yield shared_lab
    for process in shared_lab.processes:
        if process.poll() is None:
            process.kill()
        process.wait()
    shared_lab.processes.clear()


@pytest.fixture
def slurm_lab(lab: Lab, slurm: SlurmCluster) -> Iterator[Lab]:
    """A lab whose `labq` speaks to Slurm. Its jobs end before its servers do."""
    yield from _with(lab, slurm.env, "SLURM_CONF")
    slurm.clear()


@pytest.fixture
def sge_lab(lab: Lab, sge: SgeCluster) -> Iterator[Lab]:
    """A lab whose `labq` speaks to SGE."""
    yield from _with(lab, sge.env, "SGE_")
    sge.clear()


@pytest.fixture(scope="module")
def shared_hosts(shared_lab: Lab) -> Iterator[SshHosts]:
    try:
        made = SshHosts(shared_lab)
    except ClusterMissing as error:
        pytest.skip(f"NO SSHD HERE: {error}")
    yield made
    made.stop()


@pytest.fixture
def hosts(lab: Lab, shared_hosts: SshHosts) -> Iterator[SshHosts]:
    """Two machines that reach the servers of the lab, whose `labq` reaches them. Whatever a test left there ends."""
    servers = {name: value for name, value in shared_hosts.net.env.items() if name != "LABQ_HOME"}
    env = {**shared_hosts.env, **servers}
    try:
        for name in NAMES:
            shared_hosts.start(name)
        for _ in _with(lab, env, "LABQ_"):
            yield shared_hosts
    finally:
        shared_hosts.net.heal()
        for name in NAMES:
            shared_hosts.switch_off(name)
        shared_hosts.close_connections()


def _emptied(lab: Lab, collection: str) -> bool:
    """On a busy machine MongoDB may not answer in time."""
    with suppress(PyMongoError):
        return lab.store.database[collection].delete_many({}).acknowledged
    return False


def _with(lab: Lab, env: dict[str, str], prefix: str) -> Iterator[Lab]:
    for left_over in ("workers", "allocations", "locks", "runs"):
        until(lambda name=left_over: _emptied(lab, name), 60, f"nothing in {left_over}")
    (lab.home / "processes.log").unlink(missing_ok=True)
    before = dict(lab.env)
    lab.env |= {name: value for name, value in env.items() if name.startswith(prefix)}
    yield lab
    lab.env = before
