"""Random numbers that are a function of (seed, name, index): the same on every machine, in any order.

Each parameter has a stream of its own. Nothing is drawn from a shared generator, so a further parameter, more samples,
or a point that a constraint rejects changes no other number. SHA-256 in counter mode is slower than Philox (a
microsecond a number, beside the fifty that a run costs), but its bits hang on no library's version.
"""

from collections.abc import Callable, Sequence
from hashlib import sha256

_VERSION = b"labq sweep 1"
_BITS = 52
_UNIT = 2.0 ** -(_BITS + 1)


def word(seed: int, *path: str | int) -> int:
    """64 random bits."""
    text = "\0".join([str(seed), *(f"{type(part).__name__[0]}{part}" for part in path)])
    return int.from_bytes(sha256(_VERSION + text.encode()).digest()[:8], "big")


def uniform(seed: int, *path: str | int) -> float:
    """Between 0 and 1, neither included."""
    return _between(word(seed, *path))


def stream(seed: int, *path: str | int) -> Callable[[int], float]:
    """`uniform(seed, *path, index)` for many indices: what they share is hashed once."""
    shared = "\0".join([str(seed), *(f"{type(part).__name__[0]}{part}" for part in path), "i"])
    begun = sha256(_VERSION + shared.encode())

    def at(index: int) -> float:
        made = begun.copy()
        made.update(b"%d" % index)
        return _between(int.from_bytes(made.digest()[:8], "big"))

    return at


def _between(bits: int) -> float:
    return (2 * (bits >> (64 - _BITS)) + 1) * _UNIT


def shuffled(items: Sequence[int], seed: int, *path: str | int) -> list[int]:
    """In a random order that depends on each item alone: one item more leaves the others in their order."""
    return sorted(items, key=lambda item: word(seed, *path, item))


def distinct_seed(seed: int, index: int) -> int:
    """A seed of 31 bits, which every library takes; another one for every index below 2**31."""
    value = index ^ (word(seed, "repeat") >> 33)
    while True:
        value = _mixed(value)
        if value < 2**31:  # a permutation of 32 bits, walked until it is back among 31: still a permutation
            return value


def _mixed(value: int) -> int:
    """MurmurHash3's finalizer: every bit of 32 depends on every other, and no two values meet."""
    value = (value ^ value >> 16) * 0x85EBCA6B & 0xFFFFFFFF
    value = (value ^ value >> 13) * 0xC2B2AE35 & 0xFFFFFFFF
    return value ^ value >> 16
