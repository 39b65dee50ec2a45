"""Workers on machines that ssh reaches, over real sshds."""

import json
import shutil
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from lab import Lab, is_alive, kill, until
from ssh_hosts import SshHosts

from store.allocations import Allocation, Phase
from store.states import State

STEPS = Path(__file__).resolve().parents[1] / "e2e" / "steps.py"


def _start(lab: Lab, *more: str, hosts: str = "gpu[1-2]", ok: bool = True) -> dict[str, Any]:
    done = lab.labq("workers", "start", "--on", "ssh", "--hosts", hosts, "--json", *more, ok=ok)
    told: dict[str, Any] = json.loads(done.stdout)
    return {**told, "code": done.returncode, "stderr": done.stderr}


def _open(lab: Lab) -> list[Allocation]:
    return [one for one in lab.store.allocations(0) if not one.is_over]


def _wait_for_workers(lab: Lab, count: int) -> None:
    until(lambda: len(lab.store.workers(60)) >= count, what=f"{count} workers")


def test_workers_of_two_machines_carry_out_a_sweep(lab: Lab, hosts: SshHosts) -> None:
    told = _start(lab, "-n", "2")
    assert {name: len(one["new"]) for name, one in told["started"].items()} == {"gpu1": 2, "gpu2": 2}
    assert {(one.cluster, one.node, one.phase) for one in _open(lab)} == {
        ("gpu1", "gpu1", Phase.RUNNING),
        ("gpu2", "gpu2", Phase.RUNNING),
    }
    _wait_for_workers(lab, 4)
    assert {worker.place for worker in lab.store.workers(60)} == {one.id for one in _open(lab)}
    command = json.dumps([sys.executable, str(STEPS)])
    text = f"""
name = "over-ssh"
command = {command}
[params]
steps = 40
pause_s = 0.05
[sweep.params]
seed = [1, 2, 3, 4, 5, 6, 7, 8]
"""
    ids = json.loads(lab.labq("enqueue", "--json", str(lab.write("sweep.toml", text))).stdout)["ids"]
    for one in ids:
        assert lab.wait_until_ended(lab.store.run(one)).state is State.FINISHED
    assert {lab.store.run(one).history[-1].facts["host"] for one in ids} == {"gpu1", "gpu2"}


def test_they_outlive_every_connection(lab: Lab, hosts: SshHosts) -> None:
    _start(lab)
    _wait_for_workers(lab, 2)
    run = lab.enqueue_steps("outlives", steps=100)
    lab.wait_for_checkpoint(run)
    before = hosts.workers("gpu1") + hosts.workers("gpu2")
    assert hosts.logins("gpu1"), "a connection stays open for the next call"
    for name in ("gpu1", "gpu2"):
        for login in hosts.logins(name):
            with suppress(psutil.NoSuchProcess):
                login.send_signal(signal.SIGHUP)
                login.kill()
    hosts.close_connections()
    ended = lab.wait_until_ended(run)
    assert (ended.state, ended.attempt) == (State.FINISHED, 1)
    assert all(is_alive(process) for process in before)
    assert len(before) == 2
    lab.labq("workers")
    assert len(_open(lab)) == 2


def test_a_killed_worker_is_seen_to_be_gone_and_started_anew(lab: Lab, hosts: SshHosts) -> None:
    _start(lab)
    _wait_for_workers(lab, 2)
    run = lab.enqueue_steps("killed", steps=150)
    lab.wait_for_checkpoint(run)
    (worker,) = [one for one in lab.store.workers(60) if one.run == run.id]
    for process in hosts.workers(worker.host):
        kill(process)
    ended = lab.wait_until_ended(run)
    assert (ended.state, ended.attempt) == (State.FINISHED, 2)
    lab.labq("workers")
    assert [one.cluster for one in _open(lab)] == [name for name in ("gpu1", "gpu2") if name != worker.host]
    told = _start(lab)
    assert {name: len(one["new"]) for name, one in told["started"].items() if one["new"]} == {worker.host: 1}


def test_started_twice_they_are_not_doubled_unless_asked_for(lab: Lab, hosts: SshHosts) -> None:
    both = [lab.start("workers", "start", "--on", "ssh", "--hosts", "gpu1", "-n", "2") for _ in range(2)]
    assert 0 in {process.wait(60) for process in both}
    _start(lab, "-n", "2", hosts="gpu1")
    assert len(_open(lab)) == len(hosts.workers("gpu1")) == 2
    told = _start(lab, "--more", hosts="gpu1")["started"]["gpu1"]
    assert (len(told["new"]), len(told["before"])) == (1, 2)
    until(lambda: len(hosts.workers("gpu1")) == 3, what="three workers")


def test_who_starts_and_is_killed_leaves_what_the_next_one_finds(lab: Lab, hosts: SshHosts) -> None:
    began = lab.start("workers", "start", "--on", "ssh", "--hosts", "gpu1", "-n", "2")
    until(lambda: _open(lab), what="records")
    began.kill()
    began.wait()
    # What was asked for may still be on its way, or was never sent. Its records keep others from asking for more.
    _start(lab, "-n", "2", hosts="gpu1")
    lab.labq("workers")
    assert len(_open(lab)) == 2
    until(lambda: len(hosts.workers("gpu1")) in (0, 2), what="both or none")


def test_a_machine_that_is_off_keeps_nobody_else_waiting(lab: Lab, hosts: SshHosts) -> None:
    hosts.switch_off("gpu2")
    told = _start(lab, ok=False)
    assert (told["code"], list(told["started"]), list(told["failed"])) == (1, ["gpu1"], ["gpu2"])
    assert "Connection refused" in told["failed"]["gpu2"]
    told = _start(lab, hosts="gpu2", ok=False)
    assert (told["code"], told["started"]) == (3, {})
    hosts.net.cut()
    began = time.monotonic()
    told = _start(lab, ok=False)
    assert any(words in told["failed"]["gpu1"] for words in ("timed out", "not responding", "does not answer"))
    assert time.monotonic() - began < 40
    shown = lab.labq("workers")
    assert "gpu1: as it was seen last" in shown.stderr
    assert len(_open(lab)) == 1


def test_a_machine_whose_plug_was_pulled_gives_its_run_to_the_other(lab: Lab, hosts: SshHosts) -> None:
    _start(lab)
    _wait_for_workers(lab, 2)
    run = lab.enqueue_steps("unplugged", steps=150)
    lab.wait_for_checkpoint(run)
    (worker,) = [one for one in lab.store.workers(60) if one.run == run.id]
    hosts.switch_off(worker.host)
    ended = lab.wait_until_ended(run)
    assert (ended.state, ended.attempt) == (State.FINISHED, 2)
    assert ended.history[-1].facts["host"] != worker.host
    hosts.start(worker.host)  # it was booted again: its workers are gone
    lab.labq("workers")
    assert worker.host not in {one.cluster for one in _open(lab)}


def test_stopping_a_host_lets_runs_end_or_checkpoint(lab: Lab, hosts: SshHosts) -> None:
    _start(lab)
    _wait_for_workers(lab, 2)
    run = lab.enqueue_steps("goes-back", steps=3000)
    lab.wait_for_checkpoint(run)
    (busy,) = [one for one in lab.store.workers(60) if one.run == run.id]
    told = json.loads(lab.labq("workers", "stop", busy.host, "--now", "--json").stdout)
    assert (len(told["leaving"]), told["cancelled"]) == (1, [])
    until(lambda: not hosts.workers(busy.host), what="its end")
    goes_on = lab.wait_for_checkpoint(run, attempt=2)
    assert goes_on.history[1].resumed_from_step


def test_a_worker_that_nobody_hears_of_is_stopped_over_ssh(lab: Lab, hosts: SshHosts) -> None:
    _start(lab, hosts="gpu1")
    _wait_for_workers(lab, 1)
    (process,) = hosts.workers("gpu1")
    process.suspend()
    try:
        until(lambda: not lab.store.workers(lab.living_s), what="silence")
        told = json.loads(lab.labq("workers", "stop", "--on", "ssh", "--json").stdout)
        assert len(told["cancelled"]) == 1
    finally:
        process.resume()
    until(lambda: not hosts.workers("gpu1"), what="its end")


def test_what_a_machine_says_is_shown_with_what_to_do(lab: Lab, hosts: SshHosts) -> None:
    hosts.trust("other_key")
    assert "ssh-keygen -R gpu1" in _start(lab, ok=False)["failed"]["gpu1"]
    hosts.trust("host_key")
    hosts.write_config(
        f"Host *\n    IdentityFile {hosts.folder}/other_key\n    IdentitiesOnly yes\n    IdentityAgent none"
    )
    before = (hosts.folder / "user_key").rename(hosts.folder / "away")
    try:
        said = _start(lab, ok=False)["failed"]["gpu1"]
    finally:
        before.rename(hosts.folder / "user_key")
        hosts.write_config()
    assert "Permission denied" in said
    assert "ssh-add" in said
    told = _start(lab, "--labq", "/nowhere/labq", hosts="gpu1", ok=False)
    assert told["code"] == 2
    assert "/nowhere/labq" in told["failed"]["gpu1"]
    assert "install labq" in told["failed"]["gpu1"]
    told = _start(lab, "--labq", "labq", hosts="gpu1,nobody", ok=False)
    assert "not found" in told["failed"]["gpu1"]
    assert "no such machine" in told["failed"]["nobody"]
    assert not _open(lab)


def test_a_name_that_means_another_machine_now_changes_nothing(lab: Lab, hosts: SshHosts) -> None:
    _start(lab, hosts="gpu1")
    hosts.close_connections()
    hosts.write_config("Host gpu1\n    Port 2202\n    HostKeyAlias gpu2")
    try:
        shown = lab.labq("workers")
    finally:
        hosts.write_config()
        hosts.close_connections()
    assert "it is the machine gpu2 now" in shown.stderr
    assert len(_open(lab)) == 1


def test_servers_that_answer_here_only_are_told_before_anything_is_started(lab: Lab, hosts: SshHosts) -> None:
    for name in ("LABQ_MONGO_URL", "LABQ_REDIS_URL"):
        del lab.env[name]
    told = _start(lab, hosts="gpu1", ok=False)
    assert told["code"] == 2
    assert "answers on this machine only" in told["failed"]["gpu1"]
    assert not hosts.workers("gpu1")


def test_the_doctor_looks_at_every_machine(lab: Lab, hosts: SshHosts) -> None:
    done = lab.labq("workers", "doctor", "--hosts", "gpu[1-2]", "--json")
    told = json.loads(done.stdout)
    assert told["ok"]
    for rows in told["hosts"].values():
        found = {row["subject"]: row for row in rows}
        assert {
            "ssh",
            "python",
            "labq",
            "clock",
            "folder",
            "disk",
            "memory",
            "gpus",
            "logout",
            "mongodb",
            "redis",
        } == set(found)
        assert "as here" in found["labq"]["text"]
        assert " ms" in found["mongodb"]["text"]
    hosts.switch_off("gpu2")
    done = lab.labq("workers", "doctor", "--hosts", "gpu[1-2]", "--labq", "/nowhere/labq", "--json", ok=False)
    assert done.returncode == 1
    assert "Connection refused" in done.stdout
    assert "/nowhere/labq" in done.stdout


def test_the_doctor_says_which_server_a_machine_cannot_reach(lab: Lab, hosts: SshHosts) -> None:
    lab.env["LABQ_MONGO_URL"] = "mongodb://198.19.255.254:27017/?directConnection=true"
    done = lab.labq("workers", "doctor", "--hosts", "gpu1", "--json", ok=False)
    (rows,) = json.loads(done.stdout)["hosts"].values()
    assert done.returncode == 1
    assert {row["subject"] for row in rows if row["verdict"] == "wrong"} == {"mongodb"}
    (row,) = [row for row in rows if row["subject"] == "mongodb"]
    assert "labq tunnel" in row["advice"]


def test_where_the_users_systemd_lingers_workers_become_its_units(lab: Lab, hosts: SshHosts) -> None:
    if shutil.which("systemd-run") is None or not Path("/lib/systemd/systemd").exists():
        pytest.skip("NO SYSTEMD HERE: not installed: systemd-run (Debian: systemd)")
    hosts.switch_off("gpu1")
    hosts.start("gpu1", systemd=True)
    told = _start(lab, "-n", "2", hosts="gpu1")["started"]["gpu1"]
    assert (told["way"], told["hint"]) == ("systemd", "")
    _wait_for_workers(lab, 2)
    until(lambda: len(hosts.workers("gpu1")) == 2, what="two workers")
    units = [Path(f"/proc/{process.pid}/cgroup").read_text() for process in hosts.workers("gpu1")]
    assert all(f"labq-{place}.service" in " ".join(units) for place in told["new"])
    assert not list((hosts.home("gpu1") / "allocations").glob("*.start")), "they hold passwords"
    run = lab.enqueue_steps("under-systemd", steps=3000)
    lab.wait_for_checkpoint(run)
    for login in hosts.logins("gpu1"):
        with suppress(psutil.NoSuchProcess):
            login.kill()
    assert len(_start(lab, "-n", "2", hosts="gpu1")["started"]["gpu1"]["before"]) == 2
    lab.labq("workers", "stop", "gpu1", "--now")
    until(lambda: not hosts.workers("gpu1"), what="their end")
    until(lambda: lab.run(run).state is State.QUEUED, what="the run in the queue")
    lab.labq("workers")
    assert not _open(lab)
