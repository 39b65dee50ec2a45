"""Random numbers without memory: each is a function of where it is used, so a run may be cut anywhere.

Philox4x32-10 of Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from trainer.jit import inlined, kernel

_M0 = np.uint64(0xD2511F53)
_M1 = np.uint64(0xCD9E8D57)
_W0 = np.uint64(0x9E3779B9)
_W1 = np.uint64(0xBB67AE85)
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_ROUNDS = 10
_UNIT = 2.0**-32


@inlined
def philox(c0: Any, c1: Any, c2: Any, c3: Any, k0: Any, k1: Any) -> Any:
    """Four random 32-bit words for a counter of four words and a key of two, all held in uint64."""
    for _ in range(_ROUNDS):
        p0 = _M0 * c0
        p1 = _M1 * c2
        c0, c1, c2, c3 = (p1 >> _HALF) ^ c1 ^ k0, p1 & _LOW, (p0 >> _HALF) ^ c3 ^ k1, p0 & _LOW
        k0 = (k0 + _W0) & _LOW
        k1 = (k1 + _W1) & _LOW
    return c0, c1, c2, c3


@inlined
def normal_pair(a: Any, b: Any) -> Any:
    """Two independent N(0, 1) numbers from two 32-bit words (Box-Muller); a = 0 maps to a uniform above zero."""
    radius = math.sqrt(-2.0 * math.log((np.float64(a) + 0.5) * _UNIT))
    angle = 2.0 * math.pi * np.float64(b) * _UNIT
    return radius * math.cos(angle), radius * math.sin(angle)


@kernel
def add_noise(row: Any, sigma: float, seed: int, epoch: int, sequence: int, step: int) -> None:
    """Add sigma * N(0, 1) to row (n_hidden,): the noise of one step of one sequence in one epoch."""
    k0 = np.uint64(seed) & _LOW
    k1 = np.uint64(seed) >> _HALF
    n = row.shape[0]
    for block in range((n + 3) // 4):
        a, b, c, d = philox(np.uint64(block), np.uint64(step), np.uint64(sequence), np.uint64(epoch), k0, k1)
        n0, n1 = normal_pair(a, b)
        n2, n3 = normal_pair(c, d)
        unit = 4 * block
        row[unit] += row.dtype.type(sigma * n0)
        if unit + 1 < n:
            row[unit + 1] += row.dtype.type(sigma * n1)
        if unit + 2 < n:
            row[unit + 2] += row.dtype.type(sigma * n2)
        if unit + 3 < n:
            row[unit + 3] += row.dtype.type(sigma * n3)
