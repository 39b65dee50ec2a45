"""What a worker may claim whose time ends: the runs that `store.spans` calls worth beginning in what is left.

Runs that never began are judged by experiment and demands, which are few, and found along an index in which those of
an experiment lie together: a million runs that take too long cost nothing. Runs that were interrupted are judged one
by one; they are found along an index of their own.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import ValidationError

from store.logbook import warn
from store.mongo.client import Connected, Document
from store.mongo.codec import from_document
from store.mongo.schema import CLAIM_ORDER, TRIED
from store.spans import Outlook, Pace, Span, is_worth, needs
from store.states import State

T = TypeVar("T")

PIECES = 150
"""MongoDB merges up to 200 sorted pieces of an index."""

PLACE: Document = {"priority": 1, "queued_at": 1, "index": 1}
"""The fields that decide who comes first."""

_TRIED_AT_MOST = 5000
"""Some 20 µs each."""

_TRIED_FIELDS: Document = {**PLACE, "experiment": 1, "resources.time_s": 1, "outlook": 1, "task.grace_s": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Lot:
    """A filter whose runs are all worth it and never began, and the index that has them in order."""

    where: Document
    index: str | list[tuple[str, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Siblings:
    """What is known of an experiment. `pace` None: no attempt has told anything yet."""

    pace: Pace | None = None
    ours: bool = False


class Timed(Connected):
    """Which queued runs are worth beginning in a span."""

    def _waiting(self, queues: Sequence[str]) -> list[str]:
        """The experiments that have queued runs: as many seeks in an index."""
        found: set[str] = set()
        for queue in queues:
            stages: list[Document] = [
                {"$match": {"state": State.QUEUED.value, "queue": queue}},
                {"$group": {"_id": "$experiment"}},
            ]
            found |= {one["_id"] for one in self.database["runs"].aggregate(stages, hint="spans")}
        return sorted(found)

    def _siblings(self, experiments: Sequence[str]) -> dict[str, Siblings]:
        wanted = {"_id": {"$in": list(experiments)}}
        documents = self.database["experiments"].find(wanted, {"pace": 1, "trainer": 1})
        found = {document["_id"]: _siblings_in(document) for document in documents}
        return {name: found.get(name, Siblings()) for name in experiments}

    def _lots(
        self, span: Span, queues: int, demands: Sequence[Document], siblings: dict[str, Siblings]
    ) -> Iterator[Lot]:
        by_demands: dict[tuple[int, ...], list[str]] = {}
        for experiment, known in siblings.items():
            fitting = tuple(
                number for number, one in enumerate(demands) if _is_worth(span, one.get("time_s"), None, known)
            )
            by_demands.setdefault(fitting, []).append(experiment)
        if list(by_demands) == [tuple(range(len(demands)))] and len(demands) * queues <= PIECES:
            yield Lot(where={"resources": {"$in": list(demands)}, "outlook": None}, index=CLAIM_ORDER)
            return
        for fitting, experiments in by_demands.items():
            for some in _pieces(fitting, PIECES // queues):
                for names in _pieces(experiments, PIECES // queues // len(some)):
                    met = [demands[number] for number in some]
                    where = {"experiment": {"$in": list(names)}, "resources": {"$in": met}, "outlook": None}
                    yield Lot(where=where, index="spans")

    def _best_tried(
        self, span: Span, fits: Document, siblings: dict[str, Siblings], order: list[tuple[str, int]]
    ) -> Document | None:
        """The first of the runs that were interrupted that is worth it. So many that are not worth it are no rule."""
        waiting = self.database["runs"].find({**fits, TRIED: {"$gte": 0}}, _TRIED_FIELDS)
        for document in waiting.hint("tried").sort(order).limit(_TRIED_AT_MOST):
            known = siblings.get(document["experiment"], Siblings())
            try:
                own = from_document(Outlook, document["outlook"])
            except ValidationError as error:
                warn("run-not-readable", run=document["_id"], error=error.errors()[0]["loc"])
                continue
            grace_s = document.get("task", {}).get("grace_s")
            if _is_worth(span, document["resources"].get("time_s"), own, known, grace_s):
                return document
        return None


def _pieces(whole: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    size = max(1, size)
    return (whole[start : start + size] for start in range(0, len(whole), size))


def _siblings_in(document: Document) -> Siblings:
    try:
        pace = from_document(Pace, document["pace"]) if document.get("pace") else None
    except ValidationError as error:
        warn("pace-not-readable", experiment=document["_id"], error=error.errors()[0]["loc"])
        pace = None
    return Siblings(pace=pace, ours=bool(document.get("trainer")))


def _is_worth(
    span: Span, time_s: float | None, own: Outlook | None, known: Siblings, grace_s: float | None = None
) -> bool:
    more: dict[str, Any] = {} if grace_s is None else {"grace_s": grace_s}
    return is_worth(span, needs(time_s=time_s, own=own, siblings=known.pace, ours=known.ours, **more))
