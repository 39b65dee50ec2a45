"""What stands of a diagnosis, repeated in the run's own document: so runs are asked for, listed and sorted by it."""

from itertools import islice

from pymongo import UpdateOne
from pymongo.database import Database

from store.findings import Diagnosis
from store.mongo.client import Document
from store.mongo.codec import from_document, plain

_AT_ONCE = 500


def diagnosis_of(document: Document) -> Diagnosis:
    """Its id is the run."""
    return from_document(Diagnosis, {**document, "run": document["_id"]})


def told(diagnosis: Diagnosis) -> tuple[Document, Document]:
    """The update of a run that says what stands; where it says so already nothing is written."""
    found = plain(diagnosis.diseases)
    same = [found] if found else [found, None]
    return {"_id": diagnosis.run, "attempt": diagnosis.attempt, "findings": {"$nin": same}}, {
        "$set": {"findings": found}
    }


def tell_all_runs(database: Database[Document]) -> None:
    """For diagnoses of an earlier labq, which told the runs nothing."""
    found = database["diagnoses"].find({"findings.0": {"$exists": True}})
    while page := [UpdateOne(*told(diagnosis_of(one))) for one in islice(found, _AT_ONCE)]:
        database["runs"].bulk_write(page, ordered=False)
