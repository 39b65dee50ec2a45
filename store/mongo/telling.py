"""What is owed because of what happened: events with a debt, and the one transaction in which they are dealt with."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from bson import ObjectId
from pydantic import ValidationError
from pymongo import UpdateOne
from pymongo.errors import BulkWriteError, DuplicateKeyError

from store.events import Event
from store.logbook import warn
from store.mongo.client import Connected, Document, Session, guarded
from store.mongo.codec import from_document, plain, to_document
from store.notices import MOST_PARTS, Notice, NoticeState, gathered
from store.occasions import Occasion
from store.runs import Notify
from store.states import ENDED
from store.telling import Gathering, Owed, Remembered, SweepStanding, Telling

_OWED: Document = {"owed": {"$gt": ""}}
_BY_TIME = [("at", 1)]
"""The index of owed events alone: what was dealt with long ago costs nothing."""


_DUPLICATE_KEY = 11000


class _Overtaken(Exception):
    """Somebody else has dealt with it."""


class Tellings(Connected):
    """Owed events, and the `remembered` collection."""

    @guarded
    def owed(self, limit: int) -> list[Owed]:
        """Two round trips, whatever the number of events and runs."""
        events = list(self.database["events"].find(_OWED).sort(_BY_TIME).hint(_BY_TIME).limit(limit))
        ids = sorted({event["run"] for event in events})
        fields = {"experiment": 1, "owner": 1, "notify": 1}
        runs = {run["_id"]: run for run in self.database["runs"].find({"_id": {"$in": ids}}, fields)}
        return list(_readable(events, runs))

    @guarded
    def owe(self, telling: Telling) -> bool:
        """Events first: who is too late finds them dealt with and writes nothing."""
        if telling.is_empty:
            return True
        now = self.now()
        try:
            self.in_transaction(partial(self._owe, telling, now))
        except (_Overtaken, DuplicateKeyError):
            return False
        except BulkWriteError as error:
            if any(one["code"] != _DUPLICATE_KEY for one in error.details["writeErrors"]):
                raise
            return False
        return True

    @guarded
    def remembered(self, ids: Sequence[str]) -> dict[str, Remembered]:
        """By name."""
        found = self.database["remembered"].find({"_id": {"$in": list(ids)}})
        return {one["_id"]: from_document(Remembered, {**one, "marks": dict(one["marks"])}) for one in found}

    @guarded
    def close_digests(self) -> int:
        """By the server's clock."""
        due = {
            "state": NoticeState.GATHERING.value,
            "not_before": {"$ne": None},
            "$expr": {"$lte": ["$not_before", "$$NOW"]},
        }
        return self.database["outbox"].update_many(due, {"$set": {"state": NoticeState.OWED.value}}).modified_count

    @guarded
    def sweep_standing(self, experiment: str) -> SweepStanding:
        """In a snapshot: a run that is requeued meanwhile is either ended or not."""
        open_ones = {"experiment": experiment, "state": {"$nin": sorted(ENDED)}}
        if self.database["runs"].find_one(open_ones, {"_id": 1}) is not None:
            return SweepStanding(is_over=False)
        return self.in_transaction(partial(self._standing, experiment))

    def _standing(self, experiment: str, session: Session) -> SweepStanding:
        is_open = {"$cond": [{"$in": ["$state", sorted(ENDED)]}, 0, 1]}
        sums = {"open": {"$sum": is_open}, "runs": {"$sum": 1}, "attempts": {"$sum": "$attempt"}}
        stages: list[dict[str, Any]] = [{"$match": {"experiment": experiment}}, {"$group": {"_id": None, **sums}}]
        for found in self.database["runs"].aggregate(stages, session=session):
            return SweepStanding(is_over=not found["open"], mark=f"{found['runs']}-{found['attempts']}")
        return SweepStanding(is_over=False)

    def _owe(self, telling: Telling, now: datetime, session: Session) -> None:
        self._deal_with(telling.events, session)
        for one in telling.remembered:
            self._remember(one, session)
        if telling.notices:
            writes = [_unless_there(notice, now) for notice in telling.notices]
            self.database["outbox"].bulk_write(writes, ordered=False, session=session)
        for gathering in telling.gatherings:
            self._gather(gathering, now, session)
        if telling.sweeps:
            self._close_sweeps(telling.sweeps, session)

    def _deal_with(self, events: Sequence[str], session: Session) -> None:
        if not events:
            return
        mine = {"_id": {"$in": [ObjectId(one) for one in events]}, **_OWED}
        done = self.database["events"].update_many(mine, {"$unset": {"owed": ""}}, session=session)
        if done.modified_count != len(events):
            raise _Overtaken

    def _remember(self, one: Remembered, session: Session) -> None:
        document = to_document(replace(one, version=one.version + 1))
        document["marks"] = [[*mark] for mark in one.marks.items()]  # names may have dots
        if one.version == 0:
            self.database["remembered"].insert_one(document, session=session)
            return
        same = {"_id": one.id, "version": one.version}
        if not self.database["remembered"].replace_one(same, document, session=session).matched_count:
            raise _Overtaken

    def _gather(self, gathering: Gathering, now: datetime, session: Session) -> None:
        """Into the open digest, of which there is one at most for a key; else into a new one."""
        digest = gathering.digest
        is_open = {"digest": digest.digest, "state": NoticeState.GATHERING.value}
        new = [{"$literal": part} for part in plain(gathering.parts)]
        every = {"$concatArrays": ["$parts", new]}
        added = {
            "parts": {"$slice": [every, MOST_PARTS]},
            "more": {"$add": ["$more", {"$max": [0, {"$subtract": [{"$size": every}, MOST_PARTS]}]}]},
        }
        if self.database["outbox"].update_one(is_open, [{"$set": added}], session=session).matched_count:
            return
        document = to_document(_opened(gathering, now))
        self.database["outbox"].insert_one(document, session=session)

    def _close_sweeps(self, experiments: Sequence[str], session: Session) -> None:
        waiting = {"state": NoticeState.GATHERING.value, "not_before": None, "experiment": {"$in": list(experiments)}}
        self.database["outbox"].update_many(waiting, {"$set": {"state": NoticeState.OWED.value}}, session=session)


def _unless_there(notice: Notice, now: datetime) -> UpdateOne:
    document = to_document(notice if notice.created_at else replace(notice, created_at=now))
    return UpdateOne({"_id": notice.id}, {"$setOnInsert": document}, upsert=True)


def _opened(gathering: Gathering, now: datetime) -> Notice:
    digest = gathered(replace(gathering.digest, parts=(), more=0), gathering.parts)
    return replace(digest, state=NoticeState.GATHERING, created_at=now)


def _readable(events: Iterable[Document], runs: dict[str, Document]) -> Iterator[Owed]:
    """One document that somebody has spoiled by hand must not keep all others from being told."""
    told: dict[str, Notify] = {}  # most runs of a page say the same
    for document in events:
        run = runs.get(document["run"], {})
        said = run.get("notify", {})
        try:
            notify = told.get(repr(said)) or told.setdefault(repr(said), from_document(Notify, said))
            yield Owed(
                id=str(document["_id"]),
                about=Occasion(document["owed"]),
                event=from_document(Event, {name: value for name, value in document.items() if name != "_id"}),
                experiment=run.get("experiment", ""),
                owner=run.get("owner", ""),
                notify=notify,
            )
        except (ValidationError, ValueError) as error:
            warn("event-not-readable", id=document["_id"], error=str(error).splitlines()[0])
