"""Which metrics and parameters there are: kept per experiment, and once for all, as they come. Asking reads no run."""

from collections.abc import Iterable, Sequence

from store.mongo.client import Connected, Document, guarded
from store.query import Names, param_paths
from store.states import State

EVERYWHERE = "*"
"""The document of all experiments together; no experiment can have this name."""
MOST_NAMES = 5000
"""Of each kind in one document: a script that invents a metric per step must not fill 16 MB."""
_LOOKED_AT = 500
_KINDS = ("metrics", "params")


class NamesKept(Connected):
    """The `names` collection. Names are never taken away again."""

    def note_names(self, experiment: str, *, metrics: Iterable[str] = (), params: Iterable[str] = ()) -> None:
        """Remember these names. Where all are known, nothing is written."""
        given = {"metrics": sorted(metrics), "params": sorted(params)}
        fresh = {kind: names for kind, names in given.items() if names}
        if not fresh or self._known(experiment, fresh):
            return
        for document in (experiment, EVERYWHERE):
            if not self._known(document, fresh):
                self._add(document, fresh)

    @guarded
    def names(self, experiments: Sequence[str] = ()) -> Names:
        """The metrics and parameters of these experiments, or of all."""
        wanted = list(experiments) or [EVERYWHERE]
        found = {d["_id"]: d for d in self.database["names"].find({"_id": {"$in": wanted}})}
        documents = [found.get(name) or self._looked_up(name) for name in wanted]
        return Names(
            metrics=frozenset(name for document in documents for name in document["metrics"]),
            params=frozenset(name for document in documents for name in document["params"]),
            complete=all(document["complete"] for document in documents),
        )

    def _known(self, document: str, fresh: dict[str, list[str]]) -> bool:
        all_there = {kind: {"$all": names} for kind, names in fresh.items()}
        return self.database["names"].find_one({"_id": document, **all_there}, {"_id": 1}) is not None

    def _add(self, document: str, fresh: dict[str, list[str]]) -> None:
        """One update that adds what is new and stops at the most that is kept.

        The first one also takes in what runs of an earlier labq have, which kept no names.
        """
        is_first = self.database["names"].find_one({"_id": document}, {"_id": 1}) is None
        old: Document = self._looked_up(document) if is_first else {}
        kept: Document = {"complete": {"$ifNull": ["$complete", old.get("complete", True)]}}
        for kind in _KINDS:
            added = sorted({*fresh.get(kind, []), *old.get(kind, [])})
            kept[kind] = {"$setUnion": [{"$ifNull": [f"${kind}", []]}, {"$literal": added}]}
        too_many = {"$or": [{"$gt": [{"$size": f"${kind}"}, MOST_NAMES]} for kind in _KINDS]}
        cut: Document = {kind: {"$slice": [f"${kind}", MOST_NAMES]} for kind in _KINDS}
        cut["complete"] = {"$and": ["$complete", {"$not": [too_many]}]}
        self.database["names"].update_one({"_id": document}, [{"$set": kept}, {"$set": cut}], upsert=True)

    def _looked_up(self, experiment: str) -> Document:
        """For runs of an earlier labq, which kept no names: those of the newest and the oldest runs."""
        states = {"$in": [state.value for state in State]}  # so that the index of an experiment gives the order
        match = {} if experiment == EVERYWHERE else {"experiment": experiment, "state": states}
        fields = {"params": 1, "summary": 1}
        metrics: set[str] = set()
        params: set[str] = set()
        for order in (1, -1):
            newest = self.database["runs"].find(match, fields).sort([("queued_at", order)])
            for document in newest.limit(_LOOKED_AT):
                metrics |= set(document["summary"])
                params |= param_paths(document["params"])
        return {"metrics": metrics, "params": params, "complete": not metrics and not params}
