"""Arrays of numbers out of documents as they came over the wire.

In BSON an array is a document with the keys "0", "1", "2", …, so where all numbers are of one type, each lies where
the number of digits before it says (bsonspec.org). NumPy takes them from there without a Python object for each.
"""

import struct
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

import bson

if TYPE_CHECKING:
    import numpy as np

_ARRAY = 4
_INT32, _INT64, _DOUBLE = 16, 18, 1
_KINDS = {_INT32: ("<i4", 4), _INT64: ("<i8", 8), _DOUBLE: ("<f8", 8)}
_AROUND = 5
"""Bytes of a document beside its elements: the length in front, a zero at the end."""


class _Alike(NamedTuple):
    """Neighbours in a batch that are of one size: where the first begins, the size of each, how many they are."""

    batch: bytes
    first: int
    size: int
    length: int


def tables(batch: bytes) -> "Iterator[Mapping[str, np.ndarray[Any, Any]]]":
    """The numbers of a raw batch of documents that have nothing but arrays of numbers, some documents at a time.

    Full buckets lie alike, so they are read together: calling NumPy for each takes longer than its numbers do.
    """
    for size, same in groupby(_documents(batch), key=lambda found: found[1]):
        starts = [first for first, _ in same]
        table = _table(_Alike(batch, starts[0], size, len(starts)))
        if table is not None:
            yield table
        else:
            yield from (_one_by_one(_Alike(batch, first, size, 1)) for first in starts)


def _documents(batch: bytes) -> Iterator[tuple[int, int]]:
    """Where each document begins, and its size."""
    at = 0
    while at < len(batch):
        (size,) = struct.unpack_from("<i", batch, at)
        yield at, size
        at += size


def _one_by_one(document: _Alike) -> "Mapping[str, np.ndarray[Any, Any]]":
    """Also where an array has numbers of several types."""
    import numpy as np

    found = _table(document)
    if found is not None:
        return found
    decoded = bson.decode(document.batch[document.first : document.first + document.size])
    return {name: np.asarray(numbers) for name, numbers in decoded.items()}


def _table(some: _Alike) -> "Mapping[str, np.ndarray[Any, Any]] | None":
    """None: not all of them have the arrays of the first, of its lengths and types."""
    import numpy as np

    raw = np.frombuffer(some.batch, np.uint8, some.size * some.length, some.first).reshape(some.length, some.size)
    found: dict[str, np.ndarray[Any, Any]] = {}
    for name, at, begin, end in _parts(some):
        if some.length > 1 and (raw[1:, at : begin + 4] != raw[0, at : begin + 4]).any():
            return None  # another type, name or size of array
        numbers = _numbers(some, begin, end)
        if numbers is None:
            return None
        found[name] = numbers
    return found


def _parts(some: _Alike) -> Iterator[tuple[str, int, int, int]]:
    """Of each array of the first document: its name, where its element begins, where itself does, where it ends."""
    document = memoryview(some.batch)[some.first : some.first + some.size]
    at, end = 4, len(document) - 1
    while at < end:
        begin = at + bytes(document[at : at + 64]).index(0, 1) + 1
        name = bytes(document[at + 1 : begin - 1]).decode()
        (size,) = struct.unpack_from("<i", document, begin)
        if document[at] != _ARRAY:
            raise ValueError(f"{name} is no array")
        yield name, at, begin, begin + size
        at = begin + size


def _numbers(some: _Alike, begin: int, end: int) -> "np.ndarray[Any, Any] | None":
    """The numbers of this array of all of them, one document after the other; None if they are of several types."""
    import numpy as np

    if end - begin == _AROUND:
        return np.empty(0)
    type_code = some.batch[some.first + begin + 4]
    kind, width = _KINDS.get(type_code, ("", 0))
    count = _count(end - begin - _AROUND, width) if kind else None
    pieces = _pieces(some, begin, count, kind) if count else []
    # The first element is of the type that was assumed, so the second lies where it was looked for, and so on.
    if not pieces or any((piece["type"] != type_code).any() for piece in pieces):
        return None
    return np.concatenate([piece["value"] for piece in pieces], axis=1).reshape(-1)


def _pieces(some: _Alike, begin: int, count: int, kind: str) -> "list[np.ndarray[Any, Any]]":
    """(documents, elements) of each length of key."""
    import numpy as np

    return [
        np.ndarray((some.length, length), element, some.batch, some.first + begin + at, (some.size, element.itemsize))
        for element, length, at in _layout(count, kind)
    ]


@cache
def _layout(count: int, kind: str) -> "list[tuple[np.dtype[Any], int, int]]":
    """The elements with keys of one digit, of two, of three, …: what one is, how many there are, where they begin."""
    import numpy as np

    found, at, first, digits = [], 4, 0, 1
    while first < count:
        after = min(10**digits, count)
        element = np.dtype([("type", "u1"), ("key", f"V{digits + 1}"), ("value", kind)])
        found.append((element, after - first, at))
        at += (after - first) * element.itemsize
        first, digits = after, digits + 1
    return found


@cache
def _count(size: int, width: int) -> int | None:
    """How many elements of this width take so many bytes; None when no number of them does."""
    count, digits = 0, 1
    while size > 0:
        each = 1 + digits + 1 + width
        here = min(size // each, 10**digits - count)
        if here == 0:
            return None
        count, size, digits = count + here, size - here * each, digits + 1
    return count
