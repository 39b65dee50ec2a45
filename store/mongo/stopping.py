"""What the stopping rules read and keep: few round trips, whatever the number of runs, and only what is new."""

import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

from pydantic import ValidationError
from pymongo import DeleteMany, UpdateOne
from pymongo.errors import BulkWriteError

from store.courses import Afoot, Asked, Course, Reached, Track, Watched
from store.experiments import Experiment
from store.logbook import warn
from store.metrics import BUCKET_POINTS
from store.mongo.client import Connected, Document, guarded
from store.mongo.codec import from_document, plain
from store.states import State

_DUPLICATE_KEY = 11000
_SLACK = 8
"""Points that may have come between the look at a run and the look at its series."""
_WATCHED = {
    "experiment": 1, "state": 1, "attempt": 1, "wish": 1, "shipped": 1, "checkpoint.attempt": 1, "checkpoint.line": 1,
    "judged": 1,
}  # fmt: skip
_BY_STATE = [("experiment", 1), ("state", 1), ("queued_at", 1), ("index", 1), ("_id", 1)]
"""The index to use: without the state ten thousand runs would be looked at for the few that run."""
_ARRAYS = ("line", "step", "value")


class StoppingRules(Connected):
    """The `courses` and `rungs` collections, and what is read beside them."""

    @guarded
    def ruled(self) -> list[Experiment]:
        """The experiments that have rules, by name. Their texts are left out."""
        found = self.database["experiments"].find({"stopping": {"$type": "object"}}, {"text": 0}).sort("_id", 1)
        return [from_document(Experiment, {**document, "text": ""}) for document in found]

    @guarded
    def set_stopping(self, experiment: str, stopping: dict[str, Any] | None) -> bool:
        """Other rules for an experiment, or none."""
        update = {"$set": {"stopping": stopping}}
        return self.database["experiments"].update_one({"_id": experiment}, update).matched_count > 0

    @guarded
    def watched(self, experiments: Sequence[str], unread: int) -> list[Watched]:
        """By the index on states, and the one of unread runs alone."""
        of_these = {"experiment": {"$in": list(experiments)}}
        runs = self.database["runs"]
        running = runs.find({"state": State.RUNNING.value, **of_these}, _WATCHED).hint(_BY_STATE)
        waiting = {"state": State.PAUSED.value, "judged.held": {"$type": "object"}, **of_these}
        held = runs.find(waiting, _WATCHED).hint(_BY_STATE)
        ended = {**of_these, "state": {"$ne": State.RUNNING.value}, "judged.unread": True}
        others = runs.find(ended, _WATCHED).limit(unread)
        every = {document["_id"]: document for found in (others, held, running) for document in found}
        return list(_readable(every.values()))

    @guarded
    def afoot(self, experiment: str) -> Afoot:
        """Queued runs first: one that is claimed meanwhile is counted among the running ones."""
        runs = self.database["runs"]
        queued = runs.find_one({"state": State.QUEUED.value, "experiment": experiment}, {"_id": 1}, hint=_BY_STATE)
        running = runs.count_documents({"state": State.RUNNING.value, "experiment": experiment}, hint=_BY_STATE)
        return Afoot(queued=queued is not None, running=running)

    @guarded
    def courses(self, run_ids: Sequence[str]) -> dict[str, Course]:
        """How far the rules have read these runs."""
        found = self.database["courses"].find({"_id": {"$in": list(run_ids)}})
        return {document["_id"]: from_document(Course, document) for document in found}

    @guarded
    def save_courses(self, courses: Sequence[Course]) -> set[str]:
        """Each write matches on the version that was read; who else has saved in between is found by a token."""
        if not courses:
            return set()
        token = uuid.uuid4().hex
        writes = [_saved(course, token) for course in courses]
        try:
            done = self.database["courses"].bulk_write(writes, ordered=False)
            if done.matched_count + done.upserted_count == len(courses):
                return {course.id for course in courses}
        except BulkWriteError as error:
            if any(item["code"] != _DUPLICATE_KEY for item in error.details["writeErrors"]):
                raise
        mine = {"_id": {"$in": [course.id for course in courses]}, "token": token}
        return {document["_id"] for document in self.database["courses"].find(mine, {"_id": 1})}

    @guarded
    def tracks(self, asked: Sequence[Asked]) -> dict[str, tuple[Track, ...]]:
        """The ends of the newest buckets, of many runs at once; one whose end was too short is read by itself."""
        found: dict[str, dict[str, list[Document]]] = defaultdict(lambda: defaultdict(list))
        for tail, some in _by_tail(asked).items():
            for bucket in self.database["metrics"].aggregate(_ends_of_buckets(some, tail)):
                found[bucket["run"]][bucket["name"]].append(bucket)
        return {one.run: tuple(self._track(one, *pair, found[one.run]) for pair in _pairs(one)) for one in asked}

    def _track(self, asked: Asked, name: str, count: int, found: dict[str, list[Document]]) -> Track:
        buckets = sorted(found.get(name, []), key=lambda bucket: bucket["bucket"])
        expected = count
        for bucket in buckets:
            end = bucket["bucket"] * BUCKET_POINTS + bucket["n"]
            if end - len(bucket["line"]) > expected:
                return self._track(asked, name, count, {name: self._whole_buckets(asked, name, count)})
            expected = max(expected, end)
        return _joined([_from_count(bucket, count, asked.to_line) for bucket in buckets])

    def _whole_buckets(self, asked: Asked, name: str, count: int) -> list[Document]:
        newer = {"run": asked.run, "name": name, "attempt": asked.attempt, "bucket": {"$gte": count // BUCKET_POINTS}}
        return [{**bucket, "n": len(bucket["line"])} for bucket in self.database["metrics"].find(newer)]

    @guarded
    def whole_tracks(self, run_id: str, names: Sequence[str]) -> tuple[Track, ...]:
        """All points of these series."""
        order = [("attempt", 1), ("bucket", 1)]
        found = [list(self.database["metrics"].find({"run": run_id, "name": name}).sort(order)) for name in names]
        return tuple(_joined(buckets, times=True) for buckets in found)

    @guarded
    def reach(self, reached: Sequence[Reached], anew: Sequence[str] = ()) -> None:
        """What a rung had before is replaced; what is no longer true goes. Doing it twice is harmless."""
        kept: dict[str, list[float]] = {run_id: [] for run_id in anew}
        for one in reached:
            kept.get(one.run, []).append(one.at)
        writes: list[UpdateOne | DeleteMany] = [
            DeleteMany({"run": run_id, "at": {"$nin": rungs}}) for run_id, rungs in kept.items()
        ]
        writes += [
            UpdateOne(
                {"run": one.run, "at": one.at},
                {"$set": {"experiment": one.experiment, "value": one.value}},
                upsert=True,
            )
            for one in reached
        ]
        if writes:
            self.database["rungs"].bulk_write(writes, ordered=False)

    @guarded
    def reached(self, experiment: str, at: float) -> dict[str, float]:
        """The values of all runs that have reached this rung."""
        found = self.database["rungs"].find({"experiment": experiment, "at": at}, {"_id": 0, "run": 1, "value": 1})
        return {document["run"]: document["value"] for document in found}

    @guarded
    def fallen(self, experiment: str) -> dict[str, tuple[float, float]]:
        """The highest rungs of stopped runs."""
        stopped = [
            d["_id"]
            for d in self.database["courses"].find({"experiment": experiment, "ruling.hold": False}, {"_id": 1})
        ]
        found = self.database["rungs"].find({"run": {"$in": stopped}}, {"_id": 0, "run": 1, "at": 1, "value": 1})
        return {document["run"]: (document["at"], document["value"]) for document in found.sort("at", 1)}

    @guarded
    def mark_read(self, runs: Sequence[tuple[str, int]]) -> None:
        """A run that has begun anew meanwhile has another attempt, or will have."""
        unread = {"judged.unread": True}
        read = {"$set": {"judged.unread": False}}
        if runs:
            writes = [UpdateOne({"_id": run_id, "attempt": attempt, **unread}, read) for run_id, attempt in runs]
            self.database["runs"].bulk_write(writes, ordered=False)


def _readable(documents: Iterable[Document]) -> Iterator[Watched]:
    """One document that somebody has spoiled by hand must not keep all others from being judged."""
    for document in documents:
        try:
            yield from_document(Watched, document)
        except ValidationError as error:
            warn("run-not-readable", run=document["_id"], error=error.errors()[0]["loc"])


def _saved(course: Course, token: str) -> UpdateOne:
    """A course that nobody has saved yet has version 0, and no document."""
    document = {name: getattr(course, name) for name in course.__dataclass_fields__ if name not in ("id", "ruling")}
    document |= {"ruling": plain(course.ruling), "version": course.version + 1, "token": token}
    update = {"$set": document}
    return UpdateOne({"_id": course.id, "version": course.version}, update, upsert=course.version == 0)


def _pairs(asked: Asked) -> Iterable[tuple[str, int]]:
    return zip(asked.names, asked.counts, strict=True)


def _by_tail(asked: Sequence[Asked]) -> dict[int, list[Asked]]:
    """Those of which about as many points are new go together, so that nobody's end is much longer than needed."""
    groups: dict[int, list[Asked]] = defaultdict(list)
    for one in asked:
        wanted = one.at_most + _SLACK
        grain = 8 if wanted <= 64 else 64 if wanted <= 512 else BUCKET_POINTS
        groups[min(-(-wanted // grain) * grain, BUCKET_POINTS)].append(one)
    return groups


def _ends_of_buckets(asked: Sequence[Asked], tail: int) -> list[Document]:
    alike: dict[tuple[int, str, int], list[str]] = defaultdict(list)
    for one in asked:
        for name, count in _pairs(one):
            alike[one.attempt, name, count // BUCKET_POINTS].append(one.run)
    clauses = [
        {"run": {"$in": runs}, "name": name, "attempt": attempt, "bucket": {"$gte": bucket}}
        for (attempt, name, bucket), runs in alike.items()
    ]
    ends = {array: {"$slice": [f"${array}", -tail]} for array in _ARRAYS}
    fields = {"_id": 0, "run": 1, "name": 1, "attempt": 1, "bucket": 1, "n": {"$size": "$line"}, **ends}
    return [{"$match": {"$or": clauses}}, {"$project": fields}]


def _from_count(bucket: Document, count: int, to_line: int) -> Document:
    """Without the points that were read before, and those that came after the look at the run."""
    first = bucket["bucket"] * BUCKET_POINTS + bucket["n"] - len(bucket["line"])
    start = max(0, count - first)
    end = next((i for i in range(len(bucket["line"]), start, -1) if bucket["line"][i - 1] <= to_line), start)
    return {"attempt": bucket["attempt"], **{array: bucket[array][start:end] for array in _ARRAYS}}


def _joined(buckets: Sequence[Document], *, times: bool = False) -> Track:
    return Track(
        attempts=tuple(bucket["attempt"] for bucket in buckets for _ in bucket["line"]),
        lines=_chained(buckets, "line"),
        steps=_chained(buckets, "step"),
        times=_chained(buckets, "time") if times else (),
        values=_chained(buckets, "value"),
    )


def _chained(buckets: Sequence[Document], array: str) -> tuple[Any, ...]:
    return tuple(chain.from_iterable(bucket[array] for bucket in buckets))
