"""Enqueueing and looking up runs."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import pymongo
from pymongo.errors import BulkWriteError, OperationFailure, PyMongoError

from store.blobs import blob_id
from store.errors import AmbiguousId, BadQuery, NoSuchRun, StoreUnavailable
from store.experiments import Experiment
from store.grouping import Group, Grouping
from store.mongo.client import AWAY_CODES, Document, Session, guarded
from store.mongo.codec import from_document, to_document
from store.mongo.derived import run_documents
from store.mongo.filters import to_filter
from store.mongo.groups import Groups
from store.mongo.names import NamesKept
from store.mongo.ordered_pages import OLDEST_FIRST, Pages
from store.query import All, Among, Compared, Condition, RawMongo, RunField, param_paths, walk
from store.runs import Run
from store.states import State
from store.store import RunQuery

_DUPLICATE_KEY = 11000
_PAGE = 10_000
_QUESTION_S = 30.0


class Runs(NamesKept, Pages, Groups):
    """The `runs`, `experiments` and `blobs` collections."""

    @guarded
    def add_experiment(self, experiment: Experiment) -> None:
        """Record or refresh an experiment."""
        document = {name: value for name, value in to_document(experiment).items() if name != "peaks"}
        self.database["experiments"].update_one({"_id": experiment.name}, {"$set": document}, upsert=True)

    @guarded
    def add_runs(self, runs: Sequence[Run]) -> list[str]:
        """Insert the runs that are not there yet. The unique index decides when two people enqueue at once."""
        ids = [run.id for run in runs]
        there = {d["_id"] for d in self.database["runs"].find({"_id": {"$in": ids}}, {"_id": 1})}
        new = [run for run in runs if run.id not in there]
        if not new:
            return []
        self._note_names(new)
        fresh = run_documents(new)
        try:
            self.database["runs"].insert_many(fresh, ordered=False)
        except BulkWriteError as error:
            beaten = _duplicates(error)
            return [document["_id"] for i, document in enumerate(fresh) if i not in beaten]
        return [document["_id"] for document in fresh]

    @guarded
    def add_blob(self, text: str) -> str:
        """Keep a text once under the hash of its content."""
        self.database["blobs"].update_one({"_id": blob_id(text)}, {"$setOnInsert": {"text": text}}, upsert=True)
        return blob_id(text)

    @guarded
    def blob(self, wanted: str) -> str | None:
        """A text kept by add_blob."""
        document = self.database["blobs"].find_one({"_id": wanted})
        return document["text"] if document else None

    @guarded
    def run(self, id_or_prefix: str) -> Run:
        """The run with this id or unique prefix."""
        prefix = id_or_prefix.strip().lower()
        if not prefix:
            raise NoSuchRun("a run id is missing; see: labq ls")
        pattern = {"$regex": f"^{re.escape(prefix)}"}
        found = list(self.database["runs"].find({"_id": pattern}).limit(6))
        exact = [document for document in found if document["_id"] == prefix]
        if len(found) > 1 and not exact:
            some = ", ".join(document["_id"] for document in found[:5])
            raise AmbiguousId(f"{id_or_prefix!r} fits several runs: {some}{', …' if len(found) > 5 else ''}")
        if not found:
            raise NoSuchRun(f"no run has an id that begins with {id_or_prefix!r}; see: labq ls")
        return from_document(Run, (exact or found)[0])

    @guarded
    def runs(self, query: RunQuery) -> list[Run]:
        """A page of the matching runs."""
        return self._page_of(query)

    def _page_of(self, query: RunQuery, *, light: bool = False) -> list[Run]:
        """`light`: runs that know their place in the list and nothing else."""
        match, after = filter_of(query), self.run(query.after) if query.after else None
        with self._asking(query):
            if query.order is not None:
                return self._by_field(match, query.order, after, query.skip, query.limit, self.now(), light=light)
            if after is not None or query.skip or query.limit:
                return self._by_age(match, after, query.skip, query.limit, light=light)[::-1]
            cursor = self.database["runs"].find(match).sort(OLDEST_FIRST)
            return [from_document(Run, document) for document in cursor]

    @guarded
    def run_ids(self, query: RunQuery) -> list[str]:
        """In pages: a cursor over a million runs would outlast the longest wait."""
        ids: list[str] = []
        match = filter_of(query)
        while True:
            beyond = {"$and": [match, {"_id": {"$gt": ids[-1]}}]} if ids else match
            with raw_filters_are_users(query):
                page = [d["_id"] for d in self.database["runs"].find(beyond, {"_id": 1}).sort("_id", 1).limit(_PAGE)]
            ids += page
            if len(page) < _PAGE:
                return ids

    @guarded
    def count(self, query: RunQuery, at_most: int, within_s: float) -> int | None:
        """How many runs match, within bounds."""
        try:
            with raw_filters_are_users(query), pymongo.timeout(within_s):  # no longer, whatever is asked
                return self.database["runs"].count_documents(filter_of(query), limit=at_most)
        except PyMongoError as error:
            if error.timeout:
                return None
            raise

    @guarded
    def groups(self, query: RunQuery, grouping: Grouping) -> list[Group]:
        """The matching runs counted by the value of a field."""
        with self._asking(query):
            return self._grouped(filter_of(query), grouping)

    @guarded
    def counts(self, experiment: str | None = None, at_most: int = 0) -> dict[State, int]:
        """How many runs are in each state: from the index alone."""
        match = {"experiment": experiment} if experiment else {}
        limit: dict[str, Any] = {"limit": at_most} if at_most else {}
        found = {s: self.database["runs"].count_documents({**match, "state": s.value}, **limit) for s in State}
        return {state: count for state, count in found.items() if count}

    @guarded
    def experiment(self, name: str) -> Experiment | None:
        """The experiment of this name."""
        document = self.database["experiments"].find_one({"_id": name})
        return from_document(Experiment, document) if document else None

    @guarded
    def experiments(self) -> list[Experiment]:
        """All experiments, newest first."""
        return [from_document(Experiment, d) for d in self.database["experiments"].find().sort("created_at", -1)]

    @contextmanager
    def _asking(self, query: RunQuery) -> Iterator[None]:
        """A question may take longer than a write, and one that takes too long can be narrowed."""
        within_s = max(_QUESTION_S, self.timeout_s)
        try:
            with raw_filters_are_users(query), pymongo.timeout(within_s):
                yield
        except PyMongoError as error:
            if not error.timeout or not self._answers():
                raise
            raise BadQuery(
                f"this takes MongoDB longer than {within_s:g} s, for it has to read too many runs; "
                "narrow it: to an experiment, a state, or a time such as created > -30d"
            ) from error

    def _answers(self) -> bool:
        """Whether the server is there at all."""
        try:
            return bool(self.now())
        except StoreUnavailable:
            return False

    def _note_names(self, runs: Sequence[Run]) -> None:
        """Before the runs: a name that nobody has yet does no harm, one that is not known does."""
        params: dict[str, set[str]] = defaultdict(set)
        metrics: dict[str, set[str]] = defaultdict(set)
        for run in runs:
            params[run.experiment] |= param_paths(run.params)
            metrics[run.experiment] |= set(run.summary)
        for experiment in params:
            self.note_names(experiment, metrics=metrics[experiment], params=params[experiment])

    def _load(self, match: Document, session: Session | None = None) -> tuple[Run, datetime] | None:
        """The run that matches, and the server's clock at that moment."""
        stages: list[dict[str, Any]] = [{"$match": match}, {"$limit": 1}, {"$set": {"_now": "$$NOW"}}]
        for document in self.database["runs"].aggregate(stages, session=session):
            now: datetime = document.pop("_now")
            return from_document(Run, document), now
        return None


def _duplicates(error: BulkWriteError) -> set[int]:
    """Positions that somebody else inserted first; any other write error is raised again."""
    errors = error.details["writeErrors"]
    if any(item["code"] != _DUPLICATE_KEY for item in errors):
        raise error
    return {item["index"] for item in errors}


def filter_of(query: RunQuery) -> Document:
    """All of the query but its limit."""
    match: Document = {}
    if query.experiment:
        match["experiment"] = query.experiment
    if query.states:
        match["state"] = {"$in": [state.value for state in query.states]}
    if query.ids:
        match["_id"] = {"$in": list(query.ids)}
    if query.tag:
        match["tags"] = query.tag
    if query.where is not None and (where := to_filter(query.where)):
        match["$and"] = [where]
    if "state" not in match and (query.experiment or _is_of_experiments(query.where)):
        # So that one index answers for an experiment, in any states, in the order of time.
        match["state"] = {"$in": [state.value for state in State]}
    return match


def _is_of_experiments(where: Condition | None) -> bool:
    match where:
        case All(parts=parts):
            return any(_is_of_experiments(part) for part in parts)
        case Compared(field=RunField.EXPERIMENT) | Among(field=RunField.EXPERIMENT):
            return True
    return False


@contextmanager
def raw_filters_are_users(query: RunQuery) -> Iterator[None]:
    """What MongoDB says against a filter that a person wrote is that person's mistake."""
    try:
        yield
    except OperationFailure as error:
        is_raw = query.where is not None and any(isinstance(part, RawMongo) for part in walk(query.where))
        if not is_raw or error.timeout or error.code in AWAY_CODES:
            raise
        raise BadQuery(f"MongoDB refuses the filter: {(error.details or {}).get('errmsg', error)}") from error
