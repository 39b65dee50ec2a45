"""Random numbers that are a function of (seed, name, index): the same on every machine, in any order.

Each parameter has a stream of its own. Nothing is drawn from a shared generator, so a further parameter, more samples,
or a point that a constraint rejects changes no other number. SHA-256 in counter mode is slower than Philox (a
microsecond a number, beside the fifty that a run costs), but its bits hang on no library's version.
"""

from collections.abc import Sequence
from hashlib import sha256

_VERSION = b"labq sweep 1"
_BITS = 52


def word(seed: int, *path: str | int) -> int:
    """64 random bits."""
    text = "\0".join([str(seed), *(f"{type(part).__name__[0]}{part}" for part in path)])
    return int.from_bytes(sha256(_VERSION + text.encode()).digest()[:8], "big")


def uniform(seed: int, *path: str | int) -> float:
    """Between 0 and 1, neither included."""
    return (2 * (word(seed, *path) >> (64 - _BITS)) + 1) * 2.0 ** -(_BITS + 1)


def shuffled(items: Sequence[int], seed: int, *path: str | int) -> list[int]:
    """In a random order that depends on each item alone: one item more leaves the others in their order."""
    return sorted(items, key=lambda item: word(seed, *path, item))
