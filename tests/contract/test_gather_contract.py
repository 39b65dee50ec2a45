"""What a message is made of, read from both stores: the same, bounded, and without losing it over one bad part."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from notify import gather_sweep
from notify.compose import compose
from notify.gather import gather
from store.errors import NoSuchRun, StoreFailed, StoreUnavailable
from store.experiments import Experiment
from store.findings import Diagnosis, Disease, Finding, Severity
from store.memory import MemoryStore
from store.metrics import Curve, Point, Shipment, segments, summarize
from store.notices import Notice
from store.occasions import Occasion
from store.runs import Ending, Run, Task
from store.samples import Peaks, Sample
from store.states import Reason, State
from store.store import Settlement, Store
from store.workers import Worker

NOW = datetime(2026, 1, 1, tzinfo=UTC)
WORKER = Worker(name="w1", host="gpu1", pid=1, memory_bytes=10**12)
LEAK = Finding(disease=Disease.MEMORY_GROWTH, severity=Severity.WARNING, evidence="1 GB an hour", advice="Look.")


@pytest.fixture(params=["memory", "mongo"])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    if request.param == "mongo":
        yield request.getfixturevalue("mongo_store")
    else:
        yield MemoryStore()


def a_run(place: int, params: dict[str, Any]) -> Run:
    return Run(
        id=f"run{place:05}abcd", key=f"key-{place}", experiment="exp", params={"fixed": 1, **params}, index=place,
        task=Task(command=("true",), workdir="/"), queued_at=NOW,
    )  # fmt: skip


def lived(store: Store, lowest: float | None, ending: Ending, *, settle: bool = True) -> Run:
    """The next run: twenty points of two metrics, down to `lowest`; some output, some samples."""
    run = store.claim(WORKER, 60)
    assert run is not None
    store.begin(run.id, 1, None, {"host": "gpu1"})
    values = [] if lowest is None else [(lowest + math.exp(-step / 3), step) for step in range(20)]
    points = [
        Point(name=name, step=step, time=float(step), value=value + extra, line=2 * step, index=step)
        for value, step in values
        for name, extra in (("val_loss", 0.0), ("train_loss", -0.1))
    ]
    shipment = Shipment(events_from=0, events_to=9, lines_to=40, segments=segments(points), output_from=0, output=b"\x1b[1mhello\x1b[0m\nbye\n")  # fmt: skip
    store.ship(run.id, 1, shipment, summarize({}, segments(points)))
    for place in range(4):
        sample = Sample(run=run.id, attempt=1, host="gpu1", cpu_s=place, memory_bytes=place * 10**8, read_bytes=0, written_bytes=0, disk_free_bytes=10**9)  # fmt: skip
        store.add_sample(sample, Peaks(memory_bytes=place * 10**8), 3600)
    if settle:
        state = State.FINISHED if ending.reason is None else State.FAILED
        store.settle(run.id, 1, Settlement(state=state, reason=ending.reason, ending=ending))
    return store.run(run.id)


def a_sweep(store: Store, lows: Sequence[float | None]) -> list[Run]:
    store.add_experiment(Experiment(name="exp", owner="ada", source="x", text="", created_at=NOW))
    sides = [{"l1": l1, "noise": noise} for l1 in (0.1, 0.2) for noise in ("a", "b", "c")]
    store.add_runs([a_run(place, sides[place % 6]) for place in range(len(lows))])
    bad = Ending(reason=Reason.ERROR, exit_code=1, message="KeyError: 17")
    return [lived(store, low, bad if low is None else Ending(exit_code=0)) for low in lows]


def about(run: Run, occasion: Occasion = Occasion.FINISHED, **more: Any) -> Notice:
    return Notice(id="n", about=occasion, to=("a@b.example",), run=run.id, attempt=1, experiment="exp", **more)


class TestGathering:
    def test_a_run_is_told_beside_its_siblings(self, store: Store) -> None:
        runs = a_sweep(store, [0.3, 0.1, 0.2, None, 0.4, 0.5])
        store.put_diagnosis(Diagnosis(run=runs[2].id, attempt=1, findings=(LEAK,)), [])
        story = gather(store, about(runs[2], with_history=True))
        told = story.standing
        assert told is not None
        assert (told.metric, told.rank, told.among, told.best_label, told.is_final) == ("val_loss", 2, 5, "#1", True)
        assert told.value == pytest.approx(0.2 + math.exp(-19 / 3))
        assert (story.label, story.left_out) == ("#2", ())
        assert (dict(story.differing), dict(story.best_differing)) == (
            {"l1": 0.1, "noise": "c"},
            {"l1": 0.1, "noise": "b"},
        )
        assert [one.name for one in story.series] == ["val_loss", "train_loss"]
        assert [one.name for one in story.best_series] == ["val_loss", "train_loss"]
        assert story.band is not None
        assert story.band.count == 4
        assert story.findings == (LEAK,)
        assert story.output == "hello\nbye\n"
        assert [sample.memory_bytes for sample in story.samples] == [0, 10**8, 2 * 10**8, 3 * 10**8]
        assert {one.name: len(one.steps) for one in story.history} == {"train_loss": 20, "val_loss": 20}
        said = compose(about(runs[2]), story)
        assert said.subject == "[labq] exp #2 finished: val_loss 0.202 (2nd of 5; best 0.102)"
        assert "Left out" not in said.text

    def test_a_sweep_is_told_with_grid_ranks_and_failures(self, store: Store) -> None:
        a_sweep(store, [0.3, 0.1, 0.2, None, 0.4, None])
        notice = Notice(id="n", about=Occasion.SWEEP_FINISHED, to=("a@b.example",), experiment="exp")
        sweep = gather(store, notice).sweep
        assert sweep is not None
        assert (sweep.total, sweep.read, sweep.owner) == (6, 6, "ada")
        assert dict(sweep.counts) == {State.FINISHED: 4, State.FAILED: 2}
        assert [row.label for row in sweep.ranked] == ["#1", "#2", "#0", "#4"]
        assert dict(sweep.varying) == {"l1": (0.1, 0.2), "noise": ("a", "b", "c")}
        assert [(group.cause, group.count, group.labels) for group in sweep.failures] == [("error", 2, ("#3", "#5"))]
        assert sum(curve.series is not None for curve in sweep.curves) == 4
        assert len(sweep.curves) == 6
        assert len(compose(notice, gather(store, notice)).images) == 1

    def test_what_a_lost_worker_held_is_told(self, store: Store) -> None:
        store.add_runs([a_run(0, {}), a_run(1, {})])
        lived(store, 0.1, Ending(), settle=False)
        store.seen(WORKER)
        story = gather(store, Notice(id="n", about=Occasion.WORKER_LOST, to=("a@b.example",), worker="w1"))
        assert story.worker is not None
        assert (story.worker.host, [run.index for run in story.held]) == ("gpu1", [0])
        assert gather(store, Notice(id="n", about=Occasion.WORKER_LOST, to=(), worker="nobody")).worker is None

    def test_a_large_sweep_is_counted_by_the_server(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(gather_sweep, "MOST_RUNS", 3)
        monkeypatch.setattr("notify.gather.MOST_RUNS", 3)
        runs = a_sweep(store, [0.5, 0.4, 0.3, 0.2, 0.1, None])
        story = gather(store, about(runs[3]))
        told = story.standing
        assert told is not None
        assert (told.rank, told.among) == (2, 5)
        assert told.best is not None
        assert told.best.id == runs[4].id
        assert told.best_value == pytest.approx(0.1 + math.exp(-19 / 3))
        assert gather(store, about(runs[4])).standing.rank == 1  # type: ignore[union-attr]

    def test_a_run_that_is_gone_is_said(self, store: Store) -> None:
        with pytest.raises(NoSuchRun):
            gather(store, about(a_run(0, {})))


class _Broken(MemoryStore):
    """One method fails."""

    def __init__(self, method: str, error: Exception) -> None:
        super().__init__()
        self.armed = False

        def fail(*_: object, **__: object) -> None:
            if self.armed:
                raise error
            return original(*_, **__)  # type: ignore[no-any-return]

        original = getattr(self, method)
        setattr(self, method, fail)


@pytest.mark.parametrize("method", ["curve", "outcomes", "log_tail", "newest_samples", "diagnoses"])
def test_what_cannot_be_read_is_left_out_with_a_sentence(method: str) -> None:
    store = _Broken(method, StoreFailed("a bad document"))
    run = a_sweep(store, [0.3, 0.1, 0.2])[0]
    store.armed = True
    said = compose(about(run), gather(store, about(run)))
    assert "could not be read: StoreFailed: a bad document" in " ".join(said.text.split())
    assert said.subject.startswith("[labq] exp ")


def test_a_store_that_is_away_postpones_the_message() -> None:
    store = _Broken("curve", StoreUnavailable("away"))
    run = a_sweep(store, [0.3])[0]
    store.armed = True
    with pytest.raises(StoreUnavailable):
        gather(store, about(run))


def test_only_so_many_curves_are_read_and_long_ones_are_left_to_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore()
    runs = a_sweep(store, [0.1 + 0.01 * place for place in range(60)])
    read: list[str] = []
    curve = store.curve

    def counted(run_id: str, name: str) -> Curve:
        read.append(run_id)
        return curve(run_id, name)

    monkeypatch.setattr(store, "curve", counted)
    gather(store, about(runs[5]))
    assert len(read) <= 2 + 2 + gather_sweep.BAND_RUNS
    monkeypatch.setattr("notify.gather.MOST_POINTS", 10)
    story = gather(store, about(runs[5]))
    assert story.series == ()
    assert "val_loss has 20 points; labq plot run00005 -m val_loss draws them" in story.left_out


def test_a_repeated_index_is_no_name() -> None:
    store = MemoryStore()
    store.add_runs([replace(a_run(place, {"x": place}), index=place // 2) for place in range(4)])
    run = lived(store, 0.1, Ending(exit_code=0))
    assert gather(store, about(run)).label == run.id[:8]
