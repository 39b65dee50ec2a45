"""Arrays of numbers out of documents as they came over the wire.

In BSON an array is a document with the keys "0", "1", "2", …, so where all numbers are of one type, each lies where
the number of digits before it says (bsonspec.org). NumPy takes them from there without a Python object for each.
"""

import struct
from collections.abc import Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

import bson

if TYPE_CHECKING:
    import numpy as np

_ARRAY = 4
_INT32, _INT64, _DOUBLE = 16, 18, 1
_KINDS = {_INT32: ("<i4", 4), _INT64: ("<i8", 8), _DOUBLE: ("<f8", 8)}
_AROUND = 5
"""Bytes of a document beside its elements: the length in front, a zero at the end."""


def documents(batch: bytes) -> Iterator[memoryview]:
    """The documents that a raw batch consists of."""
    view, at = memoryview(batch), 0
    while at < len(view):
        (size,) = struct.unpack_from("<i", view, at)
        yield view[at : at + size]
        at += size


def arrays(document: memoryview) -> "Mapping[str, np.ndarray[Any, Any]]":
    """The numbers of a document that has nothing but arrays of them."""
    found: dict[str, np.ndarray[Any, Any]] = {}
    at, end = 4, len(document) - 1
    while at < end:
        key_end = at + bytes(document[at : at + 64]).index(0, 1)
        name = bytes(document[at + 1 : key_end]).decode()
        (size,) = struct.unpack_from("<i", document, key_end + 1)
        if document[at] != _ARRAY:
            raise ValueError(f"{name} is no array")
        found[name] = _numbers(document[key_end + 1 : key_end + 1 + size])
        at = key_end + 1 + size
    return found


def _numbers(array: memoryview) -> "np.ndarray[Any, Any]":
    import numpy as np

    if len(array) == _AROUND:
        return np.empty(0)
    kind, width = _KINDS.get(array[4], ("", 0))
    count = _count(len(array) - _AROUND, width) if kind else None
    pieces = _pieces(array, count, kind) if count else []
    # The first element is of the type that was assumed, so the second lies where it was looked for, and so on.
    if not pieces or any((piece["type"] != array[4]).any() for piece in pieces):
        return np.asarray(list(bson.decode(bytes(array)).values()))  # of several types: one by one
    return np.concatenate([piece["value"] for piece in pieces])


def _pieces(array: memoryview, count: int, kind: str) -> "list[np.ndarray[Any, Any]]":
    import numpy as np

    return [np.frombuffer(array, element, some, at) for element, some, at in _layout(count, kind)]


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
