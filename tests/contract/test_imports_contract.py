"""Runs that were carried out elsewhere, over both stores."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from store.changes import Change, requeued, resumed
from store.errors import Superseded
from store.imports import UNFINISHED
from store.memory import MemoryStore
from store.metrics import Segment, Shipment, summarize
from store.mongo import MongoStore
from store.runs import Attempt, Run, Task
from store.states import State
from store.store import Store
from store.workers import Worker

NOW = datetime(2026, 1, 1, tzinfo=UTC)
WORKER = Worker(name="w1", host="here", pid=1, cpus=4, memory_bytes=8 << 30)
SEGMENT = Segment(name="loss", index=0, lines=[1, 2], steps=[0, 5], times=[1.0, 2.0], values=[0.5, 0.25])
PART = Shipment(events_from=0, events_to=0, lines_to=2, segments=(SEGMENT,), output_from=0, output=b"hello")
RUN = Run(
    id="aaaa", key="key-aaaa", experiment="old", params={"lr": 0.1}, task=Task(workdir=""), queued_at=NOW,
    state=State.FINISHED, attempt=1, origin="old.csv a", history=(Attempt(number=1, worker="imported", started_at=NOW),),
    summary=summarize({}, [SEGMENT]),
)  # fmt: skip


@pytest.fixture(params=["memory", "mongo"])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    if request.param == "mongo":
        yield request.getfixturevalue("mongo_store")
    else:
        yield MemoryStore()


class TestImports:
    def test_a_run_is_whole_when_its_import_has_ended(self, store: Store, tmp_path: Path) -> None:
        assert store.begin_import(RUN, "i1")
        begun = store.run("aaaa")
        assert (begun.state, begun.remark, begun.summary) == (State.CANCELLED, UNFINISHED, {})
        store.import_part("aaaa", "i1", PART)
        (tmp_path / "kept.txt").write_text("kept")
        store.add_artifact("aaaa", 1, tmp_path / "kept.txt")
        store.end_import(RUN, "i1")
        assert store.run("aaaa") == RUN
        assert store.series("aaaa", "loss").values == (0.5, 0.25)
        assert store.log_tail("aaaa", 1, 100) == b"hello"
        assert [one.name for one in store.artifacts("aaaa")] == ["kept.txt"]
        assert store.names(["old"]).metrics == {"loss"}
        assert store.names(["old"]).params == {"lr"}
        assert (store.events("aaaa"), store.owed(10)) == ([], [])

    def test_one_that_is_whole_is_imported_again_only_when_asked(self, store: Store) -> None:
        store.begin_import(RUN, "i1")
        store.import_part("aaaa", "i1", PART)
        store.end_import(RUN, "i1")
        assert not store.begin_import(RUN, "i2")
        assert store.run("aaaa") == RUN
        assert store.begin_import(RUN, "i2", again=True)
        assert store.series("aaaa", "loss").values == ()
        store.end_import(replace(RUN, summary={}), "i2")
        assert store.run("aaaa").state is State.FINISHED

    def test_what_a_dead_import_left_is_begun_anew_and_it_adds_nothing_any_more(
        self, store: Store, tmp_path: Path
    ) -> None:
        store.begin_import(RUN, "dead")
        store.import_part("aaaa", "dead", PART)
        (tmp_path / "kept.txt").write_text("kept")
        store.add_artifact("aaaa", 1, tmp_path / "kept.txt")
        assert store.begin_import(RUN, "next")
        assert (store.series("aaaa", "loss").values, store.artifacts("aaaa"), store.log("aaaa", 1)) == ((), [], [])
        with pytest.raises(Superseded):
            store.import_part("aaaa", "dead", PART)
        with pytest.raises(Superseded):
            store.end_import(RUN, "dead")
        store.import_part("aaaa", "next", PART)
        store.end_import(RUN, "next")
        assert store.series("aaaa", "loss").values == (0.5, 0.25)
        with pytest.raises(Superseded):
            store.import_part("aaaa", "next", PART)

    def test_nobody_can_have_it_run(self, store: Store) -> None:
        store.begin_import(RUN, "i1")
        for state in ("begun", "ended"):
            for name, apply in (("requeue", requeued), ("resume", resumed)):
                changed = store.change(["aaaa"], Change(name=name, apply=apply))
                assert changed.refused is not None
                assert "was imported (old.csv a)" in changed.refused["aaaa"], (state, name)
            assert store.claim(WORKER, 60) is None
            if state == "begun":
                store.end_import(RUN, "i1")


def test_a_file_that_is_being_imported_is_no_litter(mongo_store: MongoStore, tmp_path: Path) -> None:
    mongo_store.begin_import(RUN, "i1")
    mongo_store.database["artifact_uploads"].insert_one({"_id": "5" * 24, "run": "aaaa", "attempt": 1, "state": "open"})
    assert mongo_store.tidy(5.0) == 0
    mongo_store.end_import(RUN, "i1")
    assert mongo_store.tidy(5.0) == 1
