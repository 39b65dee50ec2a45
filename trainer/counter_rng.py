"""Random numbers without memory: each is a function of where it is used, so a run may be cut anywhere.

Philox4x32 of Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011), and the
transformation of Box and Muller (1958), in vectors. Of the rounds of Philox, 7 are the fewest that pass every test of
BigCrush (table 2 of the paper; 10 are its default, for safety): noise that regularises asks for no more.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from trainer.jit import inlined, kernel
from trainer.kernels.tiles.functions import log, sine_of_half_turns
from trainer.kernels.tiles.memory import ahead
from trainer.kernels.tiles.products import lanes
from trainer.kernels.tiles.vectors import (
    bits,
    is_single,
    load,
    magnitude,
    merged_words,
    numbered_lanes,
    root,
    store,
)

ROUNDS = 7
_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_W0, _W1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
# Units are numbered so that the words of 16 counters make 64 neighbours, whatever the width of a vector.
_COUNTERS, _UNITS = 16, 64


@inlined
def philox(c0: Any, c1: Any, c2: Any, c3: Any, k0: Any, k1: Any, rounds: int) -> Any:
    """Four random words for counters of four words and a key of two: vectors of uint64, or uint64.

    Only the lower half of every uint64 means anything, going in (except for the key) and coming out.
    """
    for _ in range(rounds):
        p0 = (c0 & _LOW) * _M0
        p1 = (c2 & _LOW) * _M1
        c0, c1, c2, c3 = (p1 >> _HALF) ^ c1 ^ k0, p1, (p0 >> _HALF) ^ c3 ^ k1, p0
        k0 = (k0 + _W0) & _LOW
        k1 = (k1 + _W1) & _LOW
    return c0, c1, c2, c3


@inlined
def normal_pair(a: Any, b: Any, like: Any) -> Any:
    """Two independent N(0, 1) from two random words, sqrt(-2 ln u) cos v and sqrt(-2 ln u) sin v; all are vectors.

    u = (a // 2^9 + 1/2) / 2^23 and v = 2 pi (b // 2^8) / 2^24 have no rounding error in either precision.
    """
    u, y, flip = _uniforms(a, b, like)
    radius = root(log(u) * -2.0)
    sine = sine_of_half_turns(y)
    cosine = sine_of_half_turns(0.5 - magnitude(y))
    return radius * bits(bits(cosine) ^ flip), radius * bits(bits(sine) ^ flip)


@inlined
def _uniforms(a: Any, b: Any, like: Any) -> Any:
    """u in (0, 1); y in [-1/2, 1/2) half turns; and a sign bit: the angle is y, or y and another half turn."""
    if is_single(like):
        u = bits((a >> 9) | 0x3F800000) - (1.0 - 2.0**-24)
        y = bits((((b << 1) ^ 0x80000000) >> 9) | 0x3F800000) - 1.5
        return u, y, (b ^ (b << 1)) & 0x80000000
    u = bits(((a >> 9) << 29) | 0x3FF0000000000000) - (1.0 - 2.0**-24)
    y = bits((((((b << 1) & 0xFFFFFFFF) ^ 0x80000000) >> 9) << 29) | 0x3FF0000000000000) - 1.5
    return u, y, ((b ^ (b << 1)) & 0x80000000) << 32


@inlined
def _words(first: int, which: int, seed: int, epoch: int, sequence: int, step: int, like: Any) -> Any:
    """Words of the counters whose first number is in `first + numbered_lanes`, in the lower halves."""
    k0, k1 = np.uint64(seed) & _LOW, np.uint64(seed) >> _HALF
    zero = numbered_lanes(like, 0) & np.uint64(0)
    blocks = numbered_lanes(like, which) + np.uint64(first)
    return philox(blocks, zero + np.uint64(step), zero + np.uint64(sequence), zero + np.uint64(epoch), k0, k1, ROUNDS)


@kernel
def noise_row(out: Any, n: int, seed: int, epoch: int, sequence: int, step: int) -> None:
    """N(0, 1) for the units 0 … n-1 of one step of one sequence in one epoch. out: pointer, n a multiple of the lanes.

    Counter (i, step, sequence, epoch) under the key `seed` gives the units 64 (i // 16) + i % 16 + 0, 16, 32, 48.
    """
    for first in range(0, -(-n // _UNITS) * _COUNTERS, lanes(out)):
        like = load(out)
        even = _words(first, 0, seed, epoch, sequence, step, like)
        odd = _words(first, 1, seed, epoch, sequence, step, like)
        unit = _UNITS * (first // _COUNTERS) + first % _COUNTERS
        for half in range(2):
            if unit >= n:
                break
            a = merged_words(even[0] if half == 0 else even[2], odd[0] if half == 0 else odd[2], like)
            b = merged_words(even[1] if half == 0 else even[3], odd[1] if half == 0 else odd[3], like)
            one, other = normal_pair(a, b, like)
            store(ahead(out, unit), one)
            if unit + _COUNTERS < n:
                store(ahead(out, unit + _COUNTERS), other)
            unit += 2 * _COUNTERS
