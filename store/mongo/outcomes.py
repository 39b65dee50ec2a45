"""Many runs, a small part of each, a page at a time."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from itertools import takewhile
from typing import Any

import bson
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument

from store.mongo.client import Document, driver_errors, guarded
from store.mongo.codec import from_document
from store.mongo.ordered_pages import OLDEST_FIRST
from store.mongo.runs import Runs, filter_of, raw_filters_are_users
from store.outcomes import Outcome
from store.store import RunQuery

PAGE = 3000
"""Some megabytes of documents, some fifty milliseconds of the server."""
_PART = 100
"""Documents that are decoded at once: what is made of more of them is out of the processor's cache when it is read."""
_AT_ONCE = 200
_ELSEWHERE = {"host": "history.facts.host", "commit": "provenance.git.commit", "message": "ending.message"}
_WANTED = {_ELSEWHERE.get(one.name, one.name): 1 for one in fields(Outcome) if one.name != "id"}


Codec = CodecOptions[Any]
_RAW = CodecOptions(document_class=RawBSONDocument)


class Outcomes(Runs):
    """What tables of results read."""

    def outcomes(self, query: RunQuery) -> Iterator[Outcome]:
        """Matching runs, oldest first. Each page begins where the index says that the last one ended."""
        for page in self._paged(query, _WANTED, self.database.codec_options):
            for part in page:
                yield from map(_outcome, part)

    def _paged(self, query: RunQuery, wanted: Document, codec: Codec) -> Iterator[Iterator[list[Document]]]:
        """Pages in parts. A page is read at once; a part is decoded when it is looked at."""
        match = filter_of(query)
        seen: list[str] = []
        page = self._page(match, query, None, seen, wanted)
        with ThreadPoolExecutor(1) as ahead:  # the server reads the next page while this one is made use of
            while page:
                at, same = self._last_of(page, codec)
                seen = same if len(same) < len(page) else seen + same
                is_last = len(page) < PAGE
                following = None if is_last else ahead.submit(self._page, match, query, at, seen, wanted)
                yield _decoded(page, codec)
                page = following.result() if following else []

    @guarded
    def _last_of(self, page: Sequence[bytes], codec: Codec) -> tuple[tuple[Any, Any], list[str]]:
        """The age of the last run, and the last runs of that age."""
        at = _age(bson.decode(page[-1], codec))
        last = takewhile(lambda one: _age(one) == at, (bson.decode(one, codec) for one in reversed(page)))
        return at, [one["_id"] for one in last]

    @guarded
    def _page(
        self, match: Document, query: RunQuery, at: tuple[Any, Any] | None, seen: list[str], wanted: Document
    ) -> list[bytes]:
        """First the rest of what was queued at one moment (a whole sweep is), then what came later."""
        found: list[bytes] = []
        with raw_filters_are_users(query):
            if at is not None:
                rest = {"queued_at": at[0], "index": {"$gte": at[1]}, "_id": {"$nin": seen}}
                found += self._some(match, rest, PAGE, wanted)
            if len(found) < PAGE:
                later = {"queued_at": {"$gt": at[0]}} if at is not None else {}
                found += self._some(match, later, PAGE - len(found), wanted)
        return found

    def _some(self, match: Document, further: Document, count: int, wanted: Document) -> list[bytes]:
        both = {"$and": [match, further]} if match and further else match or further
        runs = self.database["runs"].with_options(codec_options=_RAW)
        return [bytes(one.raw) for one in runs.find(both, wanted, sort=OLDEST_FIRST, limit=count, batch_size=count)]

    def values_at(self, steps: Mapping[str, int], names: Sequence[str]) -> dict[str, dict[str, float]]:
        """What these runs reported of these metrics at one step each; of a step that came twice, the later value."""
        found: dict[str, dict[str, float]] = {run_id: {} for run_id in steps}
        ids = list(steps) if names else []
        for start in range(0, len(ids), _AT_ONCE):
            for document in self._at(ids[start : start + _AT_ONCE], steps, names):
                found[document["run"]][document["name"]] = document["value"]
        return found

    @guarded
    def _at(self, ids: Sequence[str], steps: Mapping[str, int], names: Sequence[str]) -> list[Document]:
        """One small document for each bucket that holds the step: the server picks the value out of it."""
        wanted = {"$in": list(names)}
        either = [{"run": run_id, "name": wanted, "step": steps[run_id]} for run_id in ids]
        step: Document = {"$arrayElemAt": [[steps[one] for one in ids], {"$indexOfArray": [list(ids), "$run"]}]}
        position: Document = {"$indexOfArray": [{"$reverseArray": "$step"}, "$$step"]}
        value: Document = {"$arrayElemAt": [{"$reverseArray": "$value"}, position]}
        picked = {"$let": {"vars": {"step": step}, "in": value}}
        stages: list[dict[str, Any]] = [
            {"$match": {"$or": either}},
            {"$project": {"run": 1, "name": 1, "attempt": 1, "bucket": 1, "value": picked}},
            {"$sort": {"attempt": 1, "bucket": 1}},
        ]
        return list(self.database["metrics"].aggregate(stages))


def _age(document: Document) -> tuple[Any, Any]:
    return document["queued_at"], document.get("index", 0)


def _decoded(page: Sequence[bytes], codec: Codec) -> Iterator[list[Document]]:
    for start in range(0, len(page), _PART):
        with driver_errors():
            part = bson.decode_all(b"".join(page[start : start + _PART]), codec)
        yield part


def _outcome(document: Document) -> Outcome:
    history, git = document.pop("history", ()), (document.pop("provenance", None) or {}).get("git") or {}
    ending = document.pop("ending", None) or {}
    hosts = [(attempt.get("facts") or {}).get("host") for attempt in history]
    told = {"host": hosts[-1] if hosts else "", "commit": git.get("commit"), "message": ending.get("message")}
    return from_document(Outcome, {**document, **{name: value or "" for name, value in told.items()}})
