"""`labq tunnel`: a machine that cannot reach the servers works through a real sshd."""

import json
import os
import re
from pathlib import Path

import pytest
from lab import Lab, kill, until
from ssh_hosts import SshHosts

from store.states import State


@pytest.fixture
def embedded(lab: Lab, hosts: SshHosts) -> Lab:
    """Servers that answer on sockets of this machine only."""
    for name in ("LABQ_MONGO_URL", "LABQ_REDIS_URL"):
        del lab.env[name]
    return lab


def _ups(lab: Lab) -> int:
    return lab.log_text().count("tunnel-up")


def _wait_for_tunnel(lab: Lab, ups: int = 1) -> None:
    try:
        until(lambda: _ups(lab) >= ups, 60)
    except AssertionError as error:
        raise AssertionError(f"no tunnel that leads somewhere: {lab.log_text()}") from error


def test_a_run_goes_on_while_its_tunnel_is_cut_and_comes_back(embedded: Lab, hosts: SshHosts) -> None:
    lab = embedded
    tunnel = lab.start("tunnel", "--hosts", "gpu1")
    _wait_for_tunnel(lab)
    lab.labq("workers", "start", "--on", "ssh", "--hosts", "gpu1")
    (worker,) = until(lambda: lab.store.workers(60), what="a worker")
    assert worker.host == "gpu1"
    run = lab.enqueue_steps("through-a-tunnel", steps=600)
    lab.wait_for_checkpoint(run)
    for login in hosts.logins("gpu1"):  # the tunnel and whatever else is open
        kill(login)
    _wait_for_tunnel(lab, 2)
    ended = lab.wait_until_ended(run, 90)
    assert ended.state is State.FINISHED
    assert "tunnel-down" in lab.log_text()
    rows = json.loads(lab.labq("workers", "doctor", "--hosts", "gpu1", "--json").stdout)["hosts"]["gpu1"]
    assert "tunnels" in next(row["text"] for row in rows if row["subject"] == "mongodb")
    tunnel.terminate()
    assert tunnel.wait(20) == 0
    assert "no tunnel" in lab.labq("tunnel", "--list").stdout


def test_a_killed_tunnel_takes_its_connection_with_it_and_the_next_one_leads_the_same_way(
    embedded: Lab, hosts: SshHosts
) -> None:
    lab = embedded
    tunnel = lab.start("tunnel", "--hosts", "gpu1")
    _wait_for_tunnel(lab)
    second = lab.labq("tunnel", "--hosts", "gpu1", ok=False)
    assert second.returncode == 2
    assert "another labq tunnel" in second.stderr
    lab.labq("workers", "start", "--on", "ssh", "--hosts", "gpu1")
    until(lambda: lab.store.workers(60), what="a worker")
    tunnel.kill()
    tunnel.wait()
    until(lambda: len(hosts.logins("gpu1")) <= 1, what="the end of its connection")
    assert (
        "answers on this machine only"
        in lab.labq("workers", "start", "--on", "ssh", "--hosts", "gpu1", "--more", ok=False).stderr
    )
    lab.start("tunnel", "--hosts", "gpu1")
    _wait_for_tunnel(lab, 2)
    run = lab.enqueue_steps("again", steps=20)
    assert lab.wait_until_ended(run).state is State.FINISHED


def test_a_machine_that_lets_nobody_listen_is_told_so(embedded: Lab, hosts: SshHosts) -> None:
    lab = embedded
    hosts.switch_off("gpu2")
    hosts.start("gpu2", "AllowStreamLocalForwarding no")
    lab.start("tunnel", "--hosts", "gpu2")
    until(lambda: "AllowStreamLocalForwarding" in lab.log_text(), what="why")
    assert _ups(lab) == 0


def test_nobody_else_may_look_into_its_folder(embedded: Lab, hosts: SshHosts) -> None:
    lab = embedded
    lab.start("tunnel", "--hosts", "gpu1")
    _wait_for_tunnel(lab)
    told = json.loads(lab.labq("tunnel", "--list", "--json").stdout)["tunnels"]["gpu1"][1]
    link = Path(re.sub(r"^unix://|\?.*$", "", told))
    assert link.is_symlink()
    assert os.stat(link.parent).st_mode & 0o077 == 0
    assert os.stat(link.resolve().parent).st_mode & 0o077 == 0
