"""What goes on in the whole lab: bounded reads along indexes, whatever the number of runs."""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from store.mongo.attempts import _BEST_FIRST
from store.mongo.client import Connected, Document, guarded
from store.mongo.codec import from_document
from store.runs import Run
from store.samples import Sample
from store.states import ENDED, State

_LIGHT: Document = {"history": {"$slice": -1}, "provenance": 0}
_EVENTS_BACK = 300
"""How many of the newest events are searched for endings. A run has several in its life."""


class Overview(Connected):
    """Reads of `labq top`."""

    @guarded
    def running(self, limit: int) -> list[Run]:
        """Running runs in the order of the queue, without provenance, of their history the last line only."""
        found = self.database["runs"].find({"state": State.RUNNING.value}, _LIGHT).sort(_IN_INDEX).limit(limit)
        return [from_document(Run, document) for document in found]

    @guarded
    def recently_ended(self, limit: int) -> list[Run]:
        """The newest endings first, found by way of the newest events."""
        newest = self.database["events"].find({}, {"run": 1}).sort("_id", -1).limit(_EVENTS_BACK)
        ended = {"_id": {"$in": sorted({event["run"] for event in newest})}, "state": {"$in": sorted(ENDED)}}
        documents = self.database["runs"].find(ended, _LIGHT)
        runs = [from_document(Run, document) for document in documents]
        return sorted(runs, key=lambda run: (run.ended_at is not None, run.ended_at), reverse=True)[:limit]

    @guarded
    def newest_samples(self, runs: Sequence[str], within_s: float) -> list[Sample]:
        """What was seen of these runs in the last seconds, oldest first."""
        since = self.now() - timedelta(seconds=within_s)
        match = {"run": {"$in": list(runs)}, "at": {"$gte": since}}
        return [from_document(Sample, document) for document in self.database["samples"].find(match).sort("at", 1)]

    @guarded
    def queue_lengths(self) -> dict[tuple[State, str], int]:
        """How many runs of each state are in each queue: one walk over an index, a second for a million runs."""
        groups = self.database["runs"].aggregate(
            [{"$group": {"_id": {"state": "$state", "queue": "$queue"}, "n": {"$sum": 1}}}], hint=_STATE_INDEX
        )
        return {(State(group["_id"]["state"]), group["_id"]["queue"]): group["n"] for group in groups}

    @guarded
    def waiting_experiments(self, limit: int) -> dict[tuple[str, str], int]:
        """(queue, experiment) of the runs that are next, `limit` at most of each queue."""
        found: Counter[tuple[str, str]] = Counter()
        for queue in self.database["runs"].distinct("queue", {"state": State.QUEUED.value}):
            stages: list[dict[str, Any]] = [
                {"$match": {"state": State.QUEUED.value, "queue": queue}},
                {"$sort": dict(_BEST_FIRST)},
                {"$limit": limit},
                {"$group": {"_id": "$experiment", "n": {"$sum": 1}}},
            ]
            found.update({(queue, one["_id"]): one["n"] for one in self.database["runs"].aggregate(stages)})
        return dict(found)


_STATE_INDEX = {"state": 1, "queue": 1, "priority": -1, "queued_at": 1, "index": 1}
_IN_INDEX = [("queue", 1), *_BEST_FIRST]
