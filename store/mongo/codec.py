"""Our frozen dataclasses as MongoDB documents and back. `id` is stored as `_id`."""

from dataclasses import is_dataclass
from enum import Enum
from typing import Any, TypeVar

from pydantic import TypeAdapter

from store.mongo.client import Document

T = TypeVar("T")

_ADAPTERS: dict[type, TypeAdapter[Any]] = {}


def to_document(value: Any) -> Document:
    """The document of a dataclass instance."""
    document: Document = plain(value)
    if "id" in document:
        document = {"_id": document.pop("id"), **document}
    return document


def from_document(kind: type[T], document: Document) -> T:
    """The instance a document describes; fields that this version does not know are ignored."""
    adapter = _ADAPTERS.get(kind)
    if adapter is None:
        adapter = _ADAPTERS[kind] = TypeAdapter(kind)
    fields = {("id" if key == "_id" else key): value for key, value in document.items()}
    loaded: T = adapter.validate_python(fields)
    return loaded


def plain(value: Any) -> Any:
    """Dataclasses as dicts, enums as their values, tuples as lists; everything else as it is."""
    if is_dataclass(value):
        return {name: plain(getattr(value, name)) for name in value.__dataclass_fields__}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value
