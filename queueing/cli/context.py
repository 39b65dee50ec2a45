"""What most verbs begin with: settings, the store, output."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from store.settings import Settings, load

if TYPE_CHECKING:
    from queueing.doorbell import Doorbell
    from store.mongo import MongoStore


def settings() -> Settings:
    """Raises BadSettings."""
    return load().settings


@contextmanager
def opened_store(given: Settings | None = None) -> Iterator["MongoStore"]:
    """A connected store. The driver is imported here, not before."""
    from store.connect import connect

    store = connect(given or settings())
    try:
        yield store
    finally:
        store.close()


@contextmanager
def opened_doorbell(chosen: Settings) -> Iterator["Doorbell"]:
    """Redis, whether it answers or not."""
    from queueing.doorbell import Doorbell
    from store.connect import redis_url

    doorbell = Doorbell(redis_url(chosen), chosen.redis_timeout_s)
    try:
        yield doorbell
    finally:
        doorbell.close()


def print_json(value: Any) -> None:
    """One JSON document on stdout. NaN and infinity, which JSON lacks, become texts."""
    print(json.dumps(jsonable(value), indent=2, ensure_ascii=False, allow_nan=False))


def jsonable(value: Any) -> Any:
    """Dataclasses, enums, times and paths as JSON knows them."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: jsonable(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, dict):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [jsonable(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, float) and value - value != 0:
        return repr(value)
    return str(value) if isinstance(value, Path) else value
