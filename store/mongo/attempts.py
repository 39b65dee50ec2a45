"""An attempt's life: claim, begin, renew, ship, settle. Every write is fenced by (run, attempt, running)."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pymongo
from pydantic import ValidationError
from pymongo import ReturnDocument

from store.attempts import began, may_rejoin, rejoined, settled
from store.errors import StoreFailed, Superseded
from store.logbook import warn
from store.metrics import Shipment
from store.mongo.client import Document, Session, guarded
from store.mongo.codec import from_document, plain
from store.mongo.derived import RUNNING, derived
from store.mongo.filters import DERIVED
from store.mongo.history import History
from store.mongo.runs import Runs
from store.mongo.schema import CLAIM_ORDER, QUEUE_ORDER
from store.mongo.timed import PIECES, PLACE, Lot, Timed
from store.occasions import Occasion, entered
from store.runs import Checkpoint, MetricSummary, Resources, Run, has_resumed
from store.samples import Peaks
from store.spans import Span
from store.states import State, Wish, check_transition
from store.store import Decision
from store.workers import Worker, has

_SUMMARY_S = 300
_SETTLED = (
    "state", "reason", "ending", "setbacks", "lease", "wish", "not_before", "ended_at", "remark", "refusals", "history",
    "judged", "outlook",
)  # fmt: skip
_REJOINED = ("state", "reason", "ending", "lease", "not_before", "history")
_TRIES = 50
"""How often another worker may be quicker before this one looks again later."""

_BEST_FIRST = [("priority", -1), ("queued_at", 1), ("index", 1)]
_DUE: Document = {"$or": [{"$eq": ["$not_before", None]}, {"$lte": ["$not_before", "$$NOW"]}]}


def _unrefused(by: Document) -> Document:
    """Nobody of those refuses the run just now. Runs of earlier versions have no list of refusals."""
    standing = {"$and": [by, {"$gt": ["$$this.until", "$$NOW"]}]}
    return {"$eq": [{"$size": {"$filter": {"input": {"$ifNull": ["$refusals", []]}, "cond": standing}}}, 0]}


def _in_future(seconds: float) -> Document:
    return {"$add": ["$$NOW", int(seconds * 1000)]}


class Attempts(Runs, History, Timed):
    """Claiming and everything that the holder of a claim may do."""

    @guarded
    def claim(self, worker: Worker, lease_s: float, span: Span | None = None) -> Run | None:
        """One find_one_and_update: state, attempt + 1, lease on the server's clock, a line of history."""
        demands = self._demands_met_by(worker)
        if not demands:
            return None
        if worker.only is not None:  # its job was asked for with the time that the run wants
            return self._take({**_fits(worker, demands), "_id": worker.only}, worker, lease_s, None)
        if span is not None:
            return self._claim_in(span, worker, demands, lease_s)
        few = len(demands) * len(worker.queues) <= PIECES
        return self._take(_fits(worker, demands), worker, lease_s, CLAIM_ORDER if few else QUEUE_ORDER)

    def _claim_in(self, span: Span, worker: Worker, demands: list[Document], lease_s: float) -> Run | None:
        """The best of those that were interrupted and of those that never began; another worker may be quicker."""
        fits, siblings = _fits(worker, demands), self._siblings(self._waiting(worker.queues))
        lots = [
            replace(lot, where={**fits, **lot.where}) for lot in self._lots(span, len(worker.queues), demands, siblings)
        ]
        for _ in range(_TRIES):
            tried = self._best_tried(span, fits, siblings, _BEST_FIRST)
            if tried is None and len(lots) == 1:
                return self._take(lots[0].where, worker, lease_s, lots[0].index)
            first = [tried, *(self._first(lot) for lot in lots)]
            best = min((one for one in first if one is not None), key=_place, default=None)
            if best is None:
                return None
            if (taken := self._take({**fits, "_id": best["_id"]}, worker, lease_s, None)) is not None:
                return taken
        return None

    def _first(self, lot: Lot) -> Document | None:
        found = self.database["runs"].find(lot.where, PLACE).hint(lot.index).sort(_BEST_FIRST).limit(1)
        return next(iter(found), None)

    def _take(
        self, where: Document, worker: Worker, lease_s: float, index: str | list[tuple[str, int]] | None
    ) -> Run | None:
        number = {"$add": ["$attempt", 1]}
        name = {"$literal": worker.name}
        attempt = {
            "number": number, "worker": name, "started_at": "$$NOW", "ended_at": None,
            "resumed_from_step": None, "facts": {"$literal": {}}, "peaks": {"$literal": plain(Peaks())}, "ending": None,
        }  # fmt: skip
        update = {
            "state": State.RUNNING.value,
            "attempt": number,
            "lease": {"worker": name, "until": _in_future(lease_s)},
            "wish": None,
            "reason": None,
            "not_before": None,
            "started_at": {"$ifNull": ["$started_at", "$$NOW"]},
            "ended_at": None,
            "history": {"$concatArrays": ["$history", [attempt]]},
            **RUNNING,
        }
        document = self.database["runs"].find_one_and_update(
            where,
            [{"$set": update}],
            sort=_BEST_FIRST,
            hint=index,
            return_document=ReturnDocument.AFTER,
        )
        return from_document(Run, document) if document else None

    def _demands_met_by(self, worker: Worker) -> list[Document]:
        """Of the different demands that queued runs make, which are few, those that this worker meets."""
        met: list[Document] = []
        for queue in worker.queues:
            waiting = {"state": State.QUEUED.value, "queue": queue}
            met += [one for one in self.database["runs"].distinct("resources", waiting) if _has(worker, one)]
        return met

    @guarded
    def begin(self, run_id: str, attempt: int, checkpoint: Checkpoint | None, facts: dict[str, Any]) -> Run:
        """Choose the checkpoint; drop the points that this attempt will make again; recompute the summary of the rest.

        Both may take a while for millions of points, so they are no part of the transaction: nobody but this attempt
        adds points meanwhile, and an attempt that dies in between is followed by one that begins anew.
        """

        def work(session: Session) -> Run:
            run, now = self._held(run_id, attempt, session)
            new = began(run, checkpoint, facts)
            self._save(new, ("shipped", "checkpoint", "history", "progress", "findings"), session)
            owed = Occasion.RESUMED if has_resumed(run) else None
            self._audit(run, "began", now, session, owed, step=checkpoint and checkpoint.step)
            return new

        new = self.in_transaction(work)
        if attempt == 1:
            return new  # nobody has reported anything before
        self._drop_points_after(run_id, attempt, checkpoint)
        with pymongo.timeout(_SUMMARY_S):
            summary = self._summary(run_id)
        new = replace(new, summary=summary)
        fields = {"summary": plain(summary), DERIVED: derived(new)}
        if not self.database["runs"].update_one(_token(run_id, attempt), {"$set": fields}).matched_count:
            raise _superseded(run_id, attempt)
        return new

    @guarded
    def renew(self, run_id: str, attempt: int, lease_s: float) -> Wish | None:
        """A late renewal still succeeds when nobody has claimed in between: the attempt is the same."""
        document = self.database["runs"].find_one_and_update(
            _token(run_id, attempt), [{"$set": {"lease.until": _in_future(lease_s)}}], projection={"wish": 1}
        )
        if document is None:
            raise _superseded(run_id, attempt)
        return Wish(document["wish"]) if document["wish"] else None

    @guarded
    def rejoin(self, run_id: str, attempt: int, worker: str, lease_s: float) -> bool:
        """Take up again an attempt that was given up as lost, unless somebody has begun another."""

        def work(session: Session) -> bool:
            loaded = self._load({"_id": run_id}, session)
            if loaded is None or not may_rejoin(loaded[0], attempt, worker):
                return False
            run, now = loaded
            self._save(rejoined(run, worker, now + timedelta(seconds=lease_s)), _REJOINED, session)
            self._audit(run, "rejoined", now, session)
            return True

        return self.in_transaction(work)

    @guarded
    def note_facts(self, run_id: str, attempt: int, facts: dict[str, Any]) -> None:
        """Add facts about the attempt to its line of history."""
        fields = {f"history.$[mine].facts.{name}": value for name, value in facts.items()}
        result = self.database["runs"].update_one(
            _token(run_id, attempt), {"$set": fields}, array_filters=[{"mine.number": attempt}]
        )
        if not result.matched_count:
            raise _superseded(run_id, attempt)

    @guarded
    def ship(self, run_id: str, attempt: int, shipment: Shipment, summary: dict[str, MetricSummary]) -> None:
        """The offsets in the run and the data go in one transaction, so a repeated shipment is recognised."""
        if shipment.is_empty:
            return

        def work(session: Session) -> None:
            run, _ = self._held(run_id, attempt, session)
            if run.shipped.events_bytes >= shipment.events_to and run.shipped.output_bytes >= shipment.output_to:
                return
            if run.shipped.events_bytes != shipment.events_from or run.shipped.output_bytes != shipment.output_from:
                raise StoreFailed(f"run {run_id}: a shipment does not begin where the last one ended")
            shipped = replace(
                run.shipped,
                events_bytes=shipment.events_to,
                events_lines=shipment.lines_to,
                output_bytes=shipment.output_to,
            )
            new = replace(
                run,
                shipped=shipped,
                summary=summary,
                progress=shipment.progress or run.progress,
                remark=run.remark if shipment.remark is None else shipment.remark,
            )
            self.note_names(run.experiment, metrics=set(summary) - set(run.summary))
            self._save(new, ("shipped", "summary", "progress", "remark"), session)
            self._add_points(run_id, attempt, shipment.segments, session)
            self._add_output(run_id, attempt, shipment, session)

        self.in_transaction(work)

    @guarded
    def settle(self, run_id: str, attempt: int, decide: Decision, *, only_expired: bool = False) -> Run:
        """State, history and what is owed change together or not at all."""

        def work(session: Session) -> Run:
            run, now = self._held(run_id, attempt, session)
            if only_expired and run.lease is not None and run.lease.until > now:
                raise _superseded(run_id, attempt)
            settlement = decide(run) if callable(decide) else decide
            check_transition(run_id, run.state, settlement.state)
            new = settled(run, settlement, now)
            self._save(new, _SETTLED, session)
            said = {"message": settlement.ending.message} if settlement.refused and settlement.ending else {}
            owed = entered(new.state, is_given_back=settlement.refused is not None)
            self._audit(run, new.state.value, now, session, owed, reason=new.reason, **said)
            return new

        return self.in_transaction(work)

    @guarded
    def expired(self, limit: int = 100) -> list[Run]:
        """Running runs whose lease is over on the server's clock, `limit` at most."""
        over = {"state": State.RUNNING.value, "$expr": {"$lt": ["$lease.until", "$$NOW"]}}
        return _readable(self.database["runs"].find(over).limit(limit))

    @guarded
    def held_by(self, worker_name: str) -> list[Run]:
        """Running runs whose lease this worker holds."""
        held = {"state": State.RUNNING.value, "lease.worker": worker_name}
        return _readable(self.database["runs"].find(held))

    @guarded
    def ringable(self, limit: int) -> list[tuple[str, int, str]]:
        """Queued runs that anybody may claim now, best first. A refused one waits for those who look of themselves."""
        waiting = {"state": State.QUEUED.value, "$expr": {"$and": [_DUE, _unrefused({"$literal": True})]}}
        fields = {"attempt": 1, "queue": 1, "priority": 1, "queued_at": 1, "index": 1}
        found: list[Document] = []
        for queue in self.database["runs"].distinct("queue", {"state": State.QUEUED.value}):
            best = self.database["runs"].find({**waiting, "queue": queue}, fields)
            found += best.hint(QUEUE_ORDER).sort(_BEST_FIRST).limit(limit)
        found.sort(key=lambda one: (-one["priority"], one["queued_at"], one["index"]))
        return [(document["_id"], document["attempt"], document["queue"]) for document in found[:limit]]

    def _held(self, run_id: str, attempt: int, session: Session) -> tuple[Run, datetime]:
        loaded = self._load(_token(run_id, attempt), session)
        if loaded is None:
            raise _superseded(run_id, attempt)
        return loaded

    def _save(self, run: Run, fields: tuple[str, ...], session: Session) -> None:
        values = {field: plain(getattr(run, field)) for field in fields} | {DERIVED: derived(run)}
        self.database["runs"].update_one({"_id": run.id}, {"$set": values}, session=session)

    def _audit(
        self, run: Run, event: str, now: datetime, session: Session, owed: Occasion | None = None, **fields: Any
    ) -> None:
        """An entry of what happened; `owed`: as which occasion somebody may have to be told of it."""
        document = {"run": run.id, "attempt": run.attempt, "event": event, "at": now, **plain(fields)}
        if owed is not None:
            document["owed"] = owed.value
        self.database["events"].insert_one(document, session=session)


def _place(document: Document) -> tuple[int, datetime, int]:
    return -document["priority"], document["queued_at"], document["index"]


def _token(run_id: str, attempt: int) -> Document:
    return {"_id": run_id, "attempt": attempt, "state": State.RUNNING.value}


def _superseded(run_id: str, attempt: int) -> Superseded:
    return Superseded(f"run {run_id}: attempt {attempt} no longer holds it")


def _readable(documents: Iterable[Document]) -> list[Run]:
    """One document that somebody has spoiled by hand must not keep all others from being repaired."""
    runs = []
    for document in documents:
        try:
            runs.append(from_document(Run, document))
        except ValidationError as error:
            warn("run-not-readable", run=document["_id"], error=error.errors()[0]["loc"])
    return runs


def _has(worker: Worker, resources: Document) -> bool:
    try:
        return has(worker, from_document(Resources, resources))
    except ValidationError as error:
        warn("demands-not-readable", resources=resources, error=error.errors()[0]["loc"])
        return False


def _fits(worker: Worker, demands: list[Document]) -> Document:
    """Which queued runs this worker may claim: those that make one of these demands, and wait for nothing else."""
    return {
        "state": State.QUEUED.value,
        "queue": {"$in": list(worker.queues)},
        "resources": {"$in": demands},
        "$expr": {
            "$and": [
                _DUE,
                _unrefused({"$in": ["$$this.by", {"$literal": [worker.host, worker.name]}]}),
            ]
        },
    }
