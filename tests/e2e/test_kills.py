"""SIGKILL to every process there is, one at a time and in pairs: the run ends as if nothing had happened."""

import itertools
from collections.abc import Callable
from subprocess import Popen
from typing import Any

import pytest
from lab import Lab, child_of, kill, supervisor_of

from store.states import State


def kill_child(lab: Lab, worker: Popen[bytes]) -> None:
    kill(child_of(worker))


def kill_supervisor(lab: Lab, worker: Popen[bytes]) -> None:
    kill(supervisor_of(worker))


def kill_worker(lab: Lab, worker: Popen[bytes]) -> None:
    worker.kill()
    worker.wait()


def kill_redis(lab: Lab, worker: Popen[bytes]) -> None:
    lab.kill_server("redis")
    lab.delete_redis_data()


def kill_mongod(lab: Lab, worker: Popen[bytes]) -> None:
    lab.kill_server("mongod")


VICTIMS: dict[str, Callable[[Lab, Popen[bytes]], None]] = {
    "child": kill_child,
    "supervisor": kill_supervisor,
    "worker": kill_worker,
    "redis": kill_redis,
    "mongod": kill_mongod,
}
# The death of a worker ends its supervisor, and that ends the child: the inner one goes first.
ORDER = list(VICTIMS)


def check_untouched(lab: Lab, run: Any, undisturbed: dict[str, Any]) -> None:
    ended = lab.wait_until_ended(run)
    assert ended.state is State.FINISHED, ended
    assert lab.outcome(run) == undisturbed
    assert lab.settles(run) == 1
    assert len(lab.notices(run)) == 1


def disturb(lab: Lab, victims: tuple[str, ...], run: Any) -> None:
    worker = lab.worker()
    lab.wait_for_checkpoint(run)
    for name in victims:
        VICTIMS[name](lab, worker)
    lab.up()
    if worker.poll() is not None:
        lab.worker()


@pytest.mark.parametrize("victim", ORDER)
def test_a_run_survives_the_death_of(lab: Lab, undisturbed: dict[str, Any], victim: str) -> None:
    run = lab.enqueue_steps(f"kill-{victim}")
    disturb(lab, (victim,), run)
    check_untouched(lab, run, undisturbed)
    killed_run = victim in ("child", "supervisor", "worker")
    assert (lab.run(run).attempt > 1) == killed_run


@pytest.mark.parametrize("victims", list(itertools.combinations(ORDER, 2)), ids="+".join)
def test_a_run_survives_the_death_of_both(lab: Lab, undisturbed: dict[str, Any], victims: tuple[str, str]) -> None:
    run = lab.enqueue_steps(f"kill-{'-'.join(victims)}")
    disturb(lab, victims, run)
    check_untouched(lab, run, undisturbed)


def test_a_run_survives_many_deaths_in_a_row(lab: Lab, undisturbed: dict[str, Any]) -> None:
    run = lab.enqueue_steps("kill-again")
    worker = lab.worker()
    for attempt, victim in enumerate(["child", "supervisor", "worker", "child", "worker"], 1):
        lab.wait_for_checkpoint(run, attempt=attempt)
        VICTIMS[victim](lab, worker)
        if worker.poll() is not None:
            worker = lab.worker()
    check_untouched(lab, run, undisturbed)
    assert lab.run(run).attempt == 6
