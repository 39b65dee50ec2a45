"""Whatever a test of the contract did: what MongoDB's documents say twice is the same both times."""

from collections.abc import Iterator
from contextlib import suppress

import pytest
from pydantic import ValidationError

from store.mongo import MongoStore
from store.mongo.codec import from_document
from store.mongo.derived import derived
from store.mongo.filters import DERIVED
from store.runs import Run


@pytest.fixture
def mongo_store(mongo_store: MongoStore) -> Iterator[MongoStore]:
    """That of all tests, looked at afterwards."""
    yield mongo_store
    for document in mongo_store.database["runs"].find().limit(300):
        with suppress(ValidationError):  # spoiled by hand
            assert document[DERIVED] == derived(from_document(Run, document)), document["_id"]
