"""`labq scale` on a real Slurm: workers come when there is work, never too many, and leave when there is none."""

import json
import signal
import subprocess
import time

from lab import Lab
from processes import until
from slurm_cluster import SlurmCluster

from store.allocations import Allocation, Phase
from store.states import State

FAST = ("--every", "1s", "--time", "10m", "--memory", "300MB")


def enqueue(
    lab: Lab, name: str, count: int, *, command: str = '["sh", "-c", "sleep 0.2; echo {i}"]', more: str = ""
) -> list[str]:
    text = f'name = "{name}"\ncommand = {command}\n{more}\n[sweep.params]\ni = {list(range(count))}\n'
    ids: list[str] = json.loads(lab.labq("enqueue", "--json", str(lab.write(f"{name}.toml", text))).stdout)["ids"]
    return ids


def states(lab: Lab, ids: list[str]) -> set[State]:
    return {lab.store.run(one).state for one in ids}


def places(lab: Lab) -> list[Allocation]:
    return lab.store.allocations(3600)


def once(lab: Lab, *options: str) -> dict[str, object]:
    told: dict[str, object] = json.loads(lab.labq("scale", "--on", "slurm", "--once", "--json", *options).stdout)
    return told


def end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    assert process.wait(40) == 0


def test_fifty_runs_pass_through_three_workers_which_then_leave(slurm_lab: Lab, slurm: SlurmCluster) -> None:
    runs = enqueue(slurm_lab, "fifty", 50)
    scaler = slurm_lab.start("scale", "--on", "slurm", "--max", "3", "--idle-exit", "3s", *FAST)
    most = 0
    deadline = time.monotonic() + 120
    while states(slurm_lab, runs) != {State.FINISHED} or slurm.jobs():
        most = max(most, len(slurm.jobs()))
        assert time.monotonic() < deadline, (states(slurm_lab, runs), slurm.jobs(), slurm_lab.log_text())
    end(scaler)
    assert most == 3
    assert len(places(slurm_lab)) == 3
    by = {slurm_lab.store.run(one).history[0].worker for one in runs}
    assert len(by) == 3


def test_places_have_what_the_runs_want(slurm_lab: Lab, slurm: SlurmCluster) -> None:
    enqueue(slurm_lab, "plain", 2, command='["sleep", "60", "{i}"]')
    enqueue(slurm_lab, "wide", 1, command='["sleep", "61", "{i}"]', more="[resources]\ncpus = 3\nmemory = '900MB'")
    told = once(slurm_lab, "--max", "9", *FAST)
    assert len(told["asked"]) == 3
    offers = sorted((one.offers.cpus or 0, one.offers.memory_bytes or 0) for one in places(slurm_lab))
    assert offers == [(1, 300_000_000), (1, 300_000_000), (3, 900_000_000)]
    wide = next(one.job for one in places(slurm_lab) if one.offers.cpus == 3)
    assert slurm.job(wide)["NumCPUs"] == "3"


def test_a_killed_scaler_asks_for_nothing_twice_and_another_goes_on(slurm_lab: Lab, slurm: SlurmCluster) -> None:
    runs = enqueue(slurm_lab, "killed", 6, command='["sleep", "3", "{i}"]')
    first = slurm_lab.start("scale", "--on", "slurm", "--max", "4", "--idle-exit", "3s", *FAST)
    until(lambda: slurm.jobs(), 30, slurm_lab.log_text)
    first.kill()
    first.wait()
    second = slurm_lab.start("scale", "--on", "slurm", "--max", "4", "--idle-exit", "3s", *FAST)
    third = slurm_lab.start("scale", "--on", "slurm", "--max", "4", "--idle-exit", "3s", *FAST)
    deadline = time.monotonic() + 120
    while states(slurm_lab, runs) != {State.FINISHED} or slurm.jobs():
        assert len(slurm.jobs()) <= 4
        assert time.monotonic() < deadline, (states(slurm_lab, runs), slurm.jobs(), slurm_lab.log_text())
    end(second)
    end(third)
    assert all(len(slurm_lab.store.run(one).history) == 1 for one in runs)


def test_what_waits_for_nobody_is_given_back(slurm_lab: Lab, slurm: SlurmCluster) -> None:
    slurm_lab.labq("workers", "start", "--on", "slurm", "-n", "3", "--cpus", "4", "--time", "10m")
    until(lambda: set(slurm.jobs().values()) == {"RUNNING"}, 30, lambda: str(slurm.jobs()))
    runs = enqueue(slurm_lab, "nobody", 2, more="[resources]\ncpus = 3\ntags = ['none']")
    told = once(slurm_lab, "--max", "9", "--tag", "none", *FAST)
    assert len(told["asked"]) == 2
    slurm_lab.labq("stop", *runs)
    scaled = [one.id for one in places(slurm_lab) if one.scaled]
    changed = slurm_lab.store.database["allocations"].update_many(
        {"_id": {"$in": scaled}}, [{"$set": {"created_at": {"$subtract": ["$$NOW", 60_000]}}}]
    )
    assert changed.modified_count == 2
    told = once(slurm_lab, "--max", "9", "--tag", "none", *FAST)
    assert sorted(told["given_back"]) == sorted(scaled)
    until(lambda: len(slurm.jobs()) == 3, 20, lambda: str(slurm.jobs()))


def test_after_a_refusal_it_waits_and_says_why(slurm_lab: Lab, slurm: SlurmCluster) -> None:
    enqueue(slurm_lab, "huge", 1, more="[resources]\nmemory = '900GB'")
    first = slurm_lab.labq("scale", "--on", "slurm", "--max", "9", "--once", *FAST, ok=False)
    assert first.returncode == 1
    assert "Slurm refused: Memory specification can not be satisfied" in first.stdout
    second = once(slurm_lab, "--max", "9", *FAST)
    assert second["asked"] == []
    assert "the last one failed: Slurm refused" in str(second["because"])
    (failed,) = places(slurm_lab)
    assert failed.phase is Phase.FAILED


def test_a_scheduler_that_is_away_is_waited_for(slurm_lab: Lab, slurm: SlurmCluster) -> None:
    scaler = slurm_lab.start("scale", "--on", "slurm", "--max", "2", "--idle-exit", "3s", *FAST)
    until(lambda: "scaling" in slurm_lab.log_text(), 20, slurm_lab.log_text)
    slurm.kill("slurmctld")
    try:
        until(lambda: "away error=" in slurm_lab.log_text(), 60, slurm_lab.log_text)
    finally:
        slurm.start_controller()
    runs = enqueue(slurm_lab, "after", 1)
    until(lambda: states(slurm_lab, runs) == {State.FINISHED}, 90, slurm_lab.log_text)
    end(scaler)
