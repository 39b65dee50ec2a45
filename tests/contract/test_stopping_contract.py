"""What the stopping rules read and keep, over both stores."""

import math
import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from store.changes import Change, cancelled, paused, requeued, resumed, scratched
from store.courses import Afoot, Asked, Course, Reached, Watched
from store.experiments import Experiment
from store.judged import Judged, Ruling
from store.memory import MemoryStore
from store.metrics import Point, Shipment, segments
from store.query import Compared, Op, RunField
from store.rulings import held_back, promoted, ruled_out
from store.runs import Ending, Run, Task
from store.states import Reason, State, Wish
from store.store import RunQuery, Settlement, Store
from store.workers import Worker

WORKER = Worker(name="w1", host="here", pid=1, cpus=4, memory_bytes=8 << 30)
FINISHED = Settlement(state=State.FINISHED, ending=Ending(exit_code=0))
PAUSED = Settlement(state=State.PAUSED, reason=Reason.DRAINED, ending=Ending(reason=Reason.DRAINED))
AT_9 = Ruling(rule="asha", rung=9.0, because="asha: poor")
HELD_AT_9 = Ruling(rule="asha", rung=9.0, hold=True, because="asha: not yet")


@pytest.fixture(params=["memory", "mongo"])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    if request.param == "mongo":
        yield request.getfixturevalue("mongo_store")
    else:
        yield MemoryStore()


def a_run(name: str = "aaaa", **changes: Any) -> Run:
    run = Run(
        id=name, key=f"key-{name}", experiment="exp", params={"lr": 0.1}, task=Task(command=("true",), workdir="/"),
        queued_at=datetime(2026, 1, 1, tzinfo=UTC),
    )  # fmt: skip
    return replace(run, **changes)


def began(store: Store, name: str = "aaaa", **changes: Any) -> Run:
    store.add_runs([a_run(name, **changes)])
    taken = store.claim(WORKER, 60.0)
    assert taken is not None
    assert taken.id == name
    return store.begin(taken.id, taken.attempt, None, {})


class Reporter:
    """Ships points of one attempt, as a supervisor does."""

    def __init__(self, store: Store, run: Run) -> None:
        self.store, self.run = store, run
        self.lines, self.counts = 0, dict.fromkeys(("loss", "epoch"), 0)

    def log(self, *lines: dict[str, float]) -> None:
        points = []
        for number, line in enumerate(lines, self.lines + 1):
            for name, value in line.items():
                index = self.counts[name]
                points.append(Point(name=name, step=number * 10, time=1.0, value=value, line=number, index=index))
                self.counts[name] += 1
        before, self.lines = self.lines, self.lines + len(lines)
        shipment = Shipment(
            events_from=before * 10,
            events_to=self.lines * 10,
            lines_to=self.lines,
            segments=segments(points),
            output_from=0,
        )
        self.store.ship(self.run.id, self.run.attempt, shipment, {})


def changed(store: Store, run_id: str, apply: Any, **said: Any) -> Run:
    (run,) = store.change([run_id], Change(name="x", apply=apply, **said)).runs
    assert run == store.run(run_id)
    return run


def refused(store: Store, run_id: str, apply: Any) -> str:
    return (store.change([run_id], Change(name="x", apply=apply)).refused or {})[run_id]


def an_experiment(name: str, stopping: dict[str, Any] | None = None) -> Experiment:
    return Experiment(
        name=name, owner="me", source="f", text="t", created_at=datetime(2026, 1, 1, tzinfo=UTC), stopping=stopping
    )


class TestRules:
    def test_only_experiments_with_rules_are_listed(self, store: Store) -> None:
        store.add_experiment(an_experiment("b", {"rule": "median", "grace": 3}))
        store.add_experiment(an_experiment("a"))
        assert [(one.name, one.stopping) for one in store.ruled()] == [("b", {"rule": "median", "grace": 3})]

    def test_rules_are_replaced_and_taken_away(self, store: Store) -> None:
        store.add_experiment(an_experiment("a"))
        assert store.set_stopping("a", {"rule": "asha"})
        assert [one.stopping for one in store.ruled()] == [{"rule": "asha"}]
        assert store.set_stopping("a", None)
        assert store.ruled() == []
        assert not store.set_stopping("nobody", None)

    def test_a_new_enqueue_brings_its_rules(self, store: Store) -> None:
        store.add_experiment(an_experiment("a", {"rule": "asha"}))
        store.add_experiment(an_experiment("a"))
        assert store.ruled() == []


class TestWatched:
    def test_running_held_and_unread_runs_are_watched_each_once(self, store: Store) -> None:
        running = began(store, "a1")
        held = began(store, "b1")
        changed(store, "b1", held_back({"b1": HELD_AT_9}))
        store.settle("b1", held.attempt, PAUSED)
        ended = began(store, "c1")
        store.settle("c1", ended.attempt, FINISHED)
        store.add_runs([a_run("d1"), a_run("e1", experiment="other")])
        found = {one.id: one for one in store.watched(["exp"], 10)}
        assert sorted(found) == ["a1", "b1", "c1"]
        assert found["a1"] == Watched(
            id="a1", experiment="exp", state=State.RUNNING, attempt=1, shipped=running.shipped, judged=Judged()
        )
        assert (found["b1"].state, found["b1"].judged.held) == (State.PAUSED, HELD_AT_9)
        assert found["c1"].judged.unread
        store.mark_read([("b1", 1), ("c1", 1)])
        assert sorted(one.id for one in store.watched(["exp"], 10)) == ["a1", "b1"]

    def test_no_more_unread_runs_than_asked_for(self, store: Store) -> None:
        for number in range(5):
            run = began(store, f"r{number}")
            store.settle(run.id, run.attempt, FINISHED)
        assert len(store.watched(["exp"], 3)) == 3

    def test_a_run_that_goes_back_into_the_queue_is_not_unread(self, store: Store) -> None:
        run = began(store)
        store.settle(run.id, run.attempt, Settlement(state=State.QUEUED, reason=Reason.LOST))
        assert store.watched(["exp"], 10) == []
        changed(store, run.id, cancelled)
        assert [one.id for one in store.watched(["exp"], 10)] == [run.id]

    def test_another_attempt_cannot_be_marked_as_read(self, store: Store) -> None:
        run = began(store)
        store.settle(run.id, run.attempt, FINISHED)
        store.mark_read([(run.id, run.attempt + 1)])
        assert store.run(run.id).judged.unread

    def test_what_is_afoot(self, store: Store) -> None:
        assert store.afoot("exp") == Afoot(queued=False, running=0)
        began(store, "a1")
        assert store.afoot("exp") == Afoot(queued=False, running=1)
        store.add_runs([a_run("b1"), a_run("c1", experiment="other")])
        assert store.afoot("exp") == Afoot(queued=True, running=1)


class TestCourses:
    COURSE = Course(id="a1", experiment="exp", rules="d", attempt=1, line=3, counts=(3, 2), memory={"best": 0.5})

    def test_a_course_comes_back_with_its_version_raised(self, store: Store) -> None:
        assert store.save_courses([self.COURSE]) == {"a1"}
        assert store.courses(["a1", "b1"]) == {"a1": replace(self.COURSE, version=1)}

    def test_of_two_who_have_read_the_same_only_the_first_saves(self, store: Store) -> None:
        store.save_courses([self.COURSE])
        read = store.courses(["a1"])["a1"]
        other = replace(self.COURSE, id="b1")
        assert store.save_courses([replace(read, ruling=AT_9)]) == {"a1"}
        assert store.save_courses([replace(read, ruling=HELD_AT_9), other]) == {"b1"}
        assert store.courses(["a1"])["a1"].ruling == AT_9

    def test_of_two_who_have_found_none_only_the_first_saves(self, store: Store) -> None:
        assert store.save_courses([self.COURSE]) == {"a1"}
        assert store.save_courses([replace(self.COURSE, line=9)]) == set()
        assert store.courses(["a1"])["a1"].line == 3


class TestRungs:
    def test_values_at_a_rung_are_those_of_the_experiment(self, store: Store) -> None:
        store.reach(
            [
                Reached(experiment="exp", run="a1", at=3.0, value=0.5),
                Reached(experiment="exp", run="a1", at=9.0, value=0.4),
            ]
        )
        store.reach(
            [Reached(experiment="exp", run="b1", at=3.0, value=0.7), Reached(experiment="x", run="c1", at=3.0, value=1)]
        )
        assert store.reached("exp", 3.0) == {"a1": 0.5, "b1": 0.7}
        assert store.reached("exp", 9.0) == {"a1": 0.4}
        assert store.reached("exp", 27.0) == {}

    def test_what_is_recorded_again_is_replaced(self, store: Store) -> None:
        store.reach([Reached(experiment="exp", run="a1", at=at, value=0.5) for at in (1.0, 3.0)])
        store.reach([Reached(experiment="exp", run="a1", at=1.0, value=math.inf)], anew=["a1"])
        assert store.reached("exp", 1.0) == {"a1": math.inf}
        assert store.reached("exp", 3.0) == {}

    def test_the_fallen_are_those_that_rules_have_stopped(self, store: Store) -> None:
        store.reach(
            [
                Reached(experiment="exp", run=run, at=at, value=at / 10)
                for run in ("a1", "b1", "c1")
                for at in (1.0, 3.0)
            ]
        )
        course = Course(id="a1", experiment="exp", rules="d", attempt=1, line=3, counts=(), memory={}, ruling=AT_9)
        held = replace(course, id="b1", ruling=HELD_AT_9)
        store.save_courses(
            [course, held, replace(course, id="c1", ruling=None), replace(course, id="d1", experiment="x")]
        )
        assert store.fallen("exp") == {"a1": (3.0, 0.3)}

    def test_nan_is_kept(self, store: Store) -> None:
        store.reach([Reached(experiment="exp", run="a1", at=1.0, value=math.nan)])
        assert math.isnan(store.reached("exp", 1.0)["a1"])


def asked(run: Run, counts: tuple[int, ...], to_line: int, at_most: int) -> Asked:
    return Asked(
        run=run.id, attempt=run.attempt, names=("loss", "epoch"), counts=counts, to_line=to_line, at_most=at_most
    )


class TestTracks:
    def test_only_what_is_new_comes(self, store: Store) -> None:
        reporter = Reporter(store, began(store))
        reporter.log({"loss": 0.5, "epoch": 1}, {"loss": 0.4}, {"loss": 0.3, "epoch": 2}, {"loss": 0.2})
        loss, epoch = store.tracks([asked(reporter.run, (1, 1), 3, 2)])["aaaa"]
        assert (loss.lines, loss.steps, loss.values) == ((2, 3), (20, 30), (0.4, 0.3))
        assert (epoch.lines, epoch.values, epoch.attempts) == ((3,), (2.0,), (1,))

    def test_nothing_new_is_nothing(self, store: Store) -> None:
        run = began(store)
        loss, epoch = store.tracks([asked(run, (0, 0), 0, 0)])["aaaa"]
        assert loss.values == epoch.values == ()

    @pytest.mark.parametrize("seed", range(3))
    def test_read_piece_by_piece_it_is_the_whole_series(self, store: Store, seed: int) -> None:
        """Across buckets, in pieces of all sizes, also when more comes between the look at the run and its series."""
        draw = random.Random(seed)
        reporters = [Reporter(store, began(store, f"r{number}")) for number in range(3)]
        counts = {one.run.id: (0, 0) for one in reporters}
        lines = {one.run.id: 0 for one in reporters}
        found: dict[str, list[float]] = {one.run.id: [] for one in reporters}

        def look() -> None:
            wanted = []
            for one in reporters:
                to_line = one.lines
                wanted.append(asked(one.run, counts[one.run.id], to_line, to_line - lines[one.run.id]))
                one.log(*({"loss": draw.random()} for _ in range(draw.choice([0, 1, 30, 900]))))
                lines[one.run.id] = to_line
            for run_id, tracks in store.tracks(wanted).items():
                found[run_id] += tracks[0].values
                counts[run_id] = tuple(a + len(b.values) for a, b in zip(counts[run_id], tracks, strict=True))  # type: ignore[assignment]

        for _ in range(8):
            for one in reporters:
                one.log(*({"loss": draw.random(), "epoch": 1.0} for _ in range(draw.choice([0, 1, 7, 999, 1500]))))
            look()
        for one in reporters:
            assert tuple(found[one.run.id]) == store.series(one.run.id, "loss").values[: len(found[one.run.id])]
            assert len(found[one.run.id]) == lines[one.run.id]

    def test_whole_tracks_have_every_attempt(self, store: Store) -> None:
        first = Reporter(store, began(store))
        first.log({"loss": 0.5})
        loss, epoch = store.whole_tracks("aaaa", ["loss", "epoch"])
        assert (loss.attempts, loss.lines, loss.values, epoch.values) == ((1,), (1,), (0.5,), ())


class TestRulings:
    def test_a_running_run_is_asked_to_stop_and_the_reason_is_kept(self, store: Store) -> None:
        run = began(store)
        asked_to_stop = changed(store, run.id, ruled_out({run.id: AT_9}), reasons={run.id: AT_9.because})
        assert (asked_to_stop.wish, asked_to_stop.judged.stopped) == (Wish.CANCEL, AT_9)
        assert store.events(run.id)[-1].because == "asha: poor"
        assert "already" in refused(store, run.id, ruled_out({run.id: AT_9}))

    def test_a_waiting_run_is_stopped_at_once_with_the_message(self, store: Store) -> None:
        run = began(store)
        changed(store, run.id, held_back({run.id: HELD_AT_9}))
        store.settle(run.id, run.attempt, PAUSED)
        over = changed(store, run.id, ruled_out({run.id: AT_9}))
        assert (over.state, over.reason, over.ending and over.ending.message) == (
            State.CANCELLED,
            Reason.STOPPED,
            "asha: poor",
        )
        assert (over.judged.stopped, over.judged.held, over.judged.overruled) == (AT_9, None, ())

    def test_a_run_that_finishes_first_was_not_stopped(self, store: Store) -> None:
        run = began(store)
        changed(store, run.id, ruled_out({run.id: AT_9}))
        assert store.settle(run.id, run.attempt, FINISHED).judged.stopped is None

    def test_a_promoted_run_goes_on(self, store: Store) -> None:
        run = began(store)
        changed(store, run.id, held_back({run.id: HELD_AT_9}))
        store.settle(run.id, run.attempt, PAUSED)
        on = changed(store, run.id, promoted)
        assert (on.state, on.judged.held, on.judged.overruled) == (State.QUEUED, None, ())
        assert "no rung" in refused(store, run.id, promoted)

    def test_one_that_is_still_leaving_is_asked_no_more(self, store: Store) -> None:
        run = began(store)
        changed(store, run.id, held_back({run.id: HELD_AT_9}))
        on = changed(store, run.id, promoted)
        assert (on.state, on.wish, on.judged.held) == (State.RUNNING, None, None)

    @pytest.mark.parametrize("person", [resumed, requeued, scratched])
    def test_a_persons_word_counts_more(self, store: Store, person: Any) -> None:
        run = began(store)
        changed(store, run.id, ruled_out({run.id: AT_9}))
        store.settle(run.id, run.attempt, Settlement(state=State.CANCELLED, reason=Reason.STOPPED))
        again = changed(store, run.id, person)
        assert (again.judged.stopped, again.judged.overruled) == (None, (AT_9,))
        assert "a person" in refused(store, run.id, ruled_out({run.id: AT_9}))
        assert "a person" in refused(store, run.id, ruled_out({run.id: replace(AT_9, rung=3.0)}))
        taken = store.claim(WORKER, 60.0)
        assert taken is not None
        assert changed(store, run.id, ruled_out({run.id: replace(AT_9, rung=27.0)})).wish is Wish.CANCEL

    def test_a_rule_without_rungs_is_overruled_for_good(self) -> None:
        judged = Judged(stopped=Ruling(rule="patience")).overruling()
        assert judged.is_overruled("patience", None)
        assert not judged.is_overruled("patience#2", None)

    def test_a_held_run_that_a_person_pauses_waits_for_that_person(self, store: Store) -> None:
        run = began(store)
        changed(store, run.id, held_back({run.id: HELD_AT_9}))
        store.settle(run.id, run.attempt, PAUSED)
        store.mark_read([(run.id, run.attempt)])
        now = changed(store, run.id, paused)
        assert (now.state, now.judged.held, now.judged.overruled) == (State.PAUSED, None, (HELD_AT_9,))
        assert store.watched(["exp"], 10) == []
        assert "no rung" in refused(store, run.id, promoted)

    def test_a_run_that_is_leaving_is_not_held(self, store: Store) -> None:
        run = began(store)
        changed(store, run.id, requeued)
        assert "leaving" in refused(store, run.id, held_back({run.id: HELD_AT_9}))


class TestRunningTime:
    def test_it_is_the_time_in_attempts(self, store: Store) -> None:
        run = began(store)
        store.add_runs([a_run("bbbb")])
        longer = Compared(field=RunField.RUNNING_TIME, op=Op.AT_LEAST, value=0.0)
        hours = Compared(field=RunField.RUNNING_TIME, op=Op.GREATER, value=3600.0)
        assert store.run_ids(RunQuery(where=longer)) == [run.id]
        assert store.run_ids(RunQuery(where=hours)) == []
        store.settle(run.id, run.attempt, FINISHED)
        assert store.run_ids(RunQuery(where=longer)) == [run.id]
