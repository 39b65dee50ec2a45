"""Records of any number in bounded memory: read once from the store, then from a temporary file in any order."""

import pickle
import tempfile
import weakref
from array import array
from collections.abc import Iterable, Iterator
from itertools import pairwise

from queueing.results.record import Record

_IN_MEMORY_BYTES = 16 << 20


class Spool:
    """The file has no name and nobody else sees it."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES, mode="w+b")  # noqa: SIM115 - ours
        weakref.finalize(self, self._file.close)
        self._ends = array("Q", [0])

    def __len__(self) -> int:
        return len(self._ends) - 1

    def add(self, record: Record) -> None:
        """Keep it; all are added before the first is read."""
        self._file.write(pickle.dumps(record, protocol=pickle.HIGHEST_PROTOCOL))
        self._ends.append(self._file.tell())

    def read(self, order: Iterable[int] | None = None) -> Iterator[Record]:
        """All, as they came; or these."""
        spans = pairwise(self._ends) if order is None else ((self._ends[i], self._ends[i + 1]) for i in order)
        for start, end in spans:
            self._file.seek(start)
            record: Record = pickle.loads(self._file.read(end - start))
            yield record
