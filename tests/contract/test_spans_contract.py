"""Claims of workers whose time ends: one contract, two stores."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from store.changes import Change, requeued, scratched
from store.experiments import Experiment
from store.memory import MemoryStore
from store.runs import Checkpoint, Ending, Resources, Run, Task
from store.spans import KEPT, Pace, Span
from store.states import Reason, State
from store.store import Settlement, Store
from store.workers import Worker

LEASE_S = 60.0
WORKER = Worker(name="w1", host="here", pid=1, cpus=4, memory_bytes=8 << 30)
TEN_MINUTES = Span.of(600.0, 3600.0, 15.0)
LONG = Pace(took_s=7200.0)
"""Of an experiment whose runs take two hours and keep nothing."""


@pytest.fixture(params=["memory", "mongo"])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    if request.param == "mongo":
        yield request.getfixturevalue("mongo_store")
    else:
        yield MemoryStore()


def a_run(name: str, experiment: str = "exp", **changes: Any) -> Run:
    run = Run(
        id=name, key=f"key-{name}", experiment=experiment, params={}, task=Task(command=("true",), workdir="/"),
        queued_at=datetime(2026, 1, 1, tzinfo=UTC),
    )  # fmt: skip
    return replace(run, **changes)


def enqueue(store: Store, *runs: Run, trainer: str | None = None) -> None:
    for name in {run.experiment for run in runs}:
        store.add_experiment(
            Experiment(name=name, owner="me", source="", text="", created_at=runs[0].queued_at, trainer=trainer)
        )
    store.add_runs(runs)


def claimed(store: Store, span: Span | None = TEN_MINUTES, worker: Worker = WORKER) -> str | None:
    run = store.claim(worker, LEASE_S, span)
    return None if run is None else run.id


def interrupt(
    store: Store, run_id: str, tmp_path: Path, *, keeps: bool, pace: Pace | None = None, after_s: float = 0.0
) -> Run:
    """An attempt that ends as one does whose worker's time is over."""
    run = store.claim(WORKER, LEASE_S)
    assert run is not None
    assert run.id == run_id
    run = store.begin(run.id, run.attempt, None, {})
    if keeps:
        (file := tmp_path / "weights").write_bytes(b"w")
        described = Checkpoint(
            id="", run=run.id, attempt=run.attempt, step=1, line=1, name="weights", is_dir=False, size_bytes=0,
            sha256="", created_at=run.queued_at,
        )  # fmt: skip
        store.publish_checkpoint(described, file, 2)
    ending = Ending(reason=Reason.DRAINED, pace=pace)
    time.sleep(after_s)
    return store.settle(run.id, run.attempt, Settlement(state=State.QUEUED, reason=Reason.DRAINED, ending=ending))


class TestSpansContract:
    def test_a_worker_whose_time_ends_takes_what_has_no_limit_and_no_history(self, store: Store) -> None:
        enqueue(store, a_run("a"))
        assert claimed(store) == "a"

    def test_a_time_limit_that_does_not_fit_is_left_to_those_who_have_the_time(self, store: Store) -> None:
        enqueue(store, a_run("long", resources=Resources(time_s=1800.0)))
        assert claimed(store) is None
        assert claimed(store, Span.of(3600.0, 3600.0, 15.0)) == "long"

    def test_what_fits_is_found_behind_what_does_not(self, store: Store) -> None:
        enqueue(
            store,
            a_run("first", priority=9, resources=Resources(time_s=1800.0)),
            a_run("second", priority=5, resources=Resources(time_s=300.0)),
            a_run("third"),
        )
        assert [claimed(store) for _ in range(3)] == ["second", "third", None]
        assert claimed(store, None) == "first"

    def test_siblings_that_took_long_keep_a_run_from_those_with_little_time(self, store: Store) -> None:
        enqueue(store, a_run("slow", "slow"), a_run("quick", "quick"))
        store.note_pace("slow", LONG)
        store.note_pace("quick", Pace(took_s=60.0))
        assert [claimed(store) for _ in range(2)] == ["quick", None]

    def test_siblings_with_checkpoints_let_it_be_begun_anywhere(self, store: Store) -> None:
        enqueue(store, a_run("slow"))
        store.note_pace("exp", LONG)
        assert claimed(store) is None
        store.note_pace("exp", Pace(saves=True))
        assert claimed(store) == "slow"

    def test_our_own_trainer_keeps_checkpoints_before_anybody_has_seen_one(self, store: Store) -> None:
        enqueue(store, a_run("ours", resources=Resources(time_s=1800.0)), trainer="rnn")
        assert claimed(store) == "ours"

    def test_a_run_that_stored_a_checkpoint_hops_whatever_its_siblings_did(self, store: Store, tmp_path: Path) -> None:
        enqueue(store, a_run("hops"))
        after = interrupt(store, "hops", tmp_path, keeps=True)
        assert after.outlook is not None
        assert after.outlook.hops
        store.note_pace("exp", LONG)
        assert claimed(store) == "hops"

    def test_a_run_that_kept_nothing_waits_for_more_time(self, store: Store, tmp_path: Path) -> None:
        enqueue(store, a_run("keeps-nothing"))
        as_long = Span.of(0.3, 0.3, 15.0)
        enqueue(store, a_run("unknown", "other", index=1))
        after = interrupt(store, "keeps-nothing", tmp_path, keeps=False, pace=Pace(leave_s=0.01), after_s=0.3)
        assert after.outlook is not None
        assert after.outlook.wasted_s >= 0.3
        assert [claimed(store, as_long) for _ in range(2)] == ["unknown", None]
        assert claimed(store) == "keeps-nothing"

    def test_the_better_of_an_interrupted_run_and_a_fresh_one_comes_first(self, store: Store, tmp_path: Path) -> None:
        enqueue(store, a_run("hops"))
        interrupt(store, "hops", tmp_path, keeps=True)
        enqueue(store, a_run("urgent", priority=3), a_run("later", index=1))
        assert [claimed(store) for _ in range(3)] == ["urgent", "hops", "later"]

    def test_from_scratch_a_run_is_new_again(self, store: Store, tmp_path: Path) -> None:
        enqueue(store, a_run("a"))
        interrupt(store, "a", tmp_path, keeps=True)
        run = store.claim(WORKER, LEASE_S, TEN_MINUTES)
        assert run is not None
        failed = Settlement(state=State.FAILED, reason=Reason.ERROR, ending=Ending(reason=Reason.ERROR))
        assert store.settle("a", run.attempt, failed).outlook is not None
        (kept,) = store.change(["a"], Change(name="requeue", apply=requeued)).runs
        assert kept.outlook is not None
        assert claimed(store) == "a"
        store.settle("a", kept.attempt + 1, failed)
        (fresh,) = store.change(["a"], Change(name="requeue", apply=scratched, scratch=True)).runs
        assert fresh.outlook is None
        assert claimed(store) == "a"

    def test_queue_tags_and_refusals_count_as_ever(self, store: Store) -> None:
        enqueue(
            store,
            a_run("elsewhere", queue="gpu"),
            a_run("tagged", resources=Resources(tags=("a100",))),
            a_run("later", not_before=datetime.now(UTC) + timedelta(hours=1)),
            a_run("slow", "slow"),
        )
        store.note_pace("slow", LONG)
        assert claimed(store) is None
        assert claimed(store, TEN_MINUTES, replace(WORKER, tags=("a100",))) == "tagged"
        assert claimed(store, TEN_MINUTES, replace(WORKER, queues=("gpu", "default"))) == "elsewhere"

    def test_many_experiments_and_many_demands_hide_nothing(self, store: Store) -> None:
        runs = [
            a_run(f"r{e:02d}-{d:02d}", f"e{e:02d}", priority=e, resources=Resources(tags=(f"t{d}",)))
            for e in range(20)
            for d in range(12)
        ]
        enqueue(store, *runs)
        worker = replace(WORKER, tags=tuple(f"t{d}" for d in range(12)))
        for number in range(10, 20):
            store.note_pace(f"e{number}", LONG)
        assert (claimed(store, TEN_MINUTES, worker) or "").startswith("r09")

    def test_many_claimants_never_share_an_interrupted_run(self, store: Store, tmp_path: Path) -> None:
        for number in range(6):
            enqueue(store, a_run(f"r{number}", priority=number))
            interrupt(store, f"r{number}", tmp_path, keeps=True)
        enqueue(store, *(a_run(f"fresh{number}", f"e{number}") for number in range(6)))
        store.note_pace("e0", LONG)
        taken: list[str | None] = []
        threads = [threading.Thread(target=lambda: taken.append(claimed(store))) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        got = [one for one in taken if one is not None]
        assert len(got) == len(set(got)) == 11

    def test_the_newest_paces_are_kept(self, store: Store) -> None:
        enqueue(store, a_run("a"))
        assert store.paces("exp") == ()
        for number in range(KEPT + 3):
            store.note_pace("exp", Pace(took_s=float(number)))
        assert [one.took_s for one in store.paces("exp")] == [float(number) for number in range(3, KEPT + 3)]
        enqueue(store, a_run("b"))
        assert len(store.paces("exp")) == KEPT, "an enqueue forgets none"

    def test_a_worker_is_seen_with_its_end(self, store: Store) -> None:
        until = datetime(2026, 3, 1, 12, tzinfo=UTC)
        store.seen(replace(WORKER, allocation="slurm:12_3", until=until, whole_s=3600.0))
        (worker,) = store.workers(60.0)
        assert (worker.allocation, worker.until, worker.whole_s) == ("slurm:12_3", until, 3600.0)
