"""`labq workers start --on local`: in the background, found again, ended by `labq workers stop`."""

import json
import os
import signal
import subprocess

import psutil
from lab import LABQ, Lab, is_alive, until

from store.allocations import Allocation, Phase
from store.states import State


def _open(lab: Lab) -> list[Allocation]:
    return [one for one in lab.store.allocations(0) if not one.is_over]


def _process(one: Allocation) -> psutil.Process:
    return psutil.Process(int(one.job.partition("@")[0]))


def test_they_outlive_the_terminal_that_started_them_and_end_when_told(lab: Lab) -> None:
    shell = subprocess.Popen(
        ["sh", "-c", '"$@"; sleep 60', "sh", *LABQ, "workers", "start", "--on", "local", "-n", "2"],
        env=lab.env, cwd=lab.home, start_new_session=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        workers = until(lambda: len(found := lab.store.workers(60)) >= 2 and found, what="two workers")
        assert {worker.place for worker in workers} == {one.id for one in _open(lab)}
        for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGKILL):  # what a logout sends
            os.killpg(shell.pid, number)
        shell.wait()
        run = lab.enqueue_steps("in-the-background", steps=50)
        assert lab.wait_until_ended(run).state is State.FINISHED
        processes = [_process(one) for one in _open(lab)]
        assert all(is_alive(process) for process in processes)
        told = json.loads(lab.labq("workers", "--json").stdout)["allocations"]
        assert {one["allocation"]["phase"] for one in told} == {"running"}
        assert len(json.loads(lab.labq("workers", "stop", "--on", "local", "--json").stdout)["leaving"]) == 2
        until(lambda: not any(is_alive(process) for process in processes), what="their end")
        lab.labq("workers")
        assert {one.phase for one in lab.store.allocations(3600)} == {Phase.ENDED}
    finally:
        _end_all(lab)


def test_one_that_was_given_a_time_leaves_when_it_is_over(lab: Lab) -> None:
    lab.labq("workers", "start", "--on", "local", "--time", "12s")
    try:
        process = _process(_open(lab)[0])
        until(lambda: not is_alive(process), what="its end")
        lab.labq("workers")
        assert not _open(lab)
    finally:
        _end_all(lab)


def test_one_that_was_killed_is_seen_to_be_gone(lab: Lab) -> None:
    lab.labq("workers", "start", "--on", "local")
    try:
        (one,) = _open(lab)
        until(lambda: [worker for worker in lab.store.workers(60) if worker.place == one.id], what="the worker")
        _process(one).kill()
        until(lambda: not psutil.pid_exists(_process(one).pid) or not is_alive(_process(one)), what="its end")
        lab.labq("workers")
        (gone,) = [found for found in lab.store.allocations(3600) if found.id == one.id]
        assert (gone.phase, gone.says) == (Phase.ENDED, "it left the queue")
    finally:
        _end_all(lab)


def _end_all(lab: Lab) -> None:
    for process in psutil.process_iter():
        try:
            if process.environ().get("LABQ_HOME") == str(lab.home) and "LABQ_ALLOCATION" in process.environ():
                process.kill()
        except (psutil.Error, OSError):
            continue
