"""Walking through a collection in bounded pieces: no query outlasts its time-out, however much is stored."""

from collections.abc import Iterator, Sequence
from typing import Any

from pymongo.collection import Collection

from store.mongo.client import Document

PAGE = 1000


def pages(collection: Collection[Document], fields: Sequence[str]) -> Iterator[list[Document]]:
    """Every document, by `_id`, with these fields. Nothing is filtered: a filter that fits few would read for long."""
    wanted = dict.fromkeys(["_id", *fields], 1)
    match: Document = {}
    while page := list(collection.find(match, wanted).sort("_id", 1).limit(PAGE)):
        yield page
        match = {"_id": {"$gt": page[-1]["_id"]}}


def distinct_pages(collection: Collection[Document], field: str) -> Iterator[list[Any]]:
    """Every value of a field that an index begins with: the server skips from one to the next."""
    match: Document = {}
    while page := [one["_id"] for one in collection.aggregate(_distinct(field, match))]:
        yield page
        match = {field: {"$gt": page[-1]}}


def _distinct(field: str, match: Document) -> list[Document]:
    return [{"$match": match}, {"$sort": {field: 1}}, {"$group": {"_id": f"${field}"}}, {"$limit": PAGE}]
