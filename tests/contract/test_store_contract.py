"""One contract, two stores: whatever holds in memory holds in MongoDB."""

import io
import math
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from store.changes import Change, cancelled, paused, prioritised, requeued, resumed, scratched
from store.damage import Damage
from store.errors import AmbiguousId, CheckpointDamaged, NoSuchRun, StoreFailed, Superseded
from store.experiments import Experiment
from store.memory import MemoryStore
from store.metrics import Axis, Point, Shipment, segments, summarize
from store.mongo import MongoStore, open_store
from store.notices import Notice
from store.occasions import Occasion
from store.query import Order, Param
from store.runs import Checkpoint, Ending, Notify, Resources, Run, Task
from store.samples import GpuSample, Peaks, Sample
from store.servers.places import places
from store.settings import Settings
from store.states import Reason, State, Wish
from store.store import Refused, RunQuery, Settlement, Store
from store.telling import Telling
from store.workers import Drain, Worker

SHORT_S = 0.3
LONG_S = 60.0
WORKER = Worker(name="w1", host="here", pid=1, cpus=4, memory_bytes=8 << 30)
OTHER = replace(WORKER, name="w2")
FINISHED = Settlement(state=State.FINISHED, ending=Ending(exit_code=0))


@pytest.fixture(params=["memory", "mongo"])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    if request.param == "mongo":
        yield request.getfixturevalue("mongo_store")
    else:
        yield MemoryStore()


def a_run(name: str = "aaaa", **changes: Any) -> Run:
    run = Run(
        id=name,
        key=f"key-{name}",
        experiment="exp",
        params={"lr": 0.1},
        task=Task(command=("true",), workdir="/"),
        queued_at=datetime(2026, 1, 1, tzinfo=UTC),
        notify=Notify(to=("me@lab.example",)),
    )
    return replace(run, **changes)


def claimed(store: Store, run: Run | None = None, lease_s: float = LONG_S) -> Run:
    store.add_runs([run or a_run()])
    taken = store.claim(WORKER, lease_s)
    assert taken is not None
    return taken


def shipment(start: int, values: list[float], *, first_line: int, first_index: int, output: bytes = b"") -> Shipment:
    points = tuple(
        Point(name="loss", step=first_index + i, time=1.0, value=v, line=first_line + i, index=first_index + i)
        for i, v in enumerate(values)
    )
    return Shipment(
        events_from=start,
        events_to=start + 10 * len(values),
        lines_to=first_line + len(values) - 1,
        segments=segments(points),
        output_from=0,
        output=output,
    )


CANCEL = Change(name="stop", apply=cancelled)
PAUSE = Change(name="pause", apply=paused)
RESUME = Change(name="resume", apply=resumed)
REQUEUE = Change(name="requeue", apply=requeued)
SCRATCH = Change(name="requeue", apply=scratched, scratch=True)


def owe(store: Store, run: Run) -> None:
    """A notice about its end."""
    about = Notice(id=f"{run.id}-1-finished", about=Occasion.FINISHED, to=("me@lab.example",), run=run.id, attempt=1)
    assert store.owe(Telling(notices=(about,)))


def changed(store: Store, run_id: str, change: Change) -> Run:
    (run,) = store.change([run_id], change).runs
    assert run == store.run(run_id)
    return run


def refusal(store: Store, run_id: str, change: Change) -> str:
    before = store.run(run_id)
    refused = store.change([run_id], change).refused or {}
    assert store.run(run_id) == before
    return refused[run_id]


def a_checkpoint(run: Run, line: int, step: int = 7) -> Checkpoint:
    return Checkpoint(
        id="", run=run.id, attempt=run.attempt, step=step, line=line, name="weights.bin", is_dir=False,
        size_bytes=0, sha256="", created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )  # fmt: skip


def until(condition: Callable[[], Any], timeout_s: float = 10.0) -> Any:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError("condition not met in time")


class TestStoreContract:
    def test_a_run_comes_back_as_it_went_in(self, store: Store) -> None:
        run = a_run(resources=Resources(gpus=1, tags=("a100",)), tags=("paper",), provenance={"git": {"dirty": True}})
        store.add_runs([run])
        assert store.run("aaaa") == run

    def test_adding_the_same_run_again_adds_nothing(self, store: Store) -> None:
        assert store.add_runs([a_run("a1"), a_run("b1")]) == ["a1", "b1"]
        claimed_run = store.claim(WORKER, LONG_S)
        assert store.add_runs([a_run("a1"), a_run("b1"), a_run("c1")]) == ["c1"]
        assert claimed_run is not None
        assert store.run(claimed_run.id).state is State.RUNNING

    def test_two_people_adding_the_same_runs_at_once_add_each_once(self, store: Store) -> None:
        runs = [a_run(f"r{i:03}") for i in range(200)]
        added: list[str] = []
        threads = [threading.Thread(target=lambda: added.extend(store.add_runs(runs))) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(added) == [run.id for run in runs]

    def test_a_unique_prefix_finds_the_run(self, store: Store) -> None:
        store.add_runs([a_run("abc1"), a_run("abd2")])
        assert store.run("ABC").id == "abc1"
        with pytest.raises(AmbiguousId, match="abc1"):
            store.run("ab")
        with pytest.raises(NoSuchRun, match="zz"):
            store.run("zz")

    def test_queries_narrow_and_limit_to_the_newest(self, store: Store) -> None:
        store.add_runs([a_run(f"r{i}", index=i, tags=("t",) if i % 2 else ()) for i in range(6)])
        assert [run.id for run in store.runs(RunQuery(tag="t"))] == ["r1", "r3", "r5"]
        assert [run.id for run in store.runs(RunQuery(limit=2))] == ["r4", "r5"]
        assert store.runs(RunQuery(states=(State.FAILED,))) == []
        assert store.counts() == {State.QUEUED: 6}
        assert store.counts("other") == {}

    def test_runs_in_pages_are_the_runs_in_their_order(self, store: Store) -> None:
        store.add_runs([a_run(f"r{i:04}", index=i % 700, params={"lr": i % 7}) for i in range(2300)])
        by_lr = Order(field=Param(path=("lr",)), descending=True)
        for query in (RunQuery(), RunQuery(limit=5), RunQuery(limit=1500), RunQuery(order=by_lr), RunQuery(tag="none")):
            pages = list(store.runs_in_pages(query))
            assert [run for page in pages for run in page] == store.runs(query)

    def test_claims_go_by_priority_then_age_then_index(self, store: Store) -> None:
        old = datetime(2020, 1, 1, tzinfo=UTC)
        store.add_runs([a_run("late"), a_run("old2", queued_at=old, index=2), a_run("old1", queued_at=old, index=1)])
        store.add_runs([a_run("vip", priority=5)])
        order = [run.id for _ in range(4) if (run := store.claim(WORKER, LONG_S))]
        assert order == ["vip", "old1", "old2", "late"]
        assert store.claim(WORKER, LONG_S) is None

    @pytest.mark.parametrize(
        "wants",
        [
            Resources(gpus=1),
            Resources(cpus=5),
            Resources(memory_bytes=9 << 30),
            Resources(tags=("a100",)),
        ],
    )
    def test_a_run_that_does_not_fit_is_left_for_others(self, store: Store, wants: Resources) -> None:
        store.add_runs([a_run(resources=wants)])
        assert store.claim(WORKER, LONG_S) is None
        big = replace(WORKER, gpus=2, cpus=8, memory_bytes=16 << 30, tags=("a100", "fast"))
        assert store.claim(big, LONG_S) is not None

    def test_a_queue_is_served_by_its_workers_only(self, store: Store) -> None:
        store.add_runs([a_run(queue="gpu")])
        assert store.claim(WORKER, LONG_S) is None
        assert store.claim(replace(WORKER, queues=("gpu", "default")), LONG_S) is not None

    def test_a_claim_raises_the_attempt_and_writes_history(self, store: Store) -> None:
        run = claimed(store)
        assert (run.state, run.attempt) == (State.RUNNING, 1)
        assert run.lease is not None
        assert run.lease.worker == "w1"
        assert [(entry.number, entry.worker) for entry in run.history] == [(1, "w1")]

    def test_many_claimants_never_share_a_run(self, store: Store) -> None:
        store.add_runs([a_run(f"r{i:02}") for i in range(40)])
        taken: list[str] = []

        def work(name: str) -> None:
            while run := store.claim(replace(WORKER, name=name), LONG_S):
                taken.append(run.id)

        threads = [threading.Thread(target=work, args=(f"w{i}",)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(taken) == [f"r{i:02}" for i in range(40)]

    def test_a_shipment_offered_twice_is_stored_once(self, store: Store) -> None:
        run = claimed(store)
        store.begin(run.id, 1, None, {})
        first = shipment(0, [3.0, 2.0], first_line=1, first_index=0, output=b"hello\n")
        summary = summarize({}, first.segments)
        store.ship(run.id, 1, first, summary)
        store.ship(run.id, 1, first, summary)
        assert store.series(run.id, "loss").values == (3.0, 2.0)
        assert [chunk.data for chunk in store.log(run.id, 1)] == [b"hello\n"]
        stored = store.run(run.id)
        assert stored.summary["loss"].min == 2.0
        assert (stored.shipped.events_bytes, stored.shipped.output_bytes) == (20, 6)

    def test_a_shipment_with_a_gap_is_refused(self, store: Store) -> None:
        run = claimed(store)
        with pytest.raises(StoreFailed, match="begin"):
            store.ship(run.id, 1, shipment(10, [1.0], first_line=2, first_index=1), {})
        assert store.series(run.id, "loss").values == ()

    def test_a_long_series_comes_back_whole_and_in_order(self, store: Store) -> None:
        run = claimed(store)
        store.begin(run.id, 1, None, {})
        for k in range(5):
            store.ship(run.id, 1, shipment(6000 * k, [float(600 * k + i) for i in range(600)],
                       first_line=1 + 600 * k, first_index=600 * k), {})  # fmt: skip
        assert store.series(run.id, "loss").values == tuple(float(i) for i in range(3000))
        assert store.series_names(run.id) == ["loss"]

    def test_special_values_survive(self, store: Store) -> None:
        run = claimed(store)
        values = [float("inf"), float("-inf"), 5e-324, 0.1 + 0.2, float("nan")]
        store.ship(run.id, 1, shipment(0, values, first_line=1, first_index=0), {})
        assert [repr(value) for value in store.series(run.id, "loss").values] == [repr(value) for value in values]

    def test_a_curve_is_the_series_as_arrays(self, store: Store) -> None:
        run = claimed(store)
        assert store.curve(run.id, "loss").values.shape == (0,)
        values = [math.inf if i == 3 else math.nan if i == 1007 else i / 7 for i in range(2345)]
        store.ship(run.id, 1, shipment(0, values[:1500], first_line=1, first_index=0), {})
        store.ship(run.id, 1, shipment(15_000, values[1500:], first_line=2**31 - 100, first_index=1500), {})
        curve, series = store.curve(run.id, "loss"), store.series(run.id, "loss")
        assert (curve.name, str(curve.steps.dtype), str(curve.values.dtype)) == ("loss", "int64", "float64")
        assert curve.steps.tolist() == list(series.steps) == list(range(2345))
        assert curve.times.tolist() == list(series.times)
        assert list(map(repr, curve.values.tolist())) == list(map(repr, series.values)) == list(map(repr, values))

    def test_axes_of_a_curve_that_are_not_asked_for_are_left_out(self, store: Store) -> None:
        run = claimed(store)
        values = [math.nan if i % 500 == 3 else float(i) for i in range(2100)]
        store.ship(run.id, 1, shipment(0, values, first_line=1, first_index=0), {})
        whole = store.curve(run.id, "loss")
        for axes in ((), (Axis.STEP,), (Axis.TIME,), (Axis.STEP, Axis.TIME)):
            curve = store.curve(run.id, "loss", axes)
            assert repr(curve.values.tolist()) == repr(values)
            assert curve.steps.tolist() == (whole.steps.tolist() if Axis.STEP in axes else [])
            assert curve.times.tolist() == (whole.times.tolist() if Axis.TIME in axes else [])
            assert (str(curve.steps.dtype), str(curve.times.dtype)) == ("int64", "float64")

    def test_a_new_attempt_drops_what_came_after_its_checkpoint(self, store: Store, tmp_path: Path) -> None:
        run = claimed(store, lease_s=SHORT_S)
        store.begin(run.id, 1, None, {})
        points = shipment(0, [5.0, 4.0, 3.0, 2.0], first_line=1, first_index=0)
        store.ship(run.id, 1, points, summarize({}, points.segments))
        file = tmp_path / "weights.bin"
        file.write_bytes(b"w" * 700_000)
        stored = store.publish_checkpoint(a_checkpoint(run, line=2), file, 2)
        store.settle(run.id, 1, Settlement(state=State.QUEUED, reason=Reason.LOST))
        again = until(lambda: store.claim(WORKER, LONG_S))
        assert again.checkpoint == stored
        resumed = store.begin(run.id, 2, stored, {"host": "here"})
        assert store.series(run.id, "loss").values == (5.0, 4.0)
        assert resumed.summary["loss"].last == 4.0
        assert resumed.summary["loss"].min == 4.0
        store.ship(run.id, 2, shipment(0, [3.5], first_line=1, first_index=0), {})
        assert store.series(run.id, "loss").values == (5.0, 4.0, 3.5)
        assert store.run(run.id).history[1].resumed_from_step == 7
        assert store.run(run.id).history[1].facts["host"] == "here"

    def test_a_new_attempt_without_checkpoint_starts_clean(self, store: Store) -> None:
        run = claimed(store)
        store.ship(run.id, 1, shipment(0, [5.0], first_line=1, first_index=0), {})
        store.settle(run.id, 1, Settlement(state=State.QUEUED, reason=Reason.LOST))
        until(lambda: store.claim(WORKER, LONG_S))
        assert store.begin(run.id, 2, None, {}).summary == {}
        assert store.series(run.id, "loss").values == ()

    def test_checkpoints_come_back_bit_for_bit_and_old_ones_go(self, store: Store, tmp_path: Path) -> None:
        run = claimed(store)
        file = tmp_path / "weights.bin"
        for line in range(1, 5):
            file.write_bytes(bytes([line]) * 300_000)
            store.publish_checkpoint(a_checkpoint(run, line=line, step=line), file, 2)
        kept = store.checkpoints(run.id)
        assert [checkpoint.step for checkpoint in kept] == [4, 3]
        fetched = store.fetch_checkpoint(kept[0], tmp_path / "resume")
        assert fetched.name == "weights.bin"
        assert fetched.read_bytes() == file.read_bytes()
        assert store.run(run.id).checkpoint == kept[0]

    def test_the_best_checkpoint_stays_beside_the_newest(self, store: Store, tmp_path: Path) -> None:
        run = claimed(store)
        file = tmp_path / "weights.bin"
        for line in range(1, 8):
            file.write_bytes(bytes([line]) * 1000)
            best = line in (1, 3)
            store.publish_checkpoint(replace(a_checkpoint(run, line=line, step=line), best=best), file, 2)
        assert [(one.step, one.best) for one in store.checkpoints(run.id)] == [(7, False), (6, False), (3, True)]
        fetched = store.fetch_checkpoint(store.checkpoints(run.id)[2], tmp_path / "best")
        assert fetched.read_bytes() == bytes([3]) * 1000
        assert store.run(run.id).checkpoint == store.checkpoints(run.id)[0]

    def test_a_directory_is_a_checkpoint_too(self, store: Store, tmp_path: Path) -> None:
        run = claimed(store)
        folder = tmp_path / "model"
        (folder / "sub").mkdir(parents=True)
        (folder / "a.txt").write_text("a")
        (folder / "sub" / "b.txt").write_text("b")
        checkpoint = replace(a_checkpoint(run, line=1), name="model", is_dir=True)
        stored = store.publish_checkpoint(checkpoint, folder, 2)
        fetched = store.fetch_checkpoint(stored, tmp_path / "resume")
        assert (fetched / "a.txt").read_text() == "a"
        assert (fetched / "sub" / "b.txt").read_text() == "b"
        assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "resume"]

    def test_the_checkpoint_that_is_pointed_to_always_stays(self, store: Store, tmp_path: Path) -> None:
        run = claimed(store)
        file = tmp_path / "weights.bin"
        for state in range(5):  # published without a single event line: nothing but their order tells them apart
            file.write_bytes(b"state %d" % state)
            newest = store.publish_checkpoint(a_checkpoint(run, line=0, step=0), file, 2)
        assert store.run(run.id).checkpoint == newest
        assert store.checkpoints(run.id)[0] == newest
        assert store.fetch_checkpoint(newest, tmp_path / "resume").read_bytes() == b"state 4"

    def test_links_out_of_a_folder_become_files(self, store: Store, tmp_path: Path) -> None:
        run = claimed(store)
        (tmp_path / "outside.txt").write_text("outside")
        folder = tmp_path / "model"
        folder.mkdir()
        (folder / "a.txt").write_text("a")
        (folder / "absolute").symlink_to(tmp_path / "outside.txt")
        (folder / "inner").symlink_to("a.txt")
        (folder / "dangling").symlink_to("nowhere")
        stored = store.publish_checkpoint(replace(a_checkpoint(run, line=1), name="model", is_dir=True), folder, 2)
        fetched = store.fetch_checkpoint(stored, tmp_path / "resume")
        assert (fetched / "absolute").read_text() == "outside"
        assert (fetched / "inner").read_text() == "a"

    def test_a_settlement_is_decided_on_the_run_as_it_is(self, store: Store) -> None:
        run = claimed(store)
        changed(store, run.id, CANCEL)
        seen: list[Wish | None] = []

        def decide(now: Run) -> Settlement:
            seen.append(now.wish)
            return Settlement(state=State.CANCELLED, reason=Reason.STOPPED)

        assert store.settle(run.id, 1, decide).state is State.CANCELLED
        assert seen[-1] is Wish.CANCEL

    def test_a_checkpoint_that_is_not_there_is_called_damaged(self, store: Store, tmp_path: Path) -> None:
        run = claimed(store)
        ghost = replace(a_checkpoint(run, line=1), id="0" * 24, sha256="x")
        with pytest.raises(CheckpointDamaged):
            store.fetch_checkpoint(ghost, tmp_path)

    def test_artifacts_are_kept_by_name_and_the_newest_wins(self, store: Store, tmp_path: Path) -> None:
        run = claimed(store)
        file = tmp_path / "report.txt"
        for text in ("first", "second"):
            file.write_text(text)
            store.add_artifact(run.id, 1, file)
        (kept,) = store.artifacts(run.id)
        assert (kept.name, kept.size_bytes) == ("report.txt", 6)
        (tmp_path / "out").mkdir()
        assert store.fetch_artifact(kept, tmp_path / "out").read_text() == "second"

    def test_artifacts_of_one_name_from_several_places_are_all_kept(self, store: Store, tmp_path: Path) -> None:
        run = claimed(store)
        for place in ("a", "b", "c", "b"):
            (tmp_path / place).mkdir(exist_ok=True)
            (tmp_path / place / "report.txt").write_text(f"of {place}")
            store.add_artifact(run.id, 1, tmp_path / place / "report.txt", place)
        kept = store.artifacts(run.id)
        assert [(one.name, one.source) for one in kept] == [
            ("report-2.txt", "b"), ("report-3.txt", "c"), ("report.txt", "a"),
        ]  # fmt: skip
        assert store.fetch_artifact(kept[0], tmp_path).read_text() == "of b"

    def test_what_is_no_file_is_no_artifact_and_no_checkpoint(self, store: Store, tmp_path: Path) -> None:
        run = claimed(store)
        os.mkfifo(tmp_path / "pipe")
        for path in (tmp_path / "pipe", Path("/dev/zero")):
            with pytest.raises(OSError, match="no regular file"):
                store.add_artifact(run.id, 1, path)
            with pytest.raises(OSError, match="no regular file"):
                store.publish_checkpoint(a_checkpoint(run, line=1), path, 2)

    def test_a_stale_attempt_can_change_nothing(self, store: Store, tmp_path: Path) -> None:
        run = claimed(store, lease_s=SHORT_S)
        store.begin(run.id, 1, None, {})
        until(store.expired)
        store.settle(run.id, 1, Settlement(state=State.QUEUED, reason=Reason.LOST), only_expired=True)
        taken = until(lambda: store.claim(OTHER, LONG_S))
        assert taken.attempt == 2
        file = tmp_path / "weights.bin"
        file.write_bytes(b"stale")
        attempts: list[Callable[[], Any]] = [
            lambda: store.renew(run.id, 1, LONG_S),
            lambda: store.begin(run.id, 1, None, {}),
            lambda: store.note_facts(run.id, 1, {"x": 1}),
            lambda: store.ship(run.id, 1, shipment(0, [1.0], first_line=1, first_index=0), {}),
            lambda: store.publish_checkpoint(a_checkpoint(run, line=1), file, 2),
            lambda: store.add_artifact(run.id, 1, file),
            lambda: store.settle(run.id, 1, FINISHED),
        ]
        for write in attempts:
            with pytest.raises(Superseded):
                write()
        after = store.run(run.id)
        assert after == taken
        assert store.checkpoints(run.id) == []
        assert store.artifacts(run.id) == []
        assert store.series(run.id, "loss").values == ()
        assert store.notices() == []

    def test_the_best_run_is_claimed_among_many_different_demands(self, store: Store) -> None:
        runs = [
            a_run(f"demand{number:03d}", priority=number, resources=Resources(tags=(f"t{number}",)))
            for number in range(160)
        ]
        store.add_runs(runs)
        for count in (160, 20):  # more of them than can be merged from an index, and fewer
            worker = replace(WORKER, tags=tuple(f"t{number}" for number in range(count)))
            best = [store.claim(worker, LONG_S) for _ in range(3)]
            assert [run and run.priority for run in best] == [count - 1, count - 2, count - 3]
        assert store.claim(WORKER, LONG_S) is None

    def test_a_late_renewal_succeeds_when_nobody_claimed_in_between(self, store: Store) -> None:
        run = claimed(store, lease_s=SHORT_S)
        until(store.expired)
        assert store.renew(run.id, 1, LONG_S) is None
        assert store.expired() == []

    def test_repair_cannot_release_a_lease_that_was_renewed(self, store: Store) -> None:
        run = claimed(store, lease_s=SHORT_S)
        (found,) = until(store.expired)
        store.renew(run.id, 1, LONG_S)
        with pytest.raises(Superseded):
            store.settle(found.id, found.attempt, Settlement(state=State.QUEUED), only_expired=True)
        assert store.run(run.id).state is State.RUNNING

    def test_an_attempt_given_up_as_lost_goes_on_when_nobody_has_begun_another(self, store: Store) -> None:
        run = claimed(store)
        store.begin(run.id, 1, None, {"host": "here"})
        store.ship(run.id, 1, shipment(0, [0.5], first_line=1, first_index=0), {})
        lost = Settlement(state=State.QUEUED, reason=Reason.LOST, ending=Ending(reason=Reason.LOST), setbacks=1)
        store.settle(run.id, 1, lost)
        assert not store.rejoin(run.id, 1, OTHER.name, LONG_S)
        assert store.rejoin(run.id, 1, WORKER.name, LONG_S)
        again = store.run(run.id)
        assert (again.state, again.attempt, again.reason, again.ending) == (State.RUNNING, 1, None, None)
        assert (again.history[0].ended_at, again.history[0].facts) == (None, {"host": "here"})
        assert [event.event for event in store.events(run.id)][-1] == "rejoined"
        store.ship(run.id, 1, shipment(10, [0.4], first_line=2, first_index=1), {})
        assert store.series(run.id, "loss").values == (0.5, 0.4)
        assert not store.rejoin(run.id, 1, WORKER.name, LONG_S)

    @pytest.mark.parametrize("reason", [Reason.DRAINED, Reason.ERROR])
    def test_an_attempt_that_ended_otherwise_is_over(self, store: Store, reason: Reason) -> None:
        run = claimed(store)
        store.settle(run.id, 1, Settlement(state=State.QUEUED, reason=reason))
        assert not store.rejoin(run.id, 1, WORKER.name, LONG_S)

    def test_an_attempt_that_another_has_followed_is_over(self, store: Store) -> None:
        run = claimed(store)
        store.settle(run.id, 1, Settlement(state=State.QUEUED, reason=Reason.LOST))
        assert store.claim(OTHER, LONG_S) is not None
        assert not store.rejoin(run.id, 1, WORKER.name, LONG_S)
        store.settle(run.id, 2, Settlement(state=State.QUEUED, reason=Reason.LOST))
        assert not store.rejoin(run.id, 1, WORKER.name, LONG_S)
        assert not store.rejoin("nosuchrun", 1, WORKER.name, LONG_S)

    def test_settling_ends_the_run_and_owes_the_event_at_once(self, store: Store) -> None:
        run = claimed(store)
        ending = Ending(reason=Reason.ERROR, exit_code=3, message="boom")
        after = store.settle(run.id, 1, Settlement(state=State.FAILED, reason=Reason.ERROR, ending=ending))
        assert store.run(run.id) == after
        assert (after.state, after.reason, after.lease) == (State.FAILED, Reason.ERROR, None)
        assert after.history[0].ending == ending
        assert after.history[0].ended_at is not None
        (owed,) = store.owed(10)
        assert (owed.about, owed.event.run, owed.event.reason) == (Occasion.FAILED, run.id, Reason.ERROR)
        with pytest.raises(Superseded):
            store.settle(run.id, 1, FINISHED)
        assert store.owed(10) == [owed]

    def test_a_delayed_run_waits_for_its_time(self, store: Store) -> None:
        run = claimed(store)
        store.settle(run.id, 1, Settlement(state=State.QUEUED, reason=Reason.KILLED, backoff_s=0.4, setbacks=1))
        assert store.claim(WORKER, LONG_S) is None
        assert store.ringable(10) == []
        again = until(lambda: store.claim(WORKER, LONG_S))
        assert (again.attempt, again.setbacks) == (2, 1)

    def test_a_wish_reaches_the_holder_at_its_renewal(self, store: Store) -> None:
        run = claimed(store)
        assert changed(store, run.id, CANCEL).state is State.RUNNING
        assert store.renew(run.id, 1, LONG_S) is Wish.CANCEL

    def test_a_waiting_run_is_cancelled_at_once_and_the_owed_mail_is_recorded(self, store: Store) -> None:
        told = Notify(to=("me@lab.example",), on=(State.CANCELLED,))
        store.add_runs([a_run(notify=told)])
        assert changed(store, "aaaa", CANCEL).state is State.CANCELLED
        assert store.run("aaaa").reason is Reason.STOPPED
        assert store.claim(WORKER, LONG_S) is None
        assert [(owed.about, owed.notify) for owed in store.owed(10)] == [(Occasion.CANCELLED, told)]
        again = store.change(["aaaa"], CANCEL)
        assert again.runs == ()
        assert "cancelled" in (again.refused or {})["aaaa"]

    def test_many_are_changed_at_once_and_those_it_does_not_suit_are_left_alone(self, store: Store) -> None:
        runs = [a_run(f"r{number:03}", index=number) for number in range(250)]
        store.add_runs(runs)
        changed(store, "r007", CANCEL)
        done = store.change([*(run.id for run in runs), "nobody"], replace(CANCEL, by="me@here", because="cleaning up"))
        assert len(done.runs) == 249
        assert set(done.refused or {}) == {"r007", "nobody"}
        assert store.counts() == {State.CANCELLED: 250}
        assert [(event.event, event.by, event.because) for event in store.events("r123")] == [
            ("stop", "me@here", "cleaning up")
        ]

    def test_a_paused_run_is_claimed_by_nobody_until_it_is_resumed(self, store: Store) -> None:
        store.add_runs([a_run()])
        assert changed(store, "aaaa", PAUSE).state is State.PAUSED
        assert store.claim(WORKER, LONG_S) is None
        assert store.ringable(10) == []
        assert "paused already" in refusal(store, "aaaa", PAUSE)
        assert "labq resume" in refusal(store, "aaaa", REQUEUE)
        assert changed(store, "aaaa", RESUME).state is State.QUEUED
        assert "queued already" in refusal(store, "aaaa", RESUME)
        assert store.claim(WORKER, LONG_S) is not None

    def test_a_running_run_is_asked_to_pause_and_may_be_resumed_before_it_has(self, store: Store) -> None:
        run = claimed(store)
        assert changed(store, run.id, PAUSE).state is State.RUNNING
        assert store.renew(run.id, 1, LONG_S) is Wish.PAUSE
        assert changed(store, run.id, RESUME).wish is None
        assert store.renew(run.id, 1, LONG_S) is None
        changed(store, run.id, PAUSE)
        after = store.settle(run.id, 1, Settlement(state=State.PAUSED, reason=Reason.DRAINED))
        assert (after.state, after.lease, after.not_before, after.ended_at) == (State.PAUSED, None, None, None)
        assert changed(store, run.id, CANCEL).state is State.CANCELLED

    def test_a_run_that_is_being_stopped_is_not_asked_for_anything_less(self, store: Store) -> None:
        run = claimed(store)
        changed(store, run.id, CANCEL)
        assert "being stopped" in refusal(store, run.id, PAUSE)
        assert "being stopped" in refusal(store, run.id, REQUEUE)

    def test_priority_decides_who_is_claimed_first_and_who_is_ahead(self, store: Store) -> None:
        store.add_runs([a_run("aaaa"), a_run("bbbb", index=1), a_run("cccc", index=2, queue="other")])
        assert [store.ahead(store.run(name)) for name in ("aaaa", "bbbb", "cccc")] == [0, 1, 0]
        changed(store, "bbbb", Change(name="priority", apply=prioritised(5)))
        assert [store.ahead(store.run(name)) for name in ("aaaa", "bbbb")] == [1, 0]
        taken = store.claim(WORKER, LONG_S)
        assert taken is not None
        assert taken.id == "bbbb"

    def test_an_ended_run_can_be_requeued_with_or_without_its_checkpoint(self, store: Store, tmp_path: Path) -> None:
        run = claimed(store)
        file = tmp_path / "w"
        file.write_bytes(b"w")
        store.publish_checkpoint(a_checkpoint(run, line=1), file, 2)
        assert "running" in refusal(store, run.id, SCRATCH)
        assert changed(store, run.id, REQUEUE).wish is Wish.REQUEUE
        store.settle(run.id, 1, Settlement(state=State.FAILED, reason=Reason.ERROR))
        assert changed(store, run.id, REQUEUE).checkpoint is not None
        again = store.claim(WORKER, LONG_S)
        assert again is not None
        assert again.attempt == 2
        store.settle(run.id, 2, FINISHED)
        assert changed(store, run.id, SCRATCH).checkpoint is None
        assert store.checkpoints(run.id) == []

    def test_what_happened_to_a_run_is_told_in_order(self, store: Store) -> None:
        run = claimed(store)
        store.begin(run.id, 1, None, {})
        changed(store, run.id, CANCEL)
        store.settle(run.id, 1, Settlement(state=State.CANCELLED, reason=Reason.STOPPED))
        assert [event.event for event in store.events(run.id)] == ["began", "stop", "cancelled"]
        assert store.events(run.id)[-1].reason is Reason.STOPPED

    def test_an_order_to_leave_reaches_the_worker_or_every_worker_of_its_host(self, store: Store) -> None:
        assert store.seen(WORKER) is None
        store.drain(Drain(target="w1", after_current=False, by="me"))
        order = store.seen(WORKER)
        assert order is not None
        assert (order.target, order.after_current, order.by) == ("w1", False, "me")
        assert store.seen(OTHER) is None
        store.drain(Drain(target="here"))
        both = store.seen(OTHER), store.seen(WORKER)
        assert [order and (order.target, order.after_current) for order in both] == [("here", True), ("w1", False)]
        store.gone("w1")
        assert [order.target for order in store.drains()] == ["here"]
        assert store.undrain("here")
        assert not store.undrain("here")
        assert store.seen(WORKER) is None

    def test_an_order_for_later_holds_from_then_on(self, store: Store) -> None:
        store.drain(Drain(target="here"), in_s=SHORT_S)
        assert store.seen(WORKER) is None
        assert until(lambda: store.seen(WORKER)).target == "here"

    def test_a_lock_has_one_holder_until_its_lease_ends(self, store: Store) -> None:
        assert store.lock("repair", "a", SHORT_S, LONG_S) is not None
        assert store.lock("repair", "a", SHORT_S, LONG_S) is not None
        assert store.lock("repair", "b", SHORT_S, LONG_S) is None
        until(lambda: store.lock("repair", "b", SHORT_S, LONG_S) is not None)

    def test_a_lock_tells_for_how_long_somebody_was_there(self, store: Store) -> None:
        assert store.lock("repair", "a", 0.05, LONG_S) == 0.0
        held_s = until(lambda: store.lock("repair", "b", 0.05, LONG_S))
        assert held_s >= 0.05
        time.sleep(0.2)  # nobody there for longer than the gap that is forgiven
        assert store.lock("repair", "a", 0.05, 0.1) == 0.0

    def test_workers_are_seen_and_leave(self, store: Store) -> None:
        store.seen(replace(WORKER, run="aaaa"))
        store.seen(OTHER)
        assert [worker.name for worker in store.workers(60)] == ["w1", "w2"]
        assert store.workers(60)[0].run == "aaaa"
        store.gone("w1")
        assert [worker.name for worker in store.workers(60)] == ["w2"]

    def test_a_refused_run_is_left_to_others_and_comes_back_later(self, store: Store) -> None:
        run = claimed(store)
        refusal = Ending(reason=Reason.REFUSED, message="here: no disk")
        refused = Refused(by="here", lasting=False, pause_s=SHORT_S)
        back = Settlement(state=State.QUEUED, reason=Reason.REFUSED, ending=refusal, refused=refused)
        after = store.settle(run.id, 1, back)
        assert (after.state, after.reason, after.remark) == (State.QUEUED, Reason.REFUSED, "here: no disk")
        assert (after.setbacks, after.history, after.attempt) == (0, (), 1)
        assert store.run(run.id) == after
        assert store.ringable(10) == []
        assert store.claim(OTHER, LONG_S) is None
        again = until(lambda: store.claim(WORKER, LONG_S))
        assert again.attempt == 2
        store.settle(run.id, 2, back)
        elsewhere = store.claim(replace(WORKER, name="w3", host="there"), LONG_S)
        assert elsewhere is not None
        assert [(r.by, r.count, r.lasting) for r in elsewhere.refusals] == [("here", 2, False)]
        finished = store.settle(run.id, 3, FINISHED)
        assert (finished.refusals, finished.remark) == ((), "")
        assert [entry.number for entry in finished.history] == [3]

    def test_a_worker_may_refuse_for_itself_alone(self, store: Store) -> None:
        run = claimed(store)
        refused = Refused(by="w1", lasting=True, pause_s=LONG_S)
        store.settle(run.id, 1, Settlement(state=State.QUEUED, reason=Reason.REFUSED, refused=refused))
        assert store.claim(WORKER, LONG_S) is None
        assert store.claim(OTHER, LONG_S) is not None

    def test_samples_and_peaks_are_kept(self, store: Store) -> None:
        store.add_experiment(Experiment(name="exp", owner="me", source="f", text="", created_at=a_run().queued_at))
        run = claimed(store)
        gpu = GpuSample(index=1, memory_bytes=5 << 30, busy=0.5, power_w=200.0, celsius=60.0)
        sample = Sample(
            run=run.id, attempt=1, host="here", cpu_s=1.5, memory_bytes=7 << 20, read_bytes=1, written_bytes=2,
            disk_free_bytes=3, gpus=(gpu,),
        )  # fmt: skip
        store.add_sample(sample, Peaks(memory_bytes=7 << 20, gpu_memory_bytes=5 << 30), LONG_S)
        store.add_sample(replace(sample, cpu_s=2.5, memory_bytes=6), Peaks(memory_bytes=6), LONG_S)
        first, second = store.samples(run.id)
        assert (replace(first, at=None), second.cpu_s) == (sample, 2.5)
        assert first.at is not None
        assert store.run(run.id).history[0].peaks == Peaks(memory_bytes=7 << 20, gpu_memory_bytes=5 << 30)
        assert store.peaks("exp") == Peaks(memory_bytes=7 << 20, gpu_memory_bytes=5 << 30)
        assert store.peaks("unheard of") == Peaks()

    def test_an_enqueue_forgets_no_peaks_and_checkpoints_count(self, store: Store, tmp_path: Path) -> None:
        experiment = Experiment(name="exp", owner="me", source="f", text="", created_at=a_run().queued_at)
        store.add_experiment(experiment)
        run = claimed(store)
        file = tmp_path / "w"
        file.write_bytes(b"w" * 1000)
        store.publish_checkpoint(a_checkpoint(run, line=1), file, 2)
        store.add_experiment(replace(experiment, owner="you"))
        assert store.peaks("exp") == Peaks(checkpoint_bytes=1000)
        assert store.experiments()[0].owner == "you"

    def test_a_sample_of_a_lost_attempt_raises_no_peak(self, store: Store) -> None:
        run = claimed(store)
        store.settle(run.id, 1, Settlement(state=State.QUEUED, reason=Reason.LOST))
        late = Sample(
            run=run.id, attempt=1, host="here", cpu_s=0, memory_bytes=9, read_bytes=0, written_bytes=0,
            disk_free_bytes=0,
        )  # fmt: skip
        with pytest.raises(Superseded):
            store.add_sample(late, Peaks(memory_bytes=9), LONG_S)
        assert store.peaks("exp") == Peaks()

    def test_runs_of_a_worker_are_found(self, store: Store) -> None:
        run = claimed(store)
        assert [held.id for held in store.held_by("w1")] == [run.id]
        assert store.held_by("w2") == []

    def test_texts_are_kept_once(self, store: Store) -> None:
        first, second = store.add_blob("diff"), store.add_blob("diff")
        assert first == second
        assert store.blob(first) == "diff"
        assert store.blob("nothing") is None

    def test_experiments_are_listed_newest_first(self, store: Store) -> None:
        when = datetime(2026, 1, 1, tzinfo=UTC)
        for i, name in enumerate(["old", "new"]):
            store.add_experiment(
                Experiment(name=name, owner="me", source="f", text="", created_at=when + timedelta(days=i))
            )
        assert [experiment.name for experiment in store.experiments()] == ["new", "old"]


def test_a_clock_set_back_frees_a_lock_in_memory() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    store = MemoryStore(lambda: now)
    assert store.lock("repair", "a", LONG_S, LONG_S) == 0.0
    now -= timedelta(hours=1)
    assert store.lock("repair", "b", LONG_S, LONG_S) == 0.0
    assert store.lock("repair", "a", LONG_S, LONG_S) is None


def test_a_clock_set_back_frees_a_lock_in_mongodb(mongo_store: MongoStore) -> None:
    assert mongo_store.lock("repair", "a", LONG_S, LONG_S) is not None
    hour = {"$add": ["$$ROOT.taken", 3_600_000]}  # an hour back: what it says lies in the future
    later = {"taken": hour, "since": hour, "until": hour}
    mongo_store.database["locks"].update_one({"_id": "repair"}, [{"$set": later}])
    assert mongo_store.lock("repair", "b", LONG_S, LONG_S) == 0.0
    assert mongo_store.lock("repair", "a", LONG_S, LONG_S) is None


def buckets(run: Run, attempt: int, name: str, count: int) -> list[dict[str, Any]]:
    """Two points each, at lines 0, 1 | 2, 3 | …"""
    fixed = {"run": run.id, "name": name, "attempt": attempt, "time": [1.0, 1.0], "value": [1.0, 2.0]}
    return [{**fixed, "bucket": n, "line": [2 * n, 2 * n + 1], "step": [2 * n, 2 * n + 1]} for n in range(count)]


def again(store: Store, run: Run) -> Run:
    store.settle(run.id, run.attempt, Settlement(state=State.QUEUED, reason=Reason.LOST))
    return until(lambda: store.claim(WORKER, LONG_S))


def test_a_long_history_is_cut_in_pieces(mongo_store: MongoStore, tmp_path: Path) -> None:
    first = claimed(mongo_store)
    metrics = mongo_store.database["metrics"]
    metrics.insert_many([*buckets(first, 1, "loss", 900), *buckets(first, 1, "rare", 2), *buckets(first, 1, "a", 51)])
    file = tmp_path / "weights.bin"
    file.write_bytes(b"w")
    stored = mongo_store.publish_checkpoint(a_checkpoint(first, line=100), file, 2)
    second = again(mongo_store, first)
    metrics.insert_many(buckets(second, 2, "loss", 450))
    third = again(mongo_store, second)
    summary = mongo_store.begin(third.id, 3, stored, {}).summary
    assert {name: one.count for name, one in summary.items()} == {"loss": 101, "rare": 4, "a": 101}
    assert mongo_store.series(first.id, "loss").steps == tuple(range(101))
    assert len(mongo_store.series(first.id, "loss").values) == 101


def test_a_history_that_outlasts_a_time_out_does_not_keep_a_run_from_beginning(
    mongo_store: MongoStore, servers: Settings
) -> None:
    first = claimed(mongo_store)
    mongo_store.database["metrics"].insert_many(buckets(first, 1, "loss", 60_000))
    second = again(mongo_store, first)
    hasty = open_store(places(servers.home).mongo_url, mongo_store.database.name, timeout_s=1.0)
    assert hasty.begin(second.id, 2, None, {}).summary == {}
    assert hasty.series(first.id, "loss").values == ()
    hasty.close()


class Slow(io.BytesIO):
    """A large file on a slow line: four blocks of 0.4 s."""

    def read(self, size: int | None = -1, /) -> bytes:
        time.sleep(0.4)
        return super().read(-1 if size is None else 10)


def test_an_artifact_that_takes_longer_than_the_longest_wait_is_kept(
    mongo_store: MongoStore, servers: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = claimed(mongo_store)
    monkeypatch.setattr("store.mongo.uploads.open_regular", lambda _: Slow(b"x" * 35))
    patient = open_store(places(servers.home).mongo_url, mongo_store.database.name, timeout_s=1.0)
    patient.add_artifact(run.id, 1, tmp_path / "large.bin")
    (kept,) = patient.artifacts(run.id)
    assert patient.fetch_artifact(kept, tmp_path).read_bytes() == b"x" * 35
    patient.close()

    # ── the whole lab ──
    def test_the_whole_lab_is_told_in_bounded_pieces(self, store: Store) -> None:
        store.add_runs([a_run(f"q{i}", index=i, experiment=f"e{i % 2}", provenance={"git": {}}) for i in range(6)])
        store.add_runs([a_run("g1", queue="gpu"), a_run("vip", priority=9)])
        assert store.waiting_experiments(5) == {
            ("default", "exp"): 1,
            ("default", "e0"): 2,
            ("default", "e1"): 2,
            ("gpu", "exp"): 1,
        }
        taken = [store.claim(WORKER, LONG_S) for _ in range(3)]
        assert [run.id for run in store.running(10)] == ["vip", "q0", "q1"]
        assert store.running(10)[0].provenance == {}
        assert len(store.running(2)) == 2
        for run in taken[:2]:
            assert run is not None
            store.settle(run.id, run.attempt, FINISHED)
        assert [run.id for run in store.recently_ended(10)] == ["q0", "vip"]
        assert [run.id for run in store.recently_ended(1)] == ["q0"]
        assert store.queue_lengths() == {
            (State.QUEUED, "default"): 4, (State.QUEUED, "gpu"): 1, (State.RUNNING, "default"): 1,
            (State.FINISHED, "default"): 2,
        }  # fmt: skip

    def test_a_run_that_was_requeued_is_no_recent_ending(self, store: Store) -> None:
        run = claimed(store)
        store.settle(run.id, run.attempt, FINISHED)
        changed(store, run.id, REQUEUE)
        assert store.recently_ended(10) == []
        again = store.claim(WORKER, LONG_S)
        assert again is not None
        assert [attempt.number for attempt in store.running(1)[0].history] == [2]

    def test_the_newest_samples_of_some_runs(self, store: Store) -> None:
        run, other = claimed(store), claimed(store, a_run("bbbb"))
        for n, one in enumerate((run, run, other)):
            sample = Sample(
                run=one.id,
                attempt=1,
                host="h",
                cpu_s=n,
                memory_bytes=1,
                read_bytes=0,
                written_bytes=0,
                disk_free_bytes=1,
            )
            store.add_sample(sample, Peaks(), LONG_S)
            time.sleep(0.002)
        assert [sample.cpu_s for sample in store.newest_samples([run.id], 30)] == [0, 1]
        assert len(store.newest_samples([run.id, other.id], 30)) == 3
        time.sleep(0.05)
        assert store.newest_samples([run.id], 0.01) == []

    # ── damage ──
    def test_a_worker_not_seen_for_long_is_stale_until_it_comes_back(self, store: Store) -> None:
        store.seen(WORKER)
        assert list(store.faults(Damage.STALE_WORKER, stale_s=60)) == []
        time.sleep(0.05)
        (fault,) = store.faults(Damage.STALE_WORKER, stale_s=0.01)
        store.seen(WORKER)
        assert not store.mend(fault, stale_s=60)
        time.sleep(0.05)
        assert store.mend(fault, stale_s=0.01)
        assert not store.mend(fault, stale_s=0.01)
        assert store.workers(60) == []

    def test_a_lock_that_no_lease_explains_is_stale(self, store: Store) -> None:
        store.lock("short", "w1", LONG_S, gap_s=1)
        store.lock("long", "w1", 10 * 86400, gap_s=1)
        (fault,) = store.faults(Damage.STALE_LOCK, stale_s=60)
        assert (fault.damage, fault.id) == (Damage.STALE_LOCK, "long")
        assert store.mend(fault, stale_s=60)
        assert store.lock("long", "w2", LONG_S, gap_s=1) is not None
        assert store.lock("short", "w2", LONG_S, gap_s=1) is None

    @pytest.mark.parametrize("damage", list(Damage))
    def test_a_store_in_order_has_nothing_to_mend(self, store: Store, damage: Damage) -> None:
        store.seen(WORKER)
        run = claimed(store)
        store.settle(run.id, run.attempt, FINISHED)
        assert list(store.faults(damage, stale_s=60, deep=True)) == []
