"""Ctrl-C, SIGTERM, stop, requeue: asked to leave, a run loses nothing and a worker leaves nothing behind."""

import json
import os
import signal
import sys
import time
from subprocess import Popen
from typing import Any

import psutil
import pytest
from lab import Lab, child_of, is_alive, supervisor_of, until

from store.runs import Run
from store.states import Reason, State


def family(worker: Popen[bytes]) -> list[psutil.Process]:
    return [psutil.Process(worker.pid), *psutil.Process(worker.pid).children(recursive=True)]


def check_all_gone(processes: list[psutil.Process]) -> None:
    until(lambda: not [p for p in processes if is_alive(p)], 5.0, what="an empty family")


def finish_elsewhere(lab: Lab, run: Run, undisturbed: dict[str, Any]) -> None:
    lab.worker("--burst")
    lab.wait_until_ended(run)
    assert lab.outcome(run) == undisturbed


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_checkpoints_requeues_and_exits_0(lab: Lab, undisturbed: dict[str, Any], number: int) -> None:
    run = lab.enqueue_steps(f"signal-{number}")
    worker = lab.worker()
    before = lab.wait_for_checkpoint(run)
    processes = family(worker)
    worker.send_signal(number)
    assert worker.wait(timeout=20) == 0
    after = lab.run(run)
    assert (after.state, after.reason, after.setbacks) == (State.QUEUED, Reason.DRAINED, 0)
    assert after.checkpoint is not None
    assert before.checkpoint is not None
    assert after.checkpoint.step > before.checkpoint.step
    last = lab.store.series(run.id, "loss").steps[-1]
    assert after.checkpoint.step == last, "the checkpoint made on request: nothing came after it"
    check_all_gone(processes)
    finish_elsewhere(lab, run, undisturbed)


def test_two_signals_stop_at_once_and_lose_nothing(lab: Lab, undisturbed: dict[str, Any]) -> None:
    run = lab.enqueue_steps("signal-twice")
    worker = lab.worker()
    lab.wait_for_checkpoint(run)
    processes = family(worker)
    child = child_of(worker)
    os.kill(child.pid, signal.SIGSTOP)  # a script that does not listen
    worker.send_signal(signal.SIGINT)
    time.sleep(0.3)  # the first signal alone must not end it
    assert is_alive(child)
    worker.send_signal(signal.SIGINT)
    assert worker.wait(timeout=10) == 0
    assert lab.run(run).state is State.QUEUED
    check_all_gone(processes)
    finish_elsewhere(lab, run, undisturbed)


SLOW_TO_SAVE = """
import labq, sys, time

labq.should_stop()
labq.checkpoint({"step": 0}, step=0)
while not labq.should_stop():
    time.sleep(0.02)
time.sleep(1.5)  # a large checkpoint takes its time
labq.checkpoint({"step": 1}, step=1)
sys.exit(0)
"""


def enqueue_script(lab: Lab, name: str, body: str) -> Run:
    command = json.dumps([sys.executable, str(lab.write(f"{name}.py", body))])
    done = lab.labq("enqueue", "--json", str(lab.write(f"{name}.toml", f'name = "{name}"\ncommand = {command}\n')))
    return lab.store.run(json.loads(done.stdout)["ids"][0])


@pytest.mark.parametrize("crew", [(), ("-n", "1"), ("-n", "2")], ids=["alone", "one", "crew"])
def test_sigterm_to_every_process_at_once_is_one_request(lab: Lab, crew: tuple[str, ...]) -> None:
    run = enqueue_script(lab, f"group-{len(crew)}-{'-'.join(crew)}", SLOW_TO_SAVE)
    worker = lab.worker(*crew)
    lab.wait_for_checkpoint(run)
    for process in family(worker):
        process.terminate()  # KillMode=control-group; the preemption of a Slurm step
    assert worker.wait(timeout=20) == 0
    after = lab.run(run)
    assert (after.state, after.reason, after.setbacks) == (State.QUEUED, Reason.DRAINED, 0)
    assert after.checkpoint is not None
    assert after.checkpoint.step == 1
    lab.labq("stop", run.id)


def test_sigterm_to_every_process_costs_a_script_that_does_not_know_labq_no_retry(lab: Lab) -> None:
    run = enqueue_script(lab, "group-plain", "import time\nprint('here', flush=True)\ntime.sleep(600)\n")
    worker = lab.worker()
    until(lambda: b"here" in lab.store.log_tail(run.id, 1, 100), what="its first word")
    for process in reversed(family(worker)):
        process.terminate()
    assert worker.wait(timeout=20) == 0
    after = lab.run(run)
    assert (after.state, after.reason, after.setbacks) == (State.QUEUED, Reason.DRAINED, 0)
    lab.labq("stop", run.id)


def test_sigterm_after_a_requeue_is_the_first_request(lab: Lab) -> None:
    run = enqueue_script(lab, "requeued", SLOW_TO_SAVE)
    worker = lab.worker()
    lab.wait_for_checkpoint(run)
    lab.labq("requeue", run.id)
    until(lambda: f"stopping run={run.id}" in lab.log_text(), what="the wish to be heard")
    worker.terminate()
    assert worker.wait(timeout=20) == 0
    after = lab.run(run)
    assert after.checkpoint is not None
    assert after.checkpoint.step == 1
    lab.labq("stop", run.id)


def test_a_child_hears_its_own_ctrl_c(lab: Lab) -> None:
    body = "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(5)\n"
    run = enqueue_script(lab, "ctrl-c", body)
    assert lab.worker("--burst").wait(timeout=20) == 0
    ending = lab.run(run).history[0].ending
    assert ending is not None
    assert ending.signal == signal.SIGINT
    lab.labq("stop", run.id)


def test_an_idle_worker_leaves_at_once(lab: Lab) -> None:
    worker = lab.worker(LABQ_LOOK_S="30", LABQ_LEASE_S="60")
    until(lambda: any(w.pid == worker.pid for w in lab.store.workers(60)), what="the worker's sign of life")
    time.sleep(0.2)  # now it waits for a ticket
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=5) == 0
    assert not any(w.pid == worker.pid for w in lab.store.workers(60))


def test_several_workers_leave_together(lab: Lab, undisturbed: dict[str, Any]) -> None:
    runs = [lab.enqueue_steps(f"crew-{i}") for i in range(2)]
    crew = lab.worker("-n", "2")
    for run in runs:
        lab.wait_for_checkpoint(run)
    processes = family(crew)
    crew.send_signal(signal.SIGINT)
    assert crew.wait(timeout=20) == 0
    check_all_gone(processes)
    assert [lab.run(run).state for run in runs] == [State.QUEUED, State.QUEUED]
    for run in runs:
        finish_elsewhere(lab, run, undisturbed)


def test_a_killed_crew_takes_everything_with_it(lab: Lab) -> None:
    run = lab.enqueue_steps("crew-killed", pause_s=0.1)
    crew = lab.worker("-n", "2")
    lab.wait_for_checkpoint(run)
    processes = family(crew)
    crew.kill()
    check_all_gone(processes)
    lab.labq("stop", run.id)


def test_a_dead_member_of_a_crew_is_replaced(lab: Lab, undisturbed: dict[str, Any]) -> None:
    run = lab.enqueue_steps("crew-member")
    crew = lab.worker("-n", "2")
    lab.wait_for_checkpoint(run)
    holder = lab.run(run).history[0].worker
    pid = next(w.pid for w in lab.store.workers(60) if w.name == holder)
    os.kill(pid, signal.SIGKILL)
    lab.wait_until_ended(run)
    assert lab.outcome(run) == undisturbed
    until(lambda: len(psutil.Process(crew.pid).children()) == 2, what="two members again")


def test_stop_ends_a_running_run(lab: Lab) -> None:
    run = lab.enqueue_steps("stop-me", pause_s=0.1)
    worker = lab.worker()
    lab.wait_for_checkpoint(run)
    child = child_of(worker)
    lab.labq("stop", run.id[:8])
    ended = lab.wait_until_ended(run)
    assert (ended.state, ended.reason) == (State.CANCELLED, Reason.STOPPED)
    assert not is_alive(child)


def test_requeue_moves_a_running_run(lab: Lab, undisturbed: dict[str, Any]) -> None:
    run = lab.enqueue_steps("move-me", pause_s=0.1)
    lab.worker()
    lab.wait_for_checkpoint(run)
    lab.labq("requeue", run.id)
    lab.wait_until_ended(run)
    assert lab.run(run).attempt == 2
    assert lab.outcome(run) == undisturbed


@pytest.mark.prompt
def test_a_script_that_ignores_sigterm_is_killed_after_its_grace(lab: Lab) -> None:
    command = "import signal, time; signal.signal(15, signal.SIG_IGN); print('here', flush=True); time.sleep(600)"
    text = f"""
name = "deaf"
command = ["{lab.env.get("PYTHON", "python3")}", "-c", "{command}"]
grace = "1s"
"""
    lab.labq("enqueue", str(lab.write("deaf.toml", text)))
    (run,) = lab.store.runs(_of("deaf"))
    worker = lab.worker()
    until(lambda: b"here" in lab.store.log_tail(run.id, 1, 100), what="its first word")
    lab.labq("stop", run.id)
    started = time.monotonic()
    assert lab.wait_until_ended(run).state is State.CANCELLED
    assert time.monotonic() - started < 10
    worker.terminate()
    assert worker.wait(timeout=10) == 0


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_a_grandchild_in_a_session_of_its_own_does_not_survive(lab: Lab, how: str) -> None:
    script = lab.write(
        "forker.py",
        "import os, time\n"
        "if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        time.sleep(600)\n    os._exit(0)\n"
        "time.sleep(600)\n",
    )
    text = f'name = "forker-{how}"\ncommand = ["python3", "{script}"]\ngrace = "1s"\n'
    lab.labq("enqueue", str(lab.write("forker.toml", text)))
    (run,) = lab.store.runs(_of(f"forker-{how}"))
    worker = lab.worker()

    def forked() -> list[psutil.Process]:
        found = supervisor_of(worker).children(recursive=True)
        mine = [p for p in found if is_alive(p) and "forker.py" in " ".join(p.cmdline())]
        return mine if len(mine) == 2 else []

    processes = until(forked, what="the grandchild")
    if how == "stop":
        lab.labq("stop", run.id)
        lab.wait_until_ended(run)
    else:
        worker.kill()
        lab.worker()  # the next worker on this machine sweeps
    check_all_gone(processes)
    if how == "kill":
        lab.labq("stop", run.id)
        lab.wait_until_ended(run)


@pytest.mark.parametrize("beside", ["idle", "busy"])
def test_what_a_killed_worker_left_is_dead_before_its_lease_is_over(lab: Lab, beside: str) -> None:
    busy = lab.enqueue_steps("beside", steps=4000, pause_s=0.05) if beside == "busy" else None
    other = lab.worker()
    if busy is not None:
        lab.wait_for_checkpoint(busy)
    script = lab.write(f"left-{beside}.py", "import time\nprint('here', flush=True)\ntime.sleep(600)\n")
    command = json.dumps(["sh", "-c", f"{sys.executable} {script}; true"])
    if busy is None:
        os.kill(other.pid, signal.SIGSTOP)  # the doomed one shall get it
    text = f'name = "left-{beside}"\nexclusive = true\ncommand = {command}\n'
    lab.labq("enqueue", str(lab.write("left.toml", text)))
    (run,) = lab.store.runs(_of(f"left-{beside}"))
    doomed = lab.worker()
    until(lambda: b"here" in lab.store.log_tail(run.id, 1, 100), what="its first word")
    os.kill(other.pid, signal.SIGCONT)
    (orphan,) = [p for p in psutil.Process(doomed.pid).children(recursive=True) if p.cmdline()[1:] == [str(script)]]
    doomed.kill()
    doomed.wait()
    while is_alive(orphan):
        assert lab.run(run).attempt == 1, "the next attempt runs beside it"
        time.sleep(0.01)
    lab.labq("stop", run.id)
    lab.wait_until_ended(run)
    if busy is not None:
        lab.labq("stop", busy.id)
        lab.wait_until_ended(busy)


def _of(experiment: str) -> Any:
    from store.store import RunQuery

    return RunQuery(experiment=experiment)
