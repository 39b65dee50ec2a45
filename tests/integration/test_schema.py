"""Indexes and validators: made once, holding against bad documents, refused by an older labq."""

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from pymongo.errors import WriteError

from store.errors import StoreFailed
from store.mongo import MongoStore
from store.mongo.filters import to_filter
from store.mongo.schema import INDEXES, VALIDATORS, VERSION, ensure_schema
from store.occasions import Occasion
from store.query import Contains, RunField
from store.runs import Attempt, MetricSummary, Progress, Run, Task
from store.servers.places import places
from store.settings import Settings
from store.states import State


def test_every_collection_has_its_indexes_and_validators(own_mongo_store: MongoStore) -> None:
    database = own_mongo_store.database
    for name, indexes in INDEXES.items():
        assert len(database[name].index_information()) == len(indexes) + 1
    for info in database.list_collections(filter={"name": {"$in": list(VALIDATORS)}}):
        assert info["options"]["validator"] == VALIDATORS[info["name"]]
    assert database["meta"].find_one({"_id": "schema"}) == {"_id": "schema", "version": VERSION}


def test_making_it_twice_changes_nothing(own_mongo_store: MongoStore) -> None:
    own_mongo_store.database["meta"].delete_one({"_id": "schema"})
    ensure_schema(own_mongo_store.database)
    ensure_schema(own_mongo_store.database)


@pytest.mark.parametrize(
    ("collection", "document"),
    [
        ("runs", {"_id": "x", "state": "running"}),
        ("runs", {"_id": "x", "key": "k", "experiment": "e", "params": {}, "state": "done", "attempt": 0}),
        ("outbox", {"_id": "x", "run": 3, "to": [], "state": "owed"}),
    ],
)
def test_a_document_of_the_wrong_shape_is_refused(
    own_mongo_store: MongoStore, collection: str, document: dict[str, object]
) -> None:
    with pytest.raises(WriteError, match="validation"):
        own_mongo_store.database[collection].insert_one(document)


def test_a_database_of_a_newer_labq_is_refused(own_mongo_store: MongoStore) -> None:
    own_mongo_store.database["meta"].update_one({"_id": "schema"}, {"$set": {"version": VERSION + 1}})
    with pytest.raises(StoreFailed, match="upgrade labq"):
        ensure_schema(own_mongo_store.database)


def test_a_message_that_an_earlier_labq_owed_is_sent(own_mongo_store: MongoStore) -> None:
    """Its settle wrote the notice itself, and its events owe nothing."""
    owed = {
        "_id": "aaaa-1-finished", "about": "finished", "to": ["me@lab.example"], "run": "aaaa", "attempt": 1,
        "state": "owed", "tries": 0, "not_before": None, "created_at": own_mongo_store.now(), "sent_at": None, "error": "",
    }  # fmt: skip
    own_mongo_store.database["outbox"].insert_one(owed)
    own_mongo_store.database["events"].insert_one(
        {"run": "aaaa", "attempt": 1, "event": "finished", "at": own_mongo_store.now()}
    )
    assert own_mongo_store.owed(10) == []
    notice = own_mongo_store.claim_notice("n", 60)
    assert notice is not None
    assert (notice.id, notice.about) == ("aaaa-1-finished", Occasion.FINISHED)
    assert [one.id for one in own_mongo_store.notices("aaaa")] == [notice.id]


def test_owed_events_come_from_their_index_alone(own_mongo_store: MongoStore) -> None:
    plan = own_mongo_store.database["events"].find({"owed": {"$gt": ""}}).sort("at", 1).limit(9).explain()
    assert "'indexName': 'at_1'" in str(plan["queryPlanner"]["winningPlan"])
    assert "'SORT'" not in str(plan["queryPlanner"]["winningPlan"])


def test_a_claim_uses_its_index(own_mongo_store: MongoStore) -> None:
    filter_ = {"state": "queued", "queue": {"$in": ["default"]}}
    order = [("priority", -1), ("queued_at", 1), ("index", 1)]
    plan = own_mongo_store.database["runs"].find(filter_).sort(order).explain()
    winning = str(plan["queryPlanner"]["winningPlan"])
    assert "IXSCAN" in winning
    assert "'SORT'" not in winning


MESSAGES = "queued_at_1_index_1__id_1_ending.message_1"
NEWEST_FIRST = [("queued_at", -1), ("index", -1), ("_id", -1)]


@pytest.mark.parametrize(
    ("asked", "order", "index"),
    [
        ({}, NEWEST_FIRST, "queued_at_1"),
        ({"state": "failed"}, NEWEST_FIRST, "state_1_queued_at_1"),
        ({"experiment": "e", "state": {"$in": ["failed", "queued"]}}, NEWEST_FIRST, "experiment_1_state_1"),
        ({"tags": "paper"}, NEWEST_FIRST, "tags_1"),
        ({"reason": "lost"}, NEWEST_FIRST, "reason_1"),
        ({"summary.loss.min": {"$gte": float("-inf")}}, [("summary.loss.min", 1)], "values"),
        ({"params.lr": {"$gte": float("-inf")}}, [("params.lr", -1)], "values"),
        ({"ended_at": {"$gte": datetime(1971, 1, 1)}}, [("ended_at", -1)], "ended_at_1"),  # noqa: DTZ001
        ({"derived.duration_s": {"$gte": float("-inf")}}, [("derived.duration_s", -1)], "facts"),
        ({"priority": {"$gte": float("-inf")}}, [("priority", -1)], "facts"),
        ({"owner": {"$gte": ""}}, [("owner", 1)], "facts"),
        (to_filter(Contains(field=RunField.MESSAGE, text="cuda")), NEWEST_FIRST, MESSAGES),
    ],
)
def test_a_page_of_runs_comes_from_an_index_in_its_order(
    own_mongo_store: MongoStore, asked: dict[str, object], order: list[tuple[str, int]], index: str
) -> None:
    plans = own_mongo_store.database["runs"].find(asked).sort(order).limit(50).explain()["queryPlanner"]
    usable = [str(plan) for plan in (plans["winningPlan"], *plans["rejectedPlans"])]
    assert any(f"'indexName': '{index}" in plan and "'SORT'" not in plan for plan in usable)


def test_a_database_of_an_earlier_labq_gets_the_new_indexes_and_loses_the_replaced(own_mongo_store: MongoStore) -> None:
    runs = own_mongo_store.database["runs"]
    runs.drop_index("values")
    runs.create_index([("queued_at", 1), ("index", 1)])
    own_mongo_store.database["meta"].update_one({"_id": "schema"}, {"$set": {"version": 2}})
    ensure_schema(own_mongo_store.database)
    names = set(runs.index_information())
    assert "values" in names
    assert "queued_at_1_index_1" not in names


MIGRATES = "import sys; from store.mongo import open_store; open_store(sys.argv[1], sys.argv[2], 60.0)"


def test_whoever_is_killed_while_it_brings_runs_up_to_date_is_followed_by_another(
    servers: Settings, own_mongo_store: MongoStore
) -> None:
    runs, began = own_mongo_store.database["runs"], datetime(2026, 1, 1, tzinfo=UTC)
    template = Run(id="", key="", experiment="e", params={}, task=Task(command=("true",), workdir="/"), queued_at=began)
    own_mongo_store.add_runs([replace(template, id=f"r{n}", key=f"k{n}") for n in range(20_000)])
    runs.update_many({}, {"$unset": {"derived": 1}})
    own_mongo_store.database["meta"].update_one({"_id": "schema"}, {"$set": {"version": 10}})
    given = [places(servers.home).mongo_url, own_mongo_store.database.name]
    with subprocess.Popen([sys.executable, "-c", MIGRATES, *given]) as process:
        while runs.find_one({"derived": {"$exists": True}}, {"_id": 1}) is None:
            assert process.poll() is None
        process.kill()
    assert own_mongo_store.database["meta"].find_one({"_id": "schema", "version": 10}), "killed in the middle"
    ensure_schema(own_mongo_store.database)
    assert runs.count_documents({"derived": {}}) == 20_000
    assert own_mongo_store.database["meta"].find_one({"_id": "schema", "version": VERSION})


def test_runs_of_an_earlier_labq_get_what_is_derived(own_mongo_store: MongoStore) -> None:
    runs = own_mongo_store.database["runs"]
    began = datetime(2026, 1, 1, tzinfo=UTC)
    history = tuple(
        Attempt(number=number, worker="w", started_at=began, ended_at=began + timedelta(milliseconds=333 * number))
        for number in (1, 2)
    )
    ended = Run(
        id="a", key="a", experiment="e", params={}, task=Task(command=("true",), workdir="/"), queued_at=began,
        state=State.FINISHED, started_at=began, ended_at=began + timedelta(seconds=9.001), history=history,
        progress=Progress(done=1, total=3),
        summary={"loss": MetricSummary(last=1.0, last_step=7, count=1)},
    )  # fmt: skip
    own_mongo_store.add_runs([ended, replace(ended, id="b", key="b", state=State.RUNNING, ended_at=None)])
    expected = {document["_id"]: document["derived"] for document in runs.find()}
    assert expected["a"] == {"duration_s": 9.001, "running_time_s": 0.999, "progress": 1 / 3, "step": 7}
    assert expected["b"] == {"progress": 1 / 3, "step": 7}
    runs.update_many({}, {"$unset": {"derived": 1}})
    own_mongo_store.database["meta"].update_one({"_id": "schema"}, {"$set": {"version": 10}})
    ensure_schema(own_mongo_store.database)
    assert {document["_id"]: document["derived"] for document in runs.find()} == expected
