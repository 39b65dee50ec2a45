"""What a live page reads of one experiment: the server thins, so that little travels however much is stored."""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from store.glances import Beyond, Pulse, Stroke
from store.metrics import BUCKET_POINTS
from store.mongo.client import Connected, Document, guarded
from store.mongo.codec import from_document
from store.runs import Run
from store.states import State, Wish

_PULSE = {"state": 1, "attempt": 1, "shipped.attempt": 1, "shipped.events_lines": 1, "ended_at": 1, "wish": 1}
_NEWEST = [("queued_at", -1), ("index", -1), ("_id", -1)]
_LIGHT: Document = {"history": {"$slice": -1}, "provenance": 0}
_ARRAYS = ("step", "time", "value")
_WHOLE = {"run": 1, "name": 1, "attempt": 1, "bucket": 1, "n": {"$size": "$value"}}


class Glances(Connected):
    """Reads of `labq watch`."""

    @guarded
    def pulses(self, experiment: str, of_each_state: int) -> list[Pulse]:
        """By the index on experiment, state and age."""
        found: list[Document] = []
        for state in State:
            match = {"experiment": experiment, "state": state.value}
            found += self.database["runs"].find(match, _PULSE).sort(_NEWEST).limit(of_each_state)
        return [_pulse(document) for document in found]

    @guarded
    def light_runs(self, run_ids: Sequence[str]) -> list[Run]:
        """By id, without provenance, of their history the last line only."""
        found = self.database["runs"].find({"_id": {"$in": list(run_ids)}}, _LIGHT)
        return [from_document(Run, document) for document in found]

    @guarded
    def strokes(self, name: str, wanted: Sequence[Beyond], at_most: int) -> list[Stroke]:
        """One question for all runs of one grain. The newest bucket of a long history alone costs what is new in it."""
        left, found = at_most, list[Stroke]()
        for grain, some in groupby(sorted(wanted, key=lambda one: (one.grain, one.run)), key=lambda one: one.grain):
            if left <= 0:
                break
            asked = list(some)
            buckets = list(self.database["metrics"].aggregate(_stages(name, asked, grain, left)))
            left -= len(buckets)
            found += [_stroke(bucket) for bucket in buckets]
        return found


def _pulse(document: Document) -> Pulse:
    shipped = document.get("shipped") or {}
    return Pulse(
        id=document["_id"],
        state=State(document["state"]),
        attempt=document["attempt"],
        lines=shipped.get("events_lines", 0) if shipped.get("attempt") == document["attempt"] else 0,
        ended_at=document.get("ended_at"),
        wish=Wish(document["wish"]) if document.get("wish") else None,
    )


def _stages(name: str, wanted: Sequence[Beyond], grain: int, at_most: int) -> list[Document]:
    stages: list[Document] = [
        {"$match": {"name": name, "$or": list(_clauses(wanted))}},
        {"$sort": {"run": 1, "attempt": 1, "bucket": 1}},
        {"$limit": at_most},
        {"$project": {**_WHOLE, **_unseen(wanted)}},
    ]
    return stages if grain <= 1 else [*stages, *_thinning(min(grain, BUCKET_POINTS))]


def _clauses(wanted: Sequence[Beyond]) -> Iterator[Document]:
    """Runs that are read equally far go together: two hundred clauses would be planned longer than read."""
    alike: dict[tuple[int, int], list[str]] = defaultdict(list)
    for one in wanted:
        alike[one.attempt, one.points // BUCKET_POINTS].append(one.run)
    for (attempt, bucket), runs in alike.items():
        yield {"run": {"$in": runs}, "attempt": attempt, "bucket": {"$gte": bucket}}
    for attempt in {one.attempt for one in wanted}:
        yield {"run": {"$in": [one.run for one in wanted if one.attempt == attempt]}, "attempt": {"$gt": attempt}}


def _unseen(wanted: Sequence[Beyond]) -> Document:
    """The arrays of a bucket without what was read before."""
    begun = [one for one in wanted if one.points]
    if not begun:
        return dict.fromkeys(_ARRAYS, 1)
    position: Document = {"$indexOfArray": [[one.run for one in begun], "$run"]}
    attempt, points = ({"$arrayElemAt": [[getattr(one, of) for one in begun], "$$i"]} for of in ("attempt", "points"))
    before = {"$subtract": [points, {"$multiply": ["$bucket", BUCKET_POINTS]}]}
    same = {"$and": [{"$gte": ["$$i", 0]}, {"$eq": [attempt, "$attempt"]}]}
    skip = {"$let": {"vars": {"i": position}, "in": {"$cond": [same, {"$max": [0, before]}, 0]}}}
    return {array: {"$slice": [f"${array}", skip, BUCKET_POINTS]} for array in _ARRAYS}


def _thinning(grain: int) -> list[Document]:
    """Of each `grain` in a row the positions of the least and the greatest value, then what stands there."""
    picked = {
        f"{end}_{array}": {"$map": {"input": f"${end}", "in": {"$arrayElemAt": [f"${array}", "$$this"]}}}
        for end in ("least", "most")
        for array in _ARRAYS
    }
    positions = {end: _positions(grain, f"${op}") for end, op in (("least", "min"), ("most", "max"))}
    all_finite = {"$and": [{"$gt": [{"$min": "$value"}, -math.inf]}, {"$lt": [{"$max": "$value"}, math.inf]}]}
    return [
        {"$set": {"finite": all_finite}},
        {"$set": positions},
        {"$project": {**dict.fromkeys(_WHOLE, 1), "least": 1, "most": 1, **picked}},
    ]


def _positions(grain: int, operator: str) -> Document:
    """For NaN is less than anything and infinity more, they are left out, where there are any."""
    between = {"$and": [{"$gt": ["$$this", -math.inf]}, {"$lt": ["$$this", math.inf]}]}
    finite = {"$cond": ["$finite", "$$part", {"$filter": {"input": "$$part", "cond": between}}]}
    found = {"$max": [0, {"$indexOfArray": ["$$part", {operator: finite}]}]}
    part = {"$slice": ["$value", "$$at", grain]}
    position = {"$let": {"vars": {"part": part}, "in": {"$add": ["$$at", found]}}}
    return {"$map": {"input": {"$range": [0, {"$size": "$value"}, grain]}, "as": "at", "in": position}}


def _stroke(bucket: Document) -> Stroke:
    arrays = {array: tuple(bucket[array]) for array in _ARRAYS} if "value" in bucket else _woven(bucket)
    return Stroke(
        run=bucket["run"],
        attempt=bucket["attempt"],
        points=bucket["bucket"] * BUCKET_POINTS + bucket["n"],
        steps=arrays["step"],
        times=arrays["time"],
        values=arrays["value"],
    )


def _woven(bucket: Document) -> dict[str, tuple[Any, ...]]:
    """Least and greatest in the order in which they came, once where they are the same."""
    pairs = enumerate(zip(bucket["least"], bucket["most"], strict=True))
    kept = [
        (end, cell)
        for cell, (least, most) in pairs
        for end in (("least",) if least == most else ("least", "most") if least < most else ("most", "least"))
    ]
    return {array: tuple(bucket[f"{end}_{array}"][cell] for end, cell in kept) for array in _ARRAYS}
