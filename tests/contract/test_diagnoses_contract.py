"""What the diagnosis keeps, over both stores."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from store.findings import Diagnosis, Disease, Finding, Severity, merged
from store.memory import MemoryStore
from store.mongo import MongoStore
from store.mongo.schema import ensure_schema
from store.query import Compared, Op, RunField
from store.runs import Run, Task
from store.store import RunQuery, Store
from store.workers import Worker

NOW = datetime(2026, 1, 1, tzinfo=UTC)
WORKER = Worker(name="w1", host="here", pid=1, cpus=4, memory_bytes=8 << 30)
LEAK = Finding(
    disease=Disease.MEMORY_GROWTH, severity=Severity.WARNING, evidence="1.2 GB an hour", advice="Look for lists that grow.",
    about="host", since_step=120, expected_at=NOW + timedelta(hours=3), found_at=NOW,
)  # fmt: skip
STUCK = Finding(disease=Disease.STUCK, severity=Severity.SEVERE, evidence="no event for an hour", advice="Look at it.")


@pytest.fixture(params=["memory", "mongo"])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    if request.param == "mongo":
        yield request.getfixturevalue("mongo_store")
    else:
        yield MemoryStore()


def a_run(name: str) -> Run:
    return Run(
        id=name,
        key=f"key-{name}",
        experiment="exp",
        params={},
        task=Task(command=("true",), workdir="/"),
        queued_at=NOW,
    )


class TestDiagnoses:
    def test_what_was_found_is_read_again_and_told_as_an_event(self, store: Store) -> None:
        store.add_runs([a_run("aaaa"), a_run("bbbb")])
        kept = Diagnosis(run="aaaa", attempt=0, findings=(LEAK, STUCK), lines=70)
        assert store.put_diagnosis(kept, [STUCK])
        assert store.diagnoses(["aaaa", "bbbb", "cccc"]) == {"aaaa": kept}
        (event,) = store.events("aaaa")
        assert (event.event, event.finding, event.message) == ("finding", STUCK, "no event for an hour")

    def test_a_newer_diagnosis_replaces_an_older(self, store: Store) -> None:
        store.add_runs([a_run("aaaa")])
        assert store.put_diagnosis(Diagnosis(run="aaaa", attempt=0, findings=(STUCK,)), [])
        assert store.put_diagnosis(Diagnosis(run="aaaa", attempt=0), [])
        assert store.diagnoses(["aaaa"]) == {"aaaa": Diagnosis(run="aaaa", attempt=0)}
        assert store.events("aaaa") == []

    def test_what_was_found_in_an_attempt_that_is_over_is_not_kept(self, store: Store) -> None:
        store.add_runs([a_run("aaaa")])
        assert not store.put_diagnosis(Diagnosis(run="aaaa", attempt=1, findings=(STUCK,)), [STUCK])
        assert not store.put_diagnosis(Diagnosis(run="nobody", attempt=0), [])
        assert store.diagnoses(["aaaa", "nobody"]) == {}
        assert store.events("aaaa") == []

    def test_a_run_can_be_asked_for_by_what_stands(self, store: Store) -> None:
        store.add_runs([a_run("aaaa"), a_run("bbbb")])
        stuck = Compared(field=RunField.FINDING, op=Op.EQUAL, value="stuck")

        def found() -> list[str]:
            return [run.id for run in store.runs(RunQuery(where=stuck))]

        assert found() == []
        assert store.put_diagnosis(Diagnosis(run="aaaa", attempt=0, findings=(LEAK, STUCK), looked_at=NOW), [STUCK])
        assert found() == ["aaaa"]
        assert store.run("aaaa").findings == (Disease.MEMORY_GROWTH, Disease.STUCK)
        over, later = replace(STUCK, over_at=NOW), NOW + timedelta(minutes=1)
        store.put_looks([Diagnosis(run="aaaa", attempt=0, findings=(LEAK, over), looked_at=later)])
        assert found() == []
        store.put_looks([Diagnosis(run="aaaa", attempt=0, findings=(STUCK,), looked_at=NOW)])  # it was frozen
        assert store.run("aaaa").findings == (Disease.MEMORY_GROWTH,)

    def test_another_attempt_begins_without_findings(self, store: Store) -> None:
        store.add_runs([a_run("aaaa")])
        assert store.put_diagnosis(Diagnosis(run="aaaa", attempt=0, findings=(STUCK,), looked_at=NOW), [])
        assert store.claim(WORKER, 60.0) is not None
        assert store.begin("aaaa", 1, None, {}).findings == ()
        assert store.run("aaaa").findings == ()


def test_runs_of_an_earlier_labq_are_told_once(own_mongo_store: MongoStore) -> None:
    own_mongo_store.add_runs([a_run("aaaa")])
    own_mongo_store.put_diagnosis(Diagnosis(run="aaaa", attempt=0, findings=(STUCK,)), [])
    own_mongo_store.database["runs"].update_one({"_id": "aaaa"}, {"$unset": {"findings": 1}})
    own_mongo_store.database["meta"].update_one({"_id": "schema"}, {"$set": {"version": 9}})
    ensure_schema(own_mongo_store.database)
    assert own_mongo_store.run("aaaa").findings == (Disease.STUCK,)


class TestMerging:
    def test_a_finding_keeps_when_and_since_which_step_it_was_first_seen(self) -> None:
        later = replace(LEAK, since_step=500, evidence="2 GB an hour", found_at=None)
        (found,) = merged((LEAK,), [later], NOW + timedelta(hours=1))
        assert found == replace(LEAK, evidence="2 GB an hour")

    def test_what_is_seen_no_more_is_over_and_what_is_new_comes_last(self) -> None:
        leak, stuck = merged((LEAK,), [STUCK], NOW + timedelta(hours=1))
        assert leak == replace(LEAK, over_at=NOW + timedelta(hours=1))
        assert stuck == replace(STUCK, found_at=NOW + timedelta(hours=1))
        assert merged((leak,), [], NOW + timedelta(hours=2)) == (leak,)

    def test_what_comes_back_is_found_anew(self) -> None:
        over = replace(LEAK, over_at=NOW)
        (again,) = merged((over,), [replace(LEAK, since_step=500, found_at=None)], NOW + timedelta(hours=1))
        assert (again.found_at, again.since_step, again.over_at) == (NOW + timedelta(hours=1), 500, None)
        assert Diagnosis(run="aaaa", attempt=1, findings=(over, again)).standing == (again,)
