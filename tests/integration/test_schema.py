"""Indexes and validators: made once, holding against bad documents, refused by an older labq."""

import pytest
from pymongo.errors import WriteError

from store.errors import StoreFailed
from store.mongo import MongoStore
from store.mongo.schema import INDEXES, VALIDATORS, VERSION, ensure_schema


def test_every_collection_has_its_indexes_and_validators(mongo_store: MongoStore) -> None:
    database = mongo_store.database
    for name, indexes in INDEXES.items():
        assert len(database[name].index_information()) == len(indexes) + 1
    for info in database.list_collections(filter={"name": {"$in": list(VALIDATORS)}}):
        assert info["options"]["validator"] == VALIDATORS[info["name"]]
    assert database["meta"].find_one({"_id": "schema"}) == {"_id": "schema", "version": VERSION}


def test_making_it_twice_changes_nothing(mongo_store: MongoStore) -> None:
    mongo_store.database["meta"].delete_one({"_id": "schema"})
    ensure_schema(mongo_store.database)
    ensure_schema(mongo_store.database)


@pytest.mark.parametrize(
    ("collection", "document"),
    [
        ("runs", {"_id": "x", "state": "running"}),
        ("runs", {"_id": "x", "key": "k", "experiment": "e", "params": {}, "state": "done", "attempt": 0}),
        ("outbox", {"_id": "x", "run": 3, "to": [], "state": "owed"}),
    ],
)
def test_a_document_of_the_wrong_shape_is_refused(
    mongo_store: MongoStore, collection: str, document: dict[str, object]
) -> None:
    with pytest.raises(WriteError, match="validation"):
        mongo_store.database[collection].insert_one(document)


def test_a_database_of_a_newer_labq_is_refused(mongo_store: MongoStore) -> None:
    mongo_store.database["meta"].update_one({"_id": "schema"}, {"$set": {"version": VERSION + 1}})
    with pytest.raises(StoreFailed, match="upgrade labq"):
        ensure_schema(mongo_store.database)


def test_a_claim_uses_its_index(mongo_store: MongoStore) -> None:
    filter_ = {"state": "queued", "queue": {"$in": ["default"]}}
    order = [("priority", -1), ("queued_at", 1), ("index", 1)]
    plan = mongo_store.database["runs"].find(filter_).sort(order).explain()
    winning = str(plan["queryPlanner"]["winningPlan"])
    assert "IXSCAN" in winning
    assert "'SORT'" not in winning
