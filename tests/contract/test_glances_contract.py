"""What a live page reads, over both stores."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queueing.people import stop_change
from store.glances import Beyond, Stroke, extremes
from store.memory import MemoryStore
from store.metrics import Point, Shipment, segments, summarize
from store.runs import Run, Task
from store.states import State, Wish
from store.store import Settlement, Store
from store.workers import Worker

NOW = datetime(2026, 11, 1, 9, 30, tzinfo=UTC)
NAN, INF = float("nan"), float("inf")
WORKER = Worker(name="w1", host="here", pid=1, cpus=4, memory_bytes=8 << 30)


@pytest.fixture(params=["memory", "mongo"])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    if request.param == "mongo":
        yield request.getfixturevalue("mongo_store")
    else:
        yield MemoryStore()


def a_run(name: str, number: int = 0, **changes: Any) -> Run:
    run = Run(id=name, key=f"key-{name}", experiment="exp", params={"lr": 0.1}, task=Task(workdir="/"),
              queued_at=NOW + timedelta(seconds=number), provenance={"git": {"commit": "3f2a"}})  # fmt: skip
    return replace(run, **changes)


def begun(store: Store, name: str) -> Run:
    store.add_runs([a_run(name)])
    run = store.claim(WORKER, 60)
    assert run is not None
    return store.begin(run.id, run.attempt, None, {})


def ship(store: Store, run: Run, values: Sequence[float], *, since: int = 0, metric: str = "loss") -> None:
    points = tuple(
        Point(name=metric, step=10 * at, time=float(at), value=value, line=at + 1, index=at)
        for at, value in enumerate(values, since)
    )
    at = store.run(run.id).shipped
    shipment = Shipment(
        events_from=at.events_bytes, events_to=at.events_bytes + len(values), lines_to=at.events_lines + len(values),
        segments=segments(points), output_from=at.output_bytes,
    )  # fmt: skip
    store.ship(run.id, run.attempt, shipment, summarize(store.run(run.id).summary, segments(points)))


def joined(strokes: Sequence[Stroke]) -> list[tuple[int, float, float]]:
    return [point for one in strokes for point in zip(one.steps, one.times, one.values, strict=True)]


def values_of(strokes: Sequence[Stroke]) -> list[str]:
    return [str(value) for _, _, value in joined(strokes)]


class TestPulses:
    def test_the_newest_runs_of_each_state_of_this_experiment(self, store: Store) -> None:
        store.add_runs([a_run(f"q{n}", n) for n in range(4)])
        store.add_runs([a_run(f"f{n}", n, state=State.FINISHED, ended_at=NOW, attempt=2) for n in range(4)])
        store.add_runs([a_run("else", experiment="other")])
        found = {pulse.id: pulse for pulse in store.pulses("exp", 3)}
        assert set(found) == {"q1", "q2", "q3", "f1", "f2", "f3"}
        assert (found["f1"].state, found["f1"].attempt, found["f1"].ended_at) == (State.FINISHED, 2, NOW)
        assert (found["q1"].state, found["q1"].attempt, found["q1"].ended_at) == (State.QUEUED, 0, None)

    def test_a_pulse_changes_with_every_shipment(self, store: Store) -> None:
        run = begun(store, "aaaa")
        assert [(one.attempt, one.lines) for one in store.pulses("exp", 9)] == [(1, 0)]
        ship(store, run, [0.5, 0.4])
        assert [(one.attempt, one.lines, one.wish) for one in store.pulses("exp", 9)] == [(1, 2, None)]
        store.change([run.id], stop_change())
        assert [(one.lines, one.wish) for one in store.pulses("exp", 9)] == [(2, Wish.CANCEL)]

    def test_runs_are_read_without_what_no_page_shows(self, store: Store) -> None:
        run = begun(store, "aaaa")
        (found,) = store.light_runs(["aaaa", "nobody"])
        assert found == replace(store.run(run.id), provenance={})


class TestStrokes:
    def test_everything_is_there_when_nothing_is_thinned(self, store: Store) -> None:
        run = begun(store, "aaaa")
        ship(store, run, [0.5, NAN, -INF, 0.25])
        (stroke,) = store.strokes("loss", [Beyond(run="aaaa")], 10)
        assert (stroke.run, stroke.attempt, stroke.points) == ("aaaa", 1, 4)
        assert (stroke.steps, stroke.times) == ((0, 10, 20, 30), (0.0, 1.0, 2.0, 3.0))
        assert [str(value) for value in stroke.values] == ["0.5", "nan", "-inf", "0.25"]

    def test_only_what_is_new_comes_over_the_ends_of_buckets(self, store: Store) -> None:
        run = begun(store, "aaaa")
        every = [float(n) for n in range(2500)]
        ship(store, run, every[:990])
        (first,) = store.strokes("loss", [Beyond(run="aaaa")], 10)
        ship(store, run, every[990:], since=990)
        later = store.strokes("loss", [Beyond(run="aaaa", attempt=1, points=first.points)], 10)
        assert [one.points for one in later] == [1000, 2000, 2500]
        assert [value for _, _, value in joined([first, *later])] == every
        assert joined(store.strokes("loss", [Beyond(run="aaaa", attempt=1, points=2500)], 10)) == []

    def test_no_more_pieces_come_than_asked_for_and_the_rest_comes_next(self, store: Store) -> None:
        run = begun(store, "aaaa")
        ship(store, run, [float(n) for n in range(3500)])
        found: list[Stroke] = []
        while fresh := store.strokes("loss", [_after(found, "aaaa")], 2):
            assert len(fresh) <= 2
            if fresh[-1].points == (found[-1].points if found else 0):
                break
            found += fresh
        assert [value for _, _, value in joined(found)] == [float(n) for n in range(3500)]

    def test_runs_that_were_read_differently_far_are_read_at_once(self, store: Store) -> None:
        runs = {name: begun(store, name) for name in ("aaaa", "bbbb", "cccc")}
        for position, run in enumerate(runs.values()):
            ship(store, run, [float(100 * position + n) for n in range(5)])
        wanted = [Beyond(run="aaaa", attempt=1, points=4), Beyond(run="bbbb"), Beyond(run="cccc", attempt=1, points=2)]
        found = {one.run: one.values for one in store.strokes("loss", wanted, 10)}
        assert found == {"aaaa": (4.0,), "bbbb": (100.0, 101.0, 102.0, 103.0, 104.0), "cccc": (202.0, 203.0, 204.0)}

    def test_other_metrics_and_other_runs_are_left_alone(self, store: Store) -> None:
        run = begun(store, "aaaa")
        ship(store, run, [1.0], metric="accuracy")
        ship(store, begun(store, "bbbb"), [2.0])
        assert joined(store.strokes("loss", [Beyond(run="aaaa")], 10)) == []

    def test_the_attempt_that_follows_comes_after_the_one_that_is_known(self, store: Store) -> None:
        run = begun(store, "aaaa")
        ship(store, run, [5.0, 4.0])
        store.settle(run.id, run.attempt, Settlement(state=State.FAILED))
        store.report("aaaa", {"loss": 3.0})
        later = store.strokes("loss", [Beyond(run="aaaa", attempt=0, points=7)], 10)
        assert [value for _, _, value in joined(later)] == [5.0, 4.0, 3.0]

    def test_spikes_stay_where_points_are_thinned(self, store: Store) -> None:
        run = begun(store, "aaaa")
        values = [1.0] * 1500
        values[700], values[1207] = 99.0, -99.0
        ship(store, run, values)
        found = joined(store.strokes("loss", [Beyond(run="aaaa", grain=100)], 10))
        assert len(found) <= 30
        assert (7000, 700.0, 99.0) in found
        assert (12070, 1207.0, -99.0) in found

    def test_what_is_no_number_hides_no_number(self, store: Store) -> None:
        run = begun(store, "aaaa")
        ship(store, run, [2.0, NAN, 7.0, INF, 3.0, NAN, NAN, NAN, NAN, NAN])
        assert values_of(store.strokes("loss", [Beyond(run="aaaa", grain=5)], 10)) == ["2.0", "7.0", "nan"]


def _after(found: Sequence[Stroke], run: str) -> Beyond:
    return Beyond(run=run, attempt=found[-1].attempt, points=found[-1].points) if found else Beyond(run=run)


class TestThinning:
    @given(values=st.lists(st.floats(width=32), max_size=60), grain=st.integers(1, 20))
    def test_the_extremes_are_those_of_the_finite_values(self, values: list[float], grain: int) -> None:
        kept = extremes(values, grain)
        assert kept == sorted(set(kept))
        for start in range(0, len(values), grain):
            part = [value for value in values[start : start + grain] if math.isfinite(value)]
            mine = [values[at] for at in kept if start <= at < start + grain]
            assert min(part, default=None) == (min(mine) if part else None)
            assert max(part, default=None) == (max(mine) if part else None)

    def test_both_stores_thin_alike(self, mongo_store: Store) -> None:
        memory = MemoryStore()
        number = [0]

        @settings(max_examples=40, deadline=None)
        @given(
            values=st.lists(
                st.sampled_from([0.0, 1.0, -1.0, 2.5, NAN, INF, -INF]) | st.floats(-9, 9), min_size=1, max_size=80
            ),
            grain=st.integers(2, 30),
            seen=st.integers(0, 80),
        )
        def alike(values: list[float], grain: int, seen: int) -> None:
            number[0] += 1
            name = f"run{number[0]:04d}"
            found = []
            for one in (mongo_store, memory):
                ship(one, begun(one, name), values)
                beyond = Beyond(run=name, attempt=1, points=seen, grain=grain)
                found.append([repr(point) for point in joined(one.strokes("loss", [beyond], 10))])
            assert found[0] == found[1]

        alike()
