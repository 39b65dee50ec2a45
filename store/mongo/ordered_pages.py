"""Pages of the list of runs, in any order, without reading what comes before: `store.ordering` in MongoDB's words.

An order has sections (numbers, …, those without a value). Within a section the index of the field gives the order of
the values, but not of runs with the same value; so a page consists of the rest of a group of equals, the values beyond
it, and the beginning of the next group of equals, newest first. No page needs the one before, only its last run.
What grows while a run runs has no index there: running runs, which are few, are read and put in between.
"""

from datetime import datetime
from functools import cached_property
from typing import Any

from store.errors import BadQuery
from store.mongo.client import Connected, Document
from store.mongo.codec import from_document
from store.mongo.filters import EARLIEST, EMPTY_IS_MISSING, OPERATORS, TICKING, missing, path
from store.ordering import AFTER_OR_SKIP, UNORDERED, Section, age, placed, sections
from store.query import Field, Metric, Op, Order, Param, RunField
from store.runs import MetricSummary, Run, Task
from store.states import State

NEWEST_FIRST = [("queued_at", -1), ("index", -1), ("_id", -1)]
OLDEST_FIRST = [("queued_at", 1), ("index", 1), ("_id", 1)]
_LEAST: dict[Section, Any] = {Section.NUMBERS: float("-inf"), Section.TIMES: EARLIEST, Section.TEXTS: ""}
_MADE_OF: dict[Field | None, tuple[str, ...]] = {
    RunField.DURATION: (),
    RunField.RUNNING_TIME: ("history.number", "history.worker", "history.started_at", "history.ended_at"),
    RunField.PROGRESS: ("progress",),
    RunField.DONE: ("progress",),
    RunField.STEP: ("summary",),
}


class Pages(Connected):
    """Reading the `runs` collection page by page."""

    def _by_age(self, match: Document, after: Run | None, skip: int, limit: int, *, light: bool = False) -> list[Run]:
        """Newest first."""
        if skip and not match and after is None:
            match, skip = self._beyond_newest(skip), 0
        if after is not None:
            match = _both(match, _older_than(after))
        only = light_fields() if light else None
        found = self.database["runs"].find(match, only).sort(NEWEST_FIRST).skip(skip).limit(limit)
        return [_light_run(document, None) if light else from_document(Run, document) for document in found]

    def _beyond_newest(self, skip: int) -> Document:
        """All but the newest: their place is found in the index, without reading runs."""
        fields = {"queued_at": 1, "index": 1, "_id": 1}
        everything = {"queued_at": {"$gte": EARLIEST}}
        edge = list(self.database["runs"].find(everything, fields).sort(NEWEST_FIRST).skip(skip - 1).limit(1))
        return _older(edge[0]["queued_at"], edge[0]["index"], edge[0]["_id"]) if edge else {"_id": {"$in": []}}

    def _by_field(
        self,
        match: Document,
        order: Order,
        after: Run | None,
        skip: int,
        limit: int,
        now: datetime,
        *,
        light: bool = False,
    ) -> list[Run]:
        """In the order of a field."""
        if order.field in UNORDERED:
            raise BadQuery(f"runs cannot be sorted by {order.field}: a run may have several")
        if after is not None and skip:
            raise BadQuery(AFTER_OR_SKIP)
        begin = None if after is None else placed(after, order.field, now)
        found: list[Run] = []
        for section in sections(order.field):
            if begin is not None and section < begin[0]:
                continue
            kind = _Ticking if order.field in TICKING and section is Section.NUMBERS else _Section
            part = kind(self, match, order, section, now, light=light)
            left = limit - len(found) if limit else 0
            if begin is not None and after is not None and section == begin[0]:
                found += part.after(begin[1], after, left)
            else:
                page, skip = part.skipped(skip, left)
                found += page
            if limit and len(found) >= limit:
                break
        return found[:limit] if limit else found


class _Section:
    """The runs of one section: those whose values can be compared with each other."""

    def __init__(
        self, pages: Pages, match: Document, order: Order, section: Section, now: datetime, *, light: bool
    ) -> None:
        self.light, self.only = light, light_fields(order.field) if light else None
        self.runs = pages.database["runs"]
        self.field, self.descending, self.now = order.field, order.descending, now
        self.asked, self.match = match, _both(match, _in_section(order.field, section))
        self.is_flat = section in (Section.NAN, Section.REST)

    def after(self, value: Any, run: Run, limit: int) -> list[Run]:
        """What follows a run that has this value."""
        if self.is_flat:
            return self._newest_first(_older_than(run), 0, limit)
        equals = self._newest_first(_both(_equal(self.field, value), _older_than(run)), 0, limit)
        if limit and len(equals) >= limit:
            return equals
        return equals + self._beyond(value, limit - len(equals) if limit else 0)

    def skipped(self, skip: int, limit: int) -> tuple[list[Run], int]:
        """The page that begins so many runs later, and how many are still to be skipped in the next section."""
        if self.is_flat:
            return self._past_end(self._newest_first({}, skip, limit), skip)
        if not skip:
            return self._beyond(None, limit), 0
        edge = self._sorted({}, skip=skip, limit=1)
        if not edge:
            return self._past_end([], skip)
        value = self._value(edge[0])
        before = self.runs.count_documents(_both(self.match, _compared(self.field, value, self._before)))
        equals = self._newest_first(_equal(self.field, value), skip - before, limit)
        rest = limit - len(equals)
        return (equals if limit and rest <= 0 else equals + self._beyond(value, rest if limit else 0)), 0

    def _past_end(self, found: list[Run], skip: int) -> tuple[list[Run], int]:
        """A page that is empty says nothing of how many runs there are."""
        return (found, 0) if found or not skip else ([], max(0, skip - self.runs.count_documents(self.match)))

    def _beyond(self, value: Any, limit: int) -> list[Run]:
        """What has a value beyond this one. Of the last value there may be more than fit: the newest are taken."""
        beyond = {} if value is None else _compared(self.field, value, self._after)
        found = self._sorted(beyond, limit=limit)
        if limit and len(found) == limit:
            last = self._value(found[-1])
            found = [run for run in found if self._value(run) != last]
            found = self._arranged(found)
            return found + self._newest_first(_equal(self.field, last), 0, limit - len(found))
        return self._arranged(found)

    def _arranged(self, runs: list[Run]) -> list[Run]:
        newest_first = sorted(runs, key=age, reverse=True)
        return sorted(newest_first, key=self._value, reverse=self.descending)

    def _sorted(self, beyond: Document, *, skip: int = 0, limit: int = 0) -> list[Run]:
        """By value, runs of the same value as they come."""
        stages: list[Document] = [{"$match": _both(self.match, beyond)}]
        stages += [{"$sort": {path(self.field): -1 if self.descending else 1}}]
        stages += [{name: number} for name, number in (("$skip", skip), ("$limit", limit)) if number]
        stages += [{"$project": self.only}] if self.only else []
        return [self._run(document) for document in self.runs.aggregate(stages, allowDiskUse=True)]

    def _newest_first(self, match: Document, skip: int, limit: int) -> list[Run]:
        found = self.runs.find(_both(self.match, match), self.only).sort(NEWEST_FIRST).skip(skip).limit(limit)
        return [self._run(document) for document in found]

    def _run(self, document: Document) -> Run:
        return _light_run(document, self.field) if self.light else from_document(Run, document)

    def _value(self, run: Run) -> Any:
        return placed(run, self.field, self.now)[1]

    @property
    def _after(self) -> Op:
        return Op.LESS if self.descending else Op.GREATER

    @property
    def _before(self) -> Op:
        return Op.GREATER if self.descending else Op.LESS


class _Ticking(_Section):
    """Numbers that grow while a run runs: those of the others are stored."""

    def after(self, value: Any, run: Run, limit: int) -> list[Run]:
        """What follows a run that has this value."""
        stored = super().after(value, run, limit)
        mixed = self._arranged([*stored, *(one for one in self._running if self._follows(one, value, run))])
        return mixed[:limit] if limit else mixed

    def skipped(self, skip: int, limit: int) -> tuple[list[Run], int]:
        """Of the stored ones so many more are read as may have to make room for running ones."""
        most = len(self._running)
        to_skip = max(0, skip - most)
        stored, left = super().skipped(to_skip, limit + most if limit else 0)
        mixed = self._arranged([*stored, *self._running])
        begin = skip - (to_skip - left)
        page = mixed[begin : begin + limit] if limit else mixed[begin:]
        return page, 0 if page else max(0, begin - len(mixed))

    @cached_property
    def _running(self) -> list[Run]:
        match = _both(self.asked, {"state": State.RUNNING.value})
        runs = [self._run(document) for document in self.runs.find(match, self.only)]
        return [run for run in runs if self._value(run) is not None]

    def _follows(self, one: Run, value: Any, run: Run) -> bool:
        mine = self._value(one)
        if mine == value:
            return age(one) < age(run)
        return bool(mine < value) if self.descending else bool(mine > value)


def light_fields(field: Field | None = None) -> Document:
    """What it takes to know a run's place in the order of a field."""
    names = ["queued_at", "index"]
    if isinstance(field, Metric):
        names.append(f"summary.{field.name}")
    elif isinstance(field, Param):
        names.append(f"params.{field.path[0]}")
    elif field in _MADE_OF:
        names += ["state", "started_at", "ended_at", *_MADE_OF[field]]
    elif field is not None and field is not RunField.ID:
        names.append(path(field))
    return dict.fromkeys(dict.fromkeys(names), 1)


_NO_TASK = Task(command=(), workdir="")


def _light_run(document: Document, field: Field | None) -> Run:
    """One that knows its place in the order of the field. There may be very many: the usual ones are not checked."""
    if field is not None and not isinstance(field, Metric | Param):
        task = {"workdir": "", **document.get("task", {})}
        return from_document(Run, {"key": "", "experiment": "", "params": {}, **document, "task": task})
    summary = {name: from_document(MetricSummary, one) for name, one in document.get("summary", {}).items()}
    return Run(
        id=document["_id"], key="", experiment="", params=document.get("params", {}), summary=summary, task=_NO_TASK,
        queued_at=document["queued_at"], index=document.get("index", 0),
    )  # fmt: skip


def _in_section(field: Field, section: Section) -> Document:
    if isinstance(field, Param):
        if section is Section.REST:
            return {"$nor": [_in_section(field, other) for other in Section if other is not Section.REST]}
        return {**_compared_section(field, section), "$and": _no_lists(field)}
    return missing(field) if section is Section.REST else _compared_section(field, section)


def _compared_section(field: Field, section: Section) -> Document:
    if section is Section.NAN:
        return _equal(field, float("nan"))
    if section is Section.FLAGS:
        return {path(field): {"$in": [False, True]}}
    if field in EMPTY_IS_MISSING:
        return {path(field): {"$gt": ""}}
    return {path(field): {"$gte": _LEAST[section]}}


def _no_lists(field: Param) -> list[Document]:
    """A list on the way has many values."""
    names = [".".join(("params", *field.path[: depth + 1])) for depth in range(len(field.path))]
    return [{name: {"$not": {"$type": "array"}}} for name in names]


def _equal(field: Field, value: Any) -> Document:
    return _compared(field, value, Op.EQUAL)


def _compared(field: Field, value: Any, op: Op) -> Document:
    """By what is stored; an id as it is, not by its first characters."""
    return {path(field): {OPERATORS[op]: value}}


def _older_than(run: Run) -> Document:
    return _older(run.queued_at, run.index, run.id)


def _older(queued_at: datetime, index: int, run_id: str) -> Document:
    same_time = {"queued_at": queued_at}
    return {
        "queued_at": {"$lte": queued_at},  # what the index begins with
        "$or": [
            {"queued_at": {"$lt": queued_at}},
            {**same_time, "index": {"$lt": index}},
            {**same_time, "index": index, "_id": {"$lt": run_id}},
        ],
    }


def _both(first: Document, second: Document) -> Document:
    return {"$and": [first, second]} if first and second else first or second
