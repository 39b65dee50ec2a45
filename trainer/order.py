"""The order of an epoch and other draws that happen in Python: each from a key of its own, never from a past draw."""

from __future__ import annotations

import numpy as np

from trainer.arrays import Ints

# The second word of the key says what the numbers are for. Epochs count up from ORDER.
_WEIGHTS, _SPLIT, _ORDER = 1, 2, 1 << 32


def epoch_order(n: int, seed: int, epoch: int) -> Ints:
    """A permutation of range(n), int64 (n,), that depends on nothing but the arguments."""
    return _generator(seed, _ORDER + epoch).permutation(n)


def weights_generator(seed: int) -> np.random.Generator:
    """The generator of the initial weights."""
    return _generator(seed, _WEIGHTS)


def split(n: int, valid_fraction: float, seed: int = 0) -> tuple[Ints, Ints]:
    """Indices for training and for validation, both rising.

    The seed is not that of the run: runs that differ in their seed are compared on the same validation data.
    """
    n_valid = 0 if valid_fraction == 0 or n < 2 else min(n - 1, max(1, round(n * valid_fraction)))
    shuffled = _generator(seed, _SPLIT).permutation(n)
    return np.sort(shuffled[n_valid:]), np.sort(shuffled[:n_valid])


def _generator(seed: int, stream: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=np.array([seed, stream], dtype=np.uint64)))
