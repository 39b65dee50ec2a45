"""What the rounds of the diagnosis ask of a store, over both."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from store.experiments import Experiment
from store.findings import Diagnosis, Disease, Finding, Severity
from store.memory import MemoryStore
from store.metrics import Point, Shipment, segments
from store.mongo import MongoStore
from store.remedies import Remedy
from store.runs import Ending, Run, Task
from store.samples import Peaks, Sample
from store.states import State
from store.store import Settlement, Store
from store.workers import Worker

NOW = datetime(2026, 1, 1, tzinfo=UTC)
WORKER = Worker(name="w1", host="here", pid=1)
STUCK = Finding(disease=Disease.STUCK, severity=Severity.SEVERE, evidence="no event for an hour", advice="Look at it.")
FINISHED = Settlement(state=State.FINISHED, ending=Ending(exit_code=0))


@pytest.fixture(params=["memory", "mongo"])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    if request.param == "mongo":
        yield request.getfixturevalue("mongo_store")
    else:
        yield MemoryStore()


def claimed(store: Store, name: str = "aaaa") -> Run:
    store.add_runs([
        Run(id=name, key=name, experiment="exp", params={}, task=Task(command=("true",), workdir="/"), queued_at=NOW)
    ])  # fmt: skip
    run = store.claim(WORKER, 60.0)
    assert run is not None
    return store.begin(run.id, run.attempt, None, {})


def report(store: Store, run: Run, names: list[str], count: int, *, first: int = 0) -> None:
    points = [
        Point(name=name, step=first + i, time=float(first + i), value=1.0 / (1 + first + i), line=first + i + 1, index=first + i)
        for name in names
        for i in range(count)
    ]  # fmt: skip
    shipped = store.run(run.id).shipped
    shipment = Shipment(
        events_from=shipped.events_bytes, events_to=shipped.events_bytes + count, lines_to=first + count,
        segments=segments(points), output_from=0,
    )  # fmt: skip
    store.ship(run.id, run.attempt, shipment, {})


class TestExcerpts:
    def test_a_short_series_comes_whole(self, store: Store) -> None:
        run = claimed(store)
        report(store, run, ["loss", "val"], 2500)
        found = store.series_in_part(run.id, ["loss", "val", "nothing"], 1500, 1000)
        assert found["loss"] == store.series(run.id, "loss")
        assert found["val"] == store.series(run.id, "val")
        assert found["nothing"].steps == ()

    def test_of_a_long_one_the_newest_points_come_and_an_even_choice_of_the_others(self, store: Store) -> None:
        run = claimed(store)
        for first in range(0, 20_400, 3400):
            report(store, run, ["loss"], 3400, first=first)
        found, whole = store.series_in_part(run.id, ["loss"], 1500, 300)["loss"], store.series(run.id, "loss")
        assert found.steps[-1500:] == whole.steps[-1500:]
        assert found.steps[0] == 0
        assert len(found.steps) <= 3500 + 2 * 300
        assert list(found.steps) == sorted(set(found.steps))
        gaps = [b - a for a, b in zip(found.steps, found.steps[1:], strict=False)]
        assert max(gaps) <= 2000
        assert all(value == 1.0 / (1 + step) == 1.0 / (1 + time) for step, time, value in zip(found.steps, found.times, found.values, strict=True))  # fmt: skip

    def test_a_run_of_many_attempts_comes_in_their_order(self, store: Store) -> None:
        run = claimed(store)
        for attempt in range(1, 5):
            points = tuple(
                Point(name="loss", step=attempt * 10 + i, time=1.0, value=1.0, line=i + 1, index=i) for i in range(3)
            )
            store.ship(
                run.id,
                attempt,
                Shipment(events_from=0, events_to=3, lines_to=3, segments=segments(points), output_from=0),
                {},
            )
            store.settle(run.id, attempt, Settlement(state=State.QUEUED))
            assert store.claim(WORKER, 60.0) is not None
            _begin_without_dropping(store, run.id)
        found = store.series_in_part(run.id, ["loss"], 6, 6)["loss"]
        assert found.steps == store.series(run.id, "loss").steps
        assert len(found.steps) == 12

    def test_of_the_samples_the_newest_come_and_an_even_choice_of_the_others(self, store: Store) -> None:
        run = claimed(store)
        sample = Sample(
            run=run.id, attempt=1, host="h", cpu_s=0.0, memory_bytes=0, read_bytes=0, written_bytes=0, disk_free_bytes=1
        )
        for number in range(30):
            store.add_sample(replace(sample, memory_bytes=number), Peaks(), 60.0)
        assert [one.memory_bytes for one in store.samples_in_part(run.id, 1, 100)] == list(range(30))
        assert store.samples_in_part(run.id, 2, 100) == []
        found = [one.memory_bytes for one in store.samples_in_part(run.id, 1, 10)]
        assert found[-5:] == list(range(25, 30))
        assert found == sorted(set(found))
        assert len(found) <= 12


def _begin_without_dropping(store: Store, run_id: str) -> None:
    """The points of earlier attempts stay, as if a checkpoint held them all."""
    if isinstance(store, MongoStore):
        store.database["runs"].update_one({"_id": run_id}, {"$set": {"shipped.events_bytes": 0}})
    elif isinstance(store, MemoryStore):
        now = store.run(run_id)
        store._put(replace(now, shipped=replace(now.shipped, events_bytes=0)))


def seen(store: Store, **asked: Any) -> dict[str, State]:
    return {one.id: one.state for one in store.glimpses(asked.get("ended", 10))}


class TestGlimpses:
    def test_a_running_run_is_seen_with_what_it_has_shipped_and_what_was_seen_of_it(self, store: Store) -> None:
        run = claimed(store)
        report(store, run, ["loss"], 3)
        (one,) = store.glimpses(10)
        assert (one.id, one.experiment, one.state, one.attempt) == ("aaaa", "exp", State.RUNNING, 1)
        assert (one.shipped.attempt, one.shipped.events_lines, one.last_look) == (1, 3, None)
        assert one.started_at == run.history[-1].started_at
        store.put_looks([Diagnosis(run="aaaa", attempt=1, lines=3, looked_at=NOW)])
        (one,) = store.glimpses(10)
        assert one.last_look is not None
        assert (one.last_look.lines, one.last_look.looked_at, one.last_look.over) == (3, NOW, False)

    def test_a_run_that_ends_is_seen_until_its_last_look(self, store: Store) -> None:
        claimed(store)
        store.settle("aaaa", 1, FINISHED)
        assert seen(store) == {"aaaa": State.FINISHED}
        store.put_looks([Diagnosis(run="aaaa", attempt=1, over=True)])
        assert seen(store) == {}

    def test_a_run_that_goes_back_to_the_queue_is_seen_if_somebody_has_looked_at_it(self, store: Store) -> None:
        claimed(store, "aaaa")
        claimed(store, "bbbb")
        store.put_looks([Diagnosis(run="aaaa", attempt=1)])
        for name in ("aaaa", "bbbb"):
            store.settle(name, 1, Settlement(state=State.QUEUED))
        assert seen(store) == {"aaaa": State.QUEUED}
        store.put_looks([Diagnosis(run="aaaa", attempt=1, over=True)])
        assert seen(store) == {}

    def test_an_ending_that_has_been_overtaken_by_many_events_is_not_forgotten_where_somebody_had_looked(
        self, store: Store
    ) -> None:
        claimed(store, "aaaa")
        store.put_looks([Diagnosis(run="aaaa", attempt=1)])
        store.settle("aaaa", 1, FINISHED)
        for name in range(160):
            claimed(store, f"b{name}")
            store.settle(f"b{name}", 1, FINISHED)
        assert "aaaa" in seen(store, ended=1000)
        assert len(store.glimpses(7)) == 7

    def test_looks_at_an_attempt_that_is_over_do_not_replace_newer_ones(self, store: Store) -> None:
        claimed(store)
        newer = Diagnosis(run="aaaa", attempt=2, lines=5)
        store.put_looks([newer])
        store.put_looks([Diagnosis(run="aaaa", attempt=1, lines=9)])
        assert store.diagnoses(["aaaa"]) == {"aaaa": newer}

    def test_a_look_that_was_frozen_does_not_undo_a_later_one(self, store: Store) -> None:
        claimed(store)
        later, frozen = NOW + timedelta(seconds=1), Diagnosis(run="aaaa", attempt=1, looked_at=NOW)
        kept = Diagnosis(run="aaaa", attempt=1, findings=(STUCK,), looked_at=later)
        assert store.put_diagnosis(kept, [STUCK])
        store.put_looks([frozen])
        assert not store.put_diagnosis(replace(frozen, findings=(STUCK,)), [STUCK])
        assert store.diagnoses(["aaaa"]) == {"aaaa": kept}

    def test_two_who_look_at_once_tell_it_once(self, store: Store) -> None:
        claimed(store)
        for second in range(3):
            at = NOW + timedelta(seconds=second)
            assert store.put_diagnosis(Diagnosis(run="aaaa", attempt=1, findings=(STUCK,), looked_at=at), [STUCK])
        assert [event.event for event in store.events("aaaa")].count("finding") == 1

    def test_what_gets_worse_is_told_again(self, store: Store) -> None:
        claimed(store)
        mild = replace(STUCK, severity=Severity.WARNING)
        for second, finding in enumerate([mild, STUCK, mild]):
            at = NOW + timedelta(seconds=second)
            store.put_diagnosis(Diagnosis(run="aaaa", attempt=1, findings=(finding,), looked_at=at), [finding])
        told = [event.finding for event in store.events("aaaa") if event.finding is not None]
        assert [finding.severity for finding in told] == [Severity.WARNING, Severity.SEVERE]


class TestCases:
    def put(self, store: Store, **changes: Any) -> None:
        diagnosis = replace(Diagnosis(run="aaaa", attempt=1, findings=(STUCK,), looked_at=NOW), **changes)
        assert store.put_diagnosis(diagnosis, [STUCK], to_treat=True)

    def test_a_case_is_open_until_it_is_closed(self, store: Store) -> None:
        claimed(store)
        self.put(store)
        (case,) = store.cases(10)
        assert (case.experiment, case.diagnosis.findings, case.remedy) == ("exp", (STUCK,), None)
        remedy = Remedy(rule="stuck", because="no event", change={"lr": 0.1, "a": {"b": [1, None]}}, number=2)
        assert store.prescribe(case, remedy)
        (case,) = store.cases(10)
        assert case.remedy == remedy
        store.close_case(case)
        assert store.cases(10) == []
        self.put(store, looked_at=NOW + timedelta(hours=1))
        (case,) = store.cases(10)
        assert case.remedy == replace(remedy, done=True)

    def test_a_case_without_a_remedy_is_closed_too(self, store: Store) -> None:
        claimed(store)
        self.put(store)
        (case,) = store.cases(10)
        store.close_case(case)
        assert store.cases(10) == []
        self.put(store, looked_at=NOW + timedelta(hours=1))
        assert [case.remedy for case in store.cases(10)] == [None]

    def test_what_was_found_meanwhile_is_a_case_of_its_own(self, store: Store) -> None:
        claimed(store)
        self.put(store)
        (old,) = store.cases(10)
        self.put(store, looked_at=NOW + timedelta(hours=1))
        assert not store.prescribe(old, Remedy(rule="stuck", because=""))
        store.close_case(old)
        assert len(store.cases(10)) == 1

    def test_a_look_that_finds_nothing_new_leaves_the_case_open(self, store: Store) -> None:
        claimed(store)
        self.put(store)
        (case,) = store.cases(10)
        store.put_looks([replace(case.diagnosis, lines=7)])
        assert store.prescribe(case, Remedy(rule="stuck", because=""))
        assert len(store.cases(10)) == 1

    def test_rules_are_kept_with_the_experiment(self, store: Store) -> None:
        plain = Experiment(name="plain", owner="me", source="", text="", created_at=NOW)
        rule = {"on": ["stuck"], "do": "stop", "change": {"lr": "/ 10"}}
        store.add_experiment(plain)
        store.add_experiment(replace(plain, name="ruled", diagnosis=(rule,)))
        assert store.remedied() == {"ruled": [rule]}
        store.add_experiment(replace(plain, name="ruled"))
        assert store.remedied() == {}
