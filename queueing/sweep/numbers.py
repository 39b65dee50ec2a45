"""Many whole numbers in little memory, and the same configuration seen twice."""

from array import array
from collections.abc import Iterable, Sequence
from hashlib import sha256
from itertools import chain
from typing import Any

from queueing.keys import canonical


def packed(numbers: Iterable[int]) -> Sequence[int]:
    """Eight bytes each, unless one is larger than that: combinations of many long lists may be."""
    kept = array("Q")
    iterator = iter(numbers)
    for number in iterator:
        if number >= 2**64:
            return [*kept, *chain([number], iterator)]
        kept.append(number)
    return kept


class Seen:
    """Configurations by 64 bits of their hash; two of a million differ and look alike once in 37 million sweeps."""

    def __init__(self) -> None:
        self._hashes: set[int] = set()

    def add(self, value: Any) -> bool:
        """Whether it is new."""
        digest = int.from_bytes(sha256(canonical(value).encode()).digest()[:8], "big")
        if digest in self._hashes:
            return False
        self._hashes.add(digest)
        return True
