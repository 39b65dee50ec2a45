"""What a run's document says twice: numbers made of other fields, stored so that an index knows them.

Whoever writes what they are made of writes them too. What is not known is absent; so is, while a run runs, what grows.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from pymongo.database import Database

from store.matching import values
from store.mongo.client import Document
from store.mongo.codec import to_documents
from store.mongo.filters import COMPUTED, DERIVED, PATHS, TICKING
from store.runs import Run
from store.states import State

RUNNING: Document = dict.fromkeys((PATHS[field] for field in TICKING), "$$REMOVE")
"""The update of a run that begins to run, for a pipeline."""

_NAMES = {field: PATHS[field].removeprefix(f"{DERIVED}.") for field in COMPUTED}


def derived(run: Run) -> Document:
    """The subdocument."""
    stored = _as_stored(run)
    fields = [field for field in COMPUTED if run.state is not State.RUNNING or field not in TICKING]
    found = {_NAMES[field]: values(stored, field, run.queued_at) for field in fields}
    return {name: known[0] for name, known in found.items() if known}


def run_document(run: Run) -> Document:
    """A whole document."""
    return run_documents([run])[0]


def run_documents(runs: Sequence[Run]) -> list[Document]:
    """Those of many runs at once."""
    return [{**document, DERIVED: derived(run)} for document, run in zip(to_documents(runs), runs, strict=True)]


def derive_all(database: Database[Document]) -> None:
    """For runs that an earlier labq has stored."""
    running = {"$eq": ["$state", State.RUNNING.value]}
    known = {field: {"$ifNull": [made, "$$REMOVE"]} for field, made in COMPUTED.items()}
    fields: Document = {
        _NAMES[field]: {"$cond": [running, "$$REMOVE", made]} if field in TICKING else made
        for field, made in known.items()
    }
    database["runs"].update_many({DERIVED: None}, [{"$set": {DERIVED: fields}}])


def _as_stored(run: Run) -> Run:
    """With times as MongoDB keeps them, or a page would not begin where the one before it ended."""
    if run.started_at is None and not run.history:
        return run
    history = tuple(
        replace(one, started_at=_to_ms(one.started_at), ended_at=one.ended_at and _to_ms(one.ended_at))
        for one in run.history
    )
    ended_at = run.ended_at and _to_ms(run.ended_at)
    return replace(run, started_at=run.started_at and _to_ms(run.started_at), ended_at=ended_at, history=history)


def _to_ms(time: datetime) -> datetime:
    return time.replace(microsecond=time.microsecond // 1000 * 1000)
