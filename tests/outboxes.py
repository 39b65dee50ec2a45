"""Messages laid into an outbox by hand, as if rules had made them."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from store.memory import MemoryStore
from store.mongo import MongoStore
from store.mongo.codec import to_document
from store.notices import Notice
from store.occasions import Occasion


def a_notice(name: str = "3f9k2m7qabcd-1-failed", **changes: Any) -> Notice:
    """About a run, to one address."""
    defaults: dict[str, Any] = {
        "about": Occasion.FAILED, "to": ("me@lab.example",), "run": "3f9k2m7qabcd", "attempt": 1, "experiment": "weather",
        "created_at": datetime(2026, 1, 1, tzinfo=UTC),
    }  # fmt: skip
    return Notice(id=name, **(defaults | changes))


def owe(store: Any, *notices: Notice) -> None:
    """In both kinds of store."""
    if isinstance(store, MemoryStore):
        store._outbox.update({notice.id: replace(notice) for notice in notices})
        return
    assert isinstance(store, MongoStore)
    store.database["outbox"].insert_many([to_document(notice) for notice in notices])
