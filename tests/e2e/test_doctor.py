"""`labq doctor` beside real workers: a busy lab is well, a killed one is mended, and a doctor may be killed too."""

import json
import signal
import time
from typing import Any

from lab import Lab, is_alive, kill, supervisor_of, until

from store.states import State


def doctor(lab: Lab, *options: str) -> tuple[int, dict[str, Any]]:
    done = lab.labq("doctor", "--json", *options, ok=False)
    return done.returncode, json.loads(done.stdout)


def test_a_busy_lab_is_well(lab: Lab) -> None:
    workers = [lab.worker(), lab.worker()]
    runs = [lab.enqueue_steps(f"busy{i}", steps=150, pause_s=0.01) for i in range(6)]
    while any(lab.run(run).state is not State.FINISHED for run in runs):
        code, said = doctor(lab)
        assert (code, said["damage"]) == (0, {}), said
    assert doctor(lab)[0] == 0
    assert all(worker.poll() is None for worker in workers)


def test_doctors_beside_workers_cost_no_run_anything(lab: Lab, undisturbed: dict[str, Any]) -> None:
    lab.worker()
    run = lab.enqueue_steps("doctored")
    while lab.run(run).state is not State.FINISHED:
        first = lab.start("doctor", "--fix")
        second = lab.start("doctor", "--fix")
        time.sleep(0.3)
        second.kill()
        assert first.wait(60) == 0
    assert lab.run(run).attempt == 1
    assert lab.outcome(run) == undisturbed


def test_what_a_killed_machine_left_is_mended(lab: Lab, undisturbed: dict[str, Any]) -> None:
    run = lab.enqueue_steps("killed")
    worker = lab.worker()
    lab.wait_for_checkpoint(run)
    supervisor = supervisor_of(worker)
    worker.send_signal(signal.SIGSTOP)  # so that it cannot clean up
    kill(supervisor)
    worker.kill()
    worker.wait()
    until(lambda: lab.store.expired(), what="the end of the lease")
    code, said = doctor(lab)
    assert code == 1
    assert {"expired-lease", "abandoned-run-dir"} <= set(said["damage"])
    assert not is_alive(supervisor)
    code, said = doctor(lab, "--fix")
    assert code == 0, said
    assert said["damage"]["expired-lease"]["mended"] == 1
    assert lab.run(run).state is State.QUEUED
    assert doctor(lab)[0] == 0
    lab.worker("--burst").wait()
    assert lab.outcome(lab.wait_until_ended(run)) == undisturbed


def test_without_mongodb_the_doctor_says_so_and_touches_nothing(lab: Lab) -> None:
    lab.kill_server("mongod")
    code, said = doctor(lab, "--fix")
    assert code == 1
    assert "MongoDB is away" in said["unknown"]
    lab.up()
    assert doctor(lab, "--fix")[0] == 0
