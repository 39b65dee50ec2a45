"""A worker that may wait only so long for work: the places that schedulers give cost something."""

import time

from lab import Lab, until

from store.states import State


def test_a_worker_leaves_when_it_has_had_nothing_to_do_for_a_while(lab: Lab) -> None:
    began = time.monotonic()
    worker = lab.worker("--idle-exit", "3s")
    until(lambda: worker.poll() is not None, what="its end")
    assert worker.returncode == 0
    assert time.monotonic() - began >= 3
    assert not [one for one in lab.store.workers(3600) if one.pid == worker.pid]


def test_the_time_of_a_run_is_no_idle_time(lab: Lab) -> None:
    worker = lab.worker("--idle-exit", "3s")
    runs = [lab.enqueue_steps(f"busy-{number}", steps=100 * number, pause_s=0.02) for number in (1, 2)]
    for run in runs:
        assert lab.wait_until_ended(run).state is State.FINISHED
    ended = time.monotonic()
    until(lambda: worker.poll() is not None, what="its end")
    assert time.monotonic() - ended > 1.5


def test_a_worker_offers_no_more_than_it_was_told(lab: Lab) -> None:
    worker = lab.worker("--cpus", "1", "--memory", "1GB", LABQ_ALLOCATION="k3f9-0")
    (found,) = until(lambda: [one for one in lab.store.workers(60) if one.pid == worker.pid], what="the worker")
    assert (found.cpus, found.memory_bytes, found.place) == (1, 10**9, "k3f9-0")


def test_wrong_limits_are_named(lab: Lab) -> None:
    for options, says in (
        (["--memory", "lots"], "--memory 'lots': allowed: a size"),
        (["--idle-exit", "soon"], "--idle-exit 'soon'"),
    ):
        done = lab.labq("worker", *options, ok=False)
        assert done.returncode == 2
        assert says in done.stderr
        assert len(done.stderr.splitlines()) == 1
