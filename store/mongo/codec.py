"""Our frozen dataclasses as MongoDB documents and back. `id` is stored as `_id`."""

from collections.abc import Sequence
from dataclasses import is_dataclass
from datetime import datetime
from enum import Enum
from operator import attrgetter
from typing import Any, TypeVar

from pydantic import TypeAdapter

from store.mongo.client import Document

T = TypeVar("T")

_ATOMS = frozenset({str, int, float, bool, type(None), bytes, datetime})
_ADAPTERS: dict[type, TypeAdapter[Any]] = {}


def to_document(value: Any) -> Document:
    """The document of a dataclass instance."""
    return to_documents([value])[0]


def to_documents(values: Sequence[Any]) -> list[Document]:
    """Many of one kind at once: what neighbours share (task, resources, provenance, state) is converted once."""
    if not values:
        return []
    names = tuple(values[0].__dataclass_fields__)
    stored = ["_id" if name == "id" else name for name in names]
    fields = attrgetter(*names) if len(names) > 1 else lambda value: (getattr(value, names[0]),)
    shared: dict[int, Any] = {}
    before: tuple[Any, ...] = (None,) * len(names)
    converted: list[Any] = [None] * len(names)
    documents = []
    for value in values:
        found = fields(value)
        for position, item in enumerate(found):
            if item is not before[position]:
                converted[position] = item if type(item) in _ATOMS else plain(item, shared)
        before = found
        documents.append(dict(zip(stored, converted, strict=True)))
    return documents


def from_document(kind: type[T], document: Document) -> T:
    """The instance a document describes; fields that this version does not know are ignored."""
    adapter = _adapter(kind)
    fields = {("id" if key == "_id" else key): value for key, value in document.items()}
    loaded: T = adapter.validate_python(fields)
    return loaded


def make_ready(*kinds: type) -> None:
    """Do now what reading the first document of these kinds would do: tens of milliseconds for a Run."""
    for kind in kinds:
        _adapter(kind)


def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


def plain(value: Any, shared: dict[int, Any] | None = None) -> Any:
    """Dataclasses as dicts, enums as their values, tuples as lists; everything else as it is.

    `shared` remembers conversions by identity; the objects must outlive it.
    """
    if type(value) in _ATOMS:
        return value
    if shared is not None and id(value) in shared:
        return shared[id(value)]
    made = _plain(value, shared)
    if shared is not None and is_dataclass(value):
        shared[id(value)] = made
    return made


def _plain(value: Any, shared: dict[int, Any] | None) -> Any:
    if type(value) is dict:
        return {key: item if type(item) in _ATOMS else plain(item, shared) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [plain(item, shared) for item in value]
    if isinstance(value, Enum):
        return value.value
    if is_dataclass(value):
        return {name: plain(getattr(value, name), shared) for name in value.__dataclass_fields__}
    return {key: plain(item, shared) for key, item in value.items()} if isinstance(value, dict) else value
