"""Counting runs: by the value of a field (`store.grouping` in MongoDB's words), by state, and up to a bound."""

from collections import Counter
from typing import Any

from store.errors import BadQuery
from store.grouping import Extreme, Group, Grouping, Reached, in_order, key_of
from store.mongo.client import Connected, Document
from store.mongo.filters import COMPUTED, EMPTY_IS_MISSING, path
from store.ordering import UNORDERED
from store.query import Field, Param, RunField
from store.states import State


class Groups(Connected):
    """Aggregations over `runs`."""

    def _grouped(self, match: Document, grouping: Grouping) -> list[Group]:
        if grouping.by in UNORDERED:
            raise BadQuery(f"runs cannot be grouped by {grouping.by}: a run may have several")
        key = {"value": _value(grouping.by), "state": "$state"}
        extremes = {f"x{number}": {"$min": _candidate(one)} for number, one in enumerate(grouping.extremes)}
        stages: list[Document] = [{"$match": match}, {"$group": {"_id": key, "n": {"$sum": 1}, **extremes}}]
        members: dict[str, list[Document]] = {}
        for document in self.database["runs"].aggregate(stages, allowDiskUse=True):
            members.setdefault(key_of(document["_id"].get("value")), []).append(document)
        return in_order([_group(documents, grouping.extremes) for documents in members.values()])


def _value(field: Field) -> Any:
    if isinstance(field, RunField) and field in COMPUTED:
        return COMPUTED[field]
    value = f"${path(field)}"
    if isinstance(field, Param) and len(field.path) > 1:
        above = [".".join(("$params", *field.path[:depth])) for depth in range(1, len(field.path))]
        return {"$cond": [{"$or": [{"$isArray": [name]} for name in above]}, None, value]}
    return {"$cond": [{"$in": [value, [None, ""]]}, None, value]} if field in EMPTY_IS_MISSING else value


def _candidate(extreme: Extreme) -> Document:
    """The value with its run, so that the least of them says both; the sign makes the greatest the least."""
    value = f"${path(extreme.metric)}"
    signed: Any = {"$multiply": [value, -1]} if extreme.greatest else value
    is_number = {"$and": [{"$isNumber": value}, {"$gte": [value, float("-inf")]}]}  # not NaN, which is less than all
    return {"$cond": [is_number, {"value": signed, "run": "$_id"}, "$$REMOVE"]}


def _group(documents: list[Document], extremes: tuple[Extreme, ...]) -> Group:
    """One group from what was counted of it in each state."""
    states: Counter[State] = Counter()
    for document in documents:  # two of one state where one value is null and one is not there
        states[State(document["_id"]["state"])] += document["n"]
    return Group(
        value=documents[0]["_id"].get("value"),
        states=dict(states),
        reached=tuple(_reached(documents, f"x{number}", one) for number, one in enumerate(extremes)),
    )


def _reached(documents: list[Document], name: str, extreme: Extreme) -> Reached | None:
    found = [(one["value"], one["run"]) for document in documents if (one := document.get(name))]
    if not found:
        return None
    value, run = min(found)
    return Reached(value=-value if extreme.greatest else value, run=run)
