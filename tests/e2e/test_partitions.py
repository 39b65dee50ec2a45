"""A worker that is cut off from the servers while it lives: another one takes over, and nothing of the first counts."""

import subprocess
import time
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
from lab import LABQ, LEASE_S, Lab, is_alive, until
from partition import Cut, Namespace, Relay

from store.runs import Run
from store.states import Reason, State

PAUSE_S = 0.15


@pytest.fixture(params=["namespace", "relay"])
def cut(request: pytest.FixtureRequest, lab: Lab) -> Iterator[Cut]:
    made: Cut = Namespace(lab) if request.param == "namespace" else Relay(lab)
    yield made
    for process in lab.processes:  # a namespace lives as long as a process in it
        process.kill()
        process.wait()
    made.close()


def far_worker(lab: Lab, cut: Cut) -> subprocess.Popen[bytes]:
    """A worker on the other side, with a home of its own, as on another machine."""
    with open(lab.home / "far.log", "ab") as log:
        process = subprocess.Popen(
            [*cut.prefix, *LABQ, "worker"], env={**lab.env, **cut.env}, cwd=lab.home, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
    lab.processes.append(process)
    return process


def far_child(worker: subprocess.Popen[bytes]) -> psutil.Process:
    def find() -> psutil.Process | None:
        below = psutil.Process(worker.pid).children(recursive=True)
        return next((one for one in below if one.name().startswith("python") and "steps.py" in one.cmdline()[1]), None)

    return until(find, what="the child on the other side")


def checkpoints_of(lab: Lab, run: Run, attempt: int) -> set[str]:
    return {one.id for one in lab.store.checkpoints(run.id) if one.attempt == attempt}


def written_by(lab: Lab, run: Run, attempt: int) -> tuple[Any, ...]:
    """All that MongoDB has of one attempt."""
    database = lab.store.database
    mine = {"run": run.id, "attempt": attempt}
    return (
        b"".join(chunk.data for chunk in lab.store.log(run.id, attempt)),
        sorted((one["event"], one["at"]) for one in database["events"].find(mine)),
        sorted((one["name"], one["step"]) for one in database["metrics"].find(mine)),
        database["samples"].count_documents(mine),
    )


@pytest.mark.parametrize("exclusive", [False, True], ids=["plain", "exclusive"])
def test_another_worker_takes_over_and_nothing_of_the_first_is_accepted(
    lab: Lab, undisturbed: dict[str, Any], cut: Cut, exclusive: bool
) -> None:
    name = f"cut-{type(cut).__name__}-{exclusive}".lower()
    more = 'exclusive = true\ngrace = "0.3s"' if exclusive else ""
    run = lab.enqueue_steps(name, pause_s=PAUSE_S, more=more)
    far = far_worker(lab, cut)
    lab.wait_for_checkpoint(run)
    child = far_child(far)
    cut.cut()
    cut_at = time.monotonic()
    near = lab.worker()
    if exclusive:
        until(lambda: not is_alive(child), 2 * LEASE_S, what="its end")
        assert time.monotonic() - cut_at < LEASE_S, "it fences itself before anybody else may begin"
        assert lab.run(run).attempt == 1
    until(lambda: lab.run(run).attempt == 2, 30, what="another worker's claim")
    assert is_alive(child) != exclusive, "what may run twice trains on: it cannot know whether anybody else lives"
    lab.wait_for_checkpoint(run, attempt=2)
    before, stored = written_by(lab, run, 1), checkpoints_of(lab, run, 1)
    cut.heal()
    until(lambda: not is_alive(child), 15, what="the end of the first one's child")
    until(lambda: "superseded" in (lab.home / "far.log").read_text(), 20, what="the first one to notice")
    ended = lab.wait_until_ended(run)
    assert written_by(lab, run, 1) == before
    assert checkpoints_of(lab, run, 1) <= stored, "those that newer ones have replaced are gone"
    assert (ended.state, ended.attempt) == (State.FINISHED, 2)
    assert [attempt.ending.reason for attempt in ended.history if attempt.ending] == [Reason.LOST, None]
    assert lab.outcome(run) == undisturbed
    assert lab.settles(run) == 1
    assert len(lab.notices(run)) == 1
    assert near.poll() is None
    assert far.poll() is None
    (lab.home / "far.log").unlink()


def test_a_worker_that_was_cut_off_while_idle_works_again(lab: Lab, cut: Cut) -> None:
    far = far_worker(lab, cut)
    until(lambda: any(one.pid for one in lab.store.workers(LEASE_S)), what="its sign of life")
    cut.cut()
    until(lambda: not lab.store.workers(LEASE_S), 20, what="its silence")
    run = lab.enqueue_steps(f"idle-{type(cut).__name__}".lower(), steps=3)
    time.sleep(2 * LEASE_S)
    assert lab.run(run).state is State.QUEUED
    cut.heal()
    assert lab.wait_until_ended(run).attempt == 1
    assert far.poll() is None
