"""A bounded part of long series: the newest buckets whole, a few points out of some of the older ones."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from store.metrics import BUCKET_POINTS, Series
from store.mongo.client import Connected, Document, guarded

_ARRAYS = ("step", "time", "value")
_OLDER_BUCKETS = 60
"""So many of the older buckets are read: of ten million points 60 documents, not 10,000."""

Place = tuple[int, int]
"""An attempt and the number of a bucket in it: their order is that of the points."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Which buckets of a series to read: `whole` ones, and of the `thin` ones every `stride`-th point."""

    whole: tuple[Place, ...]
    thin: tuple[Place, ...] = ()
    stride: int = 1


class Excerpts(Connected):
    """Reads of the `metrics` collection that cost the same however much is stored."""

    @guarded
    def series_in_part(self, run_id: str, names: Sequence[str], newest: int, older: int) -> dict[str, Series]:
        """Where the buckets are is told by the index alone."""
        plans = {name: plan(ends, newest, older) for name, ends in self._ends(run_id, names).items()}
        found: dict[str, dict[Place, Document]] = defaultdict(dict)
        for bucket in self._whole(run_id, plans):
            found[bucket["name"]][bucket["attempt"], bucket["bucket"]] = bucket
        for name, one in plans.items():
            for bucket in self._thin(run_id, name, one) if one.thin else ():
                found[name][bucket["attempt"], bucket["bucket"]] = bucket
        return {name: _joined(name, found[name]) for name in names}

    def _ends(self, run_id: str, names: Sequence[str]) -> dict[str, dict[int, int]]:
        """Of each series the last bucket of each attempt."""
        ends: dict[str, dict[int, int]] = {name: {} for name in names}
        last = {"$group": {"_id": {"name": "$name", "attempt": "$attempt"}, "last": {"$max": "$bucket"}}}
        match = {"$match": {"run": run_id, "name": {"$in": list(names)}}}
        for one in self.database["metrics"].aggregate([match, last]):
            ends[one["_id"]["name"]][one["_id"]["attempt"]] = one["last"]
        return ends

    def _whole(self, run_id: str, plans: dict[str, Plan]) -> list[Document]:
        clauses = [clause for name, one in plans.items() for clause in _clauses(run_id, name, one.whole)]
        fields = {"_id": 0, "name": 1, "attempt": 1, "bucket": 1, **dict.fromkeys(_ARRAYS, 1)}
        return list(self.database["metrics"].find({"$or": clauses}, fields)) if clauses else []

    def _thin(self, run_id: str, name: str, one: Plan) -> list[Document]:
        """The server picks the points: what is left out does not travel."""
        places = {"$range": [0, {"$size": "$step"}, one.stride]}
        picked: dict[str, Any] = {
            array: {"$map": {"input": places, "in": {"$arrayElemAt": [f"${array}", "$$this"]}}} for array in _ARRAYS
        }
        match = {"$match": {"$or": _clauses(run_id, name, one.thin)}}
        return list(self.database["metrics"].aggregate([match, {"$project": {"attempt": 1, "bucket": 1, **picked}}]))


def plan(ends: dict[int, int], newest: int, older: int) -> Plan:
    """`ends`: the last bucket of each attempt. That may have a single point, all before it are full."""
    places = [(attempt, bucket) for attempt in sorted(ends) for bucket in range(ends[attempt] + 1)]
    if sum(ends.values()) * BUCKET_POINTS + len(ends) <= newest + older:
        return Plan(whole=tuple(places))
    first, sure = len(places), 0
    while first and sure < newest:
        first -= 1
        attempt, bucket = places[first]
        sure += 1 if bucket == ends[attempt] else BUCKET_POINTS
    return _thinned(places[:first], tuple(places[first:]), older)


def _thinned(before: Sequence[Place], whole: tuple[Place, ...], older: int) -> Plan:
    count = min(len(before), _OLDER_BUCKETS)
    chosen = tuple(before[number * len(before) // count] for number in range(count))
    return Plan(whole=whole, thin=chosen, stride=max(1, count * BUCKET_POINTS // older))


def _clauses(run_id: str, name: str, places: Sequence[Place]) -> list[Document]:
    by_attempt: dict[int, list[int]] = defaultdict(list)
    for attempt, bucket in places:
        by_attempt[attempt].append(bucket)
    return [
        {"run": run_id, "name": name, "attempt": attempt, "bucket": {"$in": buckets}}
        for attempt, buckets in by_attempt.items()
    ]


def _joined(name: str, buckets: dict[Place, Document]) -> Series:
    ordered = [buckets[place] for place in sorted(buckets)]
    steps, times, values = (tuple(chain.from_iterable(one[array] for one in ordered)) for array in _ARRAYS)
    return Series(name=name, steps=steps, times=times, values=values)
