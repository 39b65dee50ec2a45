"""Columns that grow page by page: numbers as arrays, equal texts once, what is missing beside the values.

A missing cell is never 0 and never NaN: NaN is a value that a run has reported.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import repeat
from operator import is_
from typing import TYPE_CHECKING, Any

from queueing.results.census import common_kind
from queueing.results.table import Kind

if TYPE_CHECKING:
    import numpy as np

_KINDS: dict[type, Kind] = {
    bool: Kind.FLAG, int: Kind.WHOLE, float: Kind.NUMBER, str: Kind.TEXT, datetime: Kind.TIME,
}  # fmt: skip
_TYPES: dict[Kind, str] = {Kind.FLAG: "bool", Kind.WHOLE: "int64", Kind.NUMBER: "float64", Kind.TIME: "datetime64[ms]"}
"""All others hold Python objects."""
_EMPTY: dict[Kind, Any] = {Kind.FLAG: False, Kind.WHOLE: 0, Kind.NUMBER: float("nan"), Kind.TIME: None}
"""What stands where a value is missing; nobody reads it."""
_EPOCH, _MS = datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None), timedelta(milliseconds=1)
_NO_TIME = -(2**63)
"""NumPy's NaT."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Filled:
    """A column. `values` (n,): of `kind`'s type, texts and mixtures as objects; `missing` (n,) bool."""

    name: str
    kind: Kind
    values: "np.ndarray[Any, Any]"
    missing: "np.ndarray[Any, np.dtype[np.bool_]]"

    def as_list(self) -> list[Any]:
        """Python values; None is missing."""
        found: list[Any] = self.values.astype(object).tolist() if self.kind is not Kind.TIME else self.values.tolist()
        return [None if gone else value for value, gone in zip(found, self.missing.tolist(), strict=True)]


class Column:
    """One column while it is read."""

    def __init__(self, name: str, texts: dict[str | None, str | None]) -> None:
        self.name = name
        self._texts = texts
        self._pages: list[tuple[Kind | None, Any, Any]] = []
        self._kinds: set[Kind] = set()
        self._length = 0

    def add(self, values: Sequence[Any]) -> None:
        """The values of a page; None is missing."""
        import numpy as np

        types = set(map(type, values))
        gaps = type(None) in types
        none = map(is_, values, repeat(None))
        missing = np.fromiter(none, bool, len(values)) if gaps else np.zeros(len(values), bool)
        kinds = {_KINDS.get(kind, Kind.ANY) for kind in types if kind is not type(None)}
        self._kinds |= kinds
        # Whole numbers beside others become numbers only when all of the column are: a later page may have texts.
        kind = (next(iter(kinds)) if len(kinds) == 1 else Kind.ANY) if kinds else None
        self._pages.append((kind, self._packed(values, kind, gaps=gaps), missing))
        self._length += len(values)

    def pad(self, length: int) -> None:
        """Nothing up to there: the column came later than others."""
        if length > self._length:
            self.add([None] * (length - self._length))

    def filled(self) -> Filled:
        """All pages as one array."""
        import numpy as np

        kind = common_kind(self._kinds) if self._kinds else Kind.ANY
        missing = [gone for _, _, gone in self._pages]
        arrays = [_as_kind(own, array, gone, kind) for own, array, gone in self._pages]
        empty = np.empty(0, _TYPES.get(kind, "object"))
        return Filled(
            name=self.name,
            kind=kind,
            values=np.concatenate([empty, *arrays]),
            missing=np.concatenate([np.empty(0, bool), *missing]),
        )

    def _packed(self, values: Sequence[Any], kind: Kind | None, *, gaps: bool) -> Any:
        import numpy as np

        if kind is None:
            return None
        if kind in _TYPES:
            if kind is Kind.TIME:
                return _times(values)
            if gaps and kind is not Kind.NUMBER:  # of None NumPy makes NaN by itself
                empty = _EMPTY[kind]
                values = [empty if value is None else value for value in values]
            return np.array(values, _TYPES[kind])
        if kind is Kind.TEXT:
            return np.array(list(map(self._texts.setdefault, values, values)), object)
        return _objects(values)


def _times(values: Sequence[Any]) -> Any:
    """What `np.array(values, "datetime64[ms]")` gives, in a third of the time."""
    import numpy as np

    try:
        since = [_NO_TIME if one is None else (one - _EPOCH) // _MS for one in values]
    except TypeError:  # times with a zone among parameters
        return np.array(values, _TYPES[Kind.TIME])
    return np.array(since, "int64").view(_TYPES[Kind.TIME])


def _objects(values: Sequence[Any]) -> Any:
    """An array of objects; NumPy would take lists in it for further dimensions."""
    import numpy as np

    found = np.empty(len(values), object)
    for number, value in enumerate(values):
        found[number] = value
    return found


def _as_kind(own: Kind | None, array: Any, missing: Any, kind: Kind) -> Any:
    """A page in the kind of the whole column."""
    import numpy as np

    if own is None:
        return np.full(len(missing), _EMPTY.get(kind), _TYPES.get(kind, "object"))
    if own is kind:
        return array
    if kind in _TYPES:
        return array.astype(_TYPES[kind])
    objects = array.astype(object)
    objects[missing] = None
    return objects


class Columns:
    """All columns of a table: those that are always there first, then others in the order in which they come."""

    def __init__(self, names: Sequence[str] = ()) -> None:
        self._texts: dict[str | None, str | None] = {}
        self._columns = {name: Column(name, self._texts) for name in names}
        self._length = 0

    def add(self, page: Mapping[str, Sequence[Any]], length: int) -> None:
        """A page of so many rows; a column that is not in it has nothing there."""
        for name, values in page.items():
            if name not in self._columns:
                self._columns[name] = Column(name, self._texts)
            self._columns[name].pad(self._length)
            self._columns[name].add(values)
        self._length += length

    def filled(self) -> list[Filled]:
        """All of one length."""
        for column in self._columns.values():
            column.pad(self._length)
        return [column.filled() for column in self._columns.values()]
