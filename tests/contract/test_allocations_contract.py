"""What is remembered of places for workers, over both stores."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from store.allocations import Allocation, JobWanted, Phase, Sighting
from store.memory import MemoryStore
from store.runs import Resources, Run, Task
from store.schedulers import Scheduler
from store.spans import Span
from store.store import Store
from store.workers import Worker

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ASKED = Allocation(
    id="k3f9-0", submission="k3f9", scheduler=Scheduler.SLURM, cluster="triton", owner="me", queue="default",
    offers=Resources(gpus=1, memory_bytes=12 * 10**9, time_s=14400), partition="gpu", log="/home/me/k3f9-0.log",
)  # fmt: skip


@pytest.fixture(params=["memory", "mongo"])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    if request.param == "mongo":
        yield request.getfixturevalue("mongo_store")
    else:
        yield MemoryStore()


def test_what_was_asked_for_is_read_again_with_the_time_of_the_server(store: Store) -> None:
    store.add_allocations([])
    store.add_allocations([ASKED, replace(ASKED, id="k3f9-1", run="aaaa")])
    first, second = store.allocations(0)
    assert first.created_at is not None
    assert abs(first.created_at - store.now()) < timedelta(seconds=10)
    assert first == replace(ASKED, created_at=first.created_at)
    assert (second.id, second.run) == ("k3f9-1", "aaaa")


def test_one_that_is_known_already_stays_as_it_is(store: Store) -> None:
    store.add_allocations([ASKED])
    store.sight([Sighting(id="k3f9-0", phase=Phase.RUNNING, job="12_0", node="n1")])
    (before,) = store.allocations(0)
    store.add_allocations([ASKED])
    assert store.allocations(0) == [before]
    assert before.job == "12_0"


def test_its_life_is_remembered_with_the_scheduler_s_words(store: Store) -> None:
    store.add_allocations([ASKED])
    store.sight([Sighting(id="k3f9-0", phase=Phase.PENDING, job="12_0", says="Priority")])
    (pending,) = store.allocations(0)
    assert (pending.phase, pending.job, pending.says, pending.started_at) == (Phase.PENDING, "12_0", "Priority", None)
    store.sight([Sighting(id="k3f9-0", phase=Phase.RUNNING, job="12_0", node="n1")])
    (running,) = store.allocations(0)
    assert (running.phase, running.node, running.says) == (Phase.RUNNING, "n1", "")
    assert running.started_at is not None
    store.sight([Sighting(id="k3f9-0", phase=Phase.ENDED, job="12_0", node="n1", says="TIMEOUT")])
    (ended,) = store.allocations(60)
    assert (ended.phase, ended.says, ended.started_at) == (Phase.ENDED, "TIMEOUT", running.started_at)
    assert ended.ended_at is not None
    assert ended.is_over


def test_one_that_is_over_is_left_out_after_a_while_and_comes_back_when_it_lives(store: Store) -> None:
    store.add_allocations([ASKED])
    store.sight([Sighting(id="k3f9-0", phase=Phase.FAILED, says="not found")])
    assert [one.id for one in store.allocations(60)] == ["k3f9-0"]
    assert store.allocations(-60) == []
    store.sight([Sighting(id="k3f9-0", phase=Phase.PENDING, job="12_0")])
    (back,) = store.allocations(-60)
    assert (back.phase, back.ended_at) == (Phase.PENDING, None)


def test_the_time_of_the_end_is_that_of_the_first_sight_of_it(store: Store) -> None:
    store.add_allocations([ASKED])
    store.sight([Sighting(id="k3f9-0", phase=Phase.ENDED)])
    (before,) = store.allocations(60)
    store.sight([Sighting(id="k3f9-0", phase=Phase.ENDED, says="CANCELLED")])
    (after,) = store.allocations(60)
    assert after == replace(before, says="CANCELLED")


def test_what_nobody_asked_for_is_not_sighted(store: Store) -> None:
    store.sight([])
    store.sight([Sighting(id="nobody-0", phase=Phase.RUNNING)])
    assert store.allocations(60) == []


def a_run(name: str, **changes: object) -> Run:
    run = Run(id=name, key=name, experiment="exp", params={}, task=Task(command=("true",), workdir="/"), queued_at=NOW)
    return replace(run, **changes)


def test_what_queued_runs_ask_for_is_counted(store: Store) -> None:
    gpu = Resources(gpus=1, tags=("a100",))
    store.add_runs([a_run(f"plain{number}") for number in range(5)])
    store.add_runs([a_run("gpu1", resources=gpu), a_run("gpu2", resources=gpu), a_run("other", queue="night")])
    assert store.demands("default", 100) == {Resources(): 5, gpu: 2}
    assert store.demands("default", 3) == {Resources(): 3, gpu: 2}
    assert store.demands("nobody", 100) == {}


def test_runs_that_are_claimed_or_back_off_ask_for_nothing(store: Store) -> None:
    store.add_runs([a_run("one"), a_run("two", not_before=NOW + timedelta(days=36500))])
    assert store.demands("default", 100) == {Resources(): 1}
    assert store.claim(Worker(name="w", host="h", pid=1), 60) is not None
    assert store.demands("default", 100) == {}


class TestRunsWithAJobOfTheirOwn:
    OWN = Resources(cpus=2, on=Scheduler.SLURM)

    def test_only_their_own_worker_may_claim_them(self, store: Store) -> None:
        store.add_runs([a_run("own", resources=self.OWN)])
        pilot = Worker(name="w", host="h", pid=1, cpus=8)
        assert store.claim(pilot, 60) is None
        assert store.claim(replace(pilot, only="other"), 60) is None
        claimed = store.claim(replace(pilot, only="own"), 60)
        assert claimed is not None
        assert claimed.id == "own"

    def test_their_worker_claims_nothing_else(self, store: Store) -> None:
        store.add_runs([a_run("first", priority=9), a_run("second")])
        worker = Worker(name="w", host="h", pid=1, only="second")
        assert getattr(store.claim(worker, 60), "id", None) == "second"
        assert store.claim(worker, 60) is None

    def test_its_time_is_long_enough_for_what_it_was_asked_for(self, store: Store) -> None:
        store.add_runs([a_run("own", resources=replace(self.OWN, time_s=3600.0))])
        worker = Worker(name="w", host="h", pid=1, cpus=2, only="own")
        assert store.claim(worker, 60, Span.of(100.0, 200.0, 1.0)) is not None

    def test_those_without_a_worker_are_listed_for_their_owner(self, store: Store) -> None:
        sge = replace(self.OWN, on=Scheduler.SGE)
        store.add_runs(
            [
                a_run("low", resources=self.OWN, owner="me"),
                a_run("high", resources=self.OWN, owner="me", priority=1),
                a_run("wide", resources=replace(self.OWN, cpus=9), owner="me"),
                a_run("hers", resources=self.OWN, owner="her"),
                a_run("sge", resources=sge, owner="me"),
                a_run("night", resources=self.OWN, owner="me", queue="night"),
                a_run("later", resources=self.OWN, owner="me", not_before=NOW + timedelta(days=36500)),
                a_run("shared", owner="me"),
            ]
        )
        wanted = store.jobs_wanted(Scheduler.SLURM, "default", "me", 10)
        assert sorted(one.run for one in wanted) == ["high", "low", "wide"]
        assert [one.run for one in wanted if one.resources == self.OWN] == ["high", "low"]
        assert [one.run for one in store.jobs_wanted(Scheduler.SLURM, "default", "me", 1)].count("low") == 0
        assert store.jobs_wanted(Scheduler.SGE, "default", "me", 10) == [
            JobWanted(run="sge", queue="default", resources=sge)
        ]
