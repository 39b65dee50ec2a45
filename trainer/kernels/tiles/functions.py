"""exp, tanh, 1/(1+exp(-x)), log and sine of vectors, by polynomials of our own; sums and maxima of rows.

Their relative errors stay below 3e-7 for float32 and 6e-16 for float64 (tests/numeric/test_trainer_tiles.py). The
mathematical library has them for one number at a time, at ten times the cost, and its last bits differ by machine.
"""

from __future__ import annotations

import math
from typing import Any

from trainer.jit import inlined, kernel
from trainer.kernels.tiles.memory import ahead
from trainer.kernels.tiles.products import lanes
from trainer.kernels.tiles.vectors import (
    bits,
    choose,
    fma,
    greatest_lane,
    is_single,
    load,
    magnitude,
    polynomial,
    sum_of_lanes,
    with_sign,
)

_LOG2_E = 1.0 / math.log(2.0)
# ln 2 as a sum of two numbers: the first has so few digits that a whole number times it is exact.
_LN2_SINGLE, _REST_SINGLE = 0.693359375, -2.1219444005469058e-04
_LN2_DOUBLE, _REST_DOUBLE = 6.93147180369123816490e-01, 1.90821492927058770002e-10
# Adding this leaves the nearest whole number in the lowest bits.
_MAGIC_SINGLE, _MAGIC_DOUBLE = 1.5 * 2.0**23, 1.5 * 2.0**52
_INFINITY = math.inf
# e^r = 1 + r + r^2 (1/2! + r/3! + …) for |r| <= ln(2)/2
_EXP_SINGLE = tuple(1.0 / math.factorial(k) for k in range(2, 8))
_EXP_DOUBLE = tuple(1.0 / math.factorial(k) for k in range(2, 14))
# log((1+s)/(1-s)) = 2 s (1 + s^2/3 + s^4/5 + …) for |s| <= 3 - sqrt(8)
_LOG_SINGLE = tuple(2.0 / (2 * k + 1) for k in range(5))
_LOG_DOUBLE = tuple(2.0 / (2 * k + 1) for k in range(11))
# sin(pi y) = y (pi - pi^3 y^2/3! + …) for |y| <= 1/2
_SINE_SINGLE = tuple((-1) ** k * math.pi ** (2 * k + 1) / math.factorial(2 * k + 1) for k in range(7))
_SINE_DOUBLE = tuple((-1) ** k * math.pi ** (2 * k + 1) / math.factorial(2 * k + 1) for k in range(12))


@inlined
def _exp_parts(x: Any) -> Any:
    """(n, p) with e^x = 2^n (1 + p), n still in the bits that the magic number has moved it to."""
    if is_single(x):
        shifted = fma(x, _LOG2_E, _MAGIC_SINGLE)
        n = shifted - _MAGIC_SINGLE
        r = fma(n, -_REST_SINGLE, fma(n, -_LN2_SINGLE, x))
        return bits(shifted), fma(r * r, polynomial(r, _EXP_SINGLE), r)
    shifted = fma(x, _LOG2_E, _MAGIC_DOUBLE)
    n = shifted - _MAGIC_DOUBLE
    r = fma(n, -_REST_DOUBLE, fma(n, -_LN2_DOUBLE, x))
    return bits(shifted), fma(r * r, polynomial(r, _EXP_DOUBLE), r)


@inlined
def _two_to(n: Any, more: int, like: Any) -> Any:
    """2^(n + more), if that is a normal number."""
    if is_single(like):
        return bits((n + (127 + more)) << 23)
    return bits((n + (1023 + more)) << 52)


@inlined
def exp(x: Any) -> Any:
    """e^x; 0 where that is hardly above the least normal number, infinity where it is too large, NaN for NaN."""
    n, p = _exp_parts(x)
    y = fma(p, 2.0, 2.0) * _two_to(n, -1, x)
    least, most = (-86.5, 88.72283) if is_single(x) else (-707.5, 709.782712893384)
    return choose(x > most, _INFINITY, choose(x < least, 0.0, y))


@inlined
def tanh(x: Any) -> Any:
    """(e^2|x| - 1) / (e^2|x| + 1) with the sign of x, where e^2|x| - 1 is computed without cancellation."""
    double = magnitude(x) * 2.0
    n, p = _exp_parts(choose(double > 40.0, 40.0, double))
    power = _two_to(n, 0, x)
    less_one = fma(power, p, power - 1.0)
    return with_sign(less_one / (less_one + 2.0), x)


@inlined
def sigmoid(x: Any) -> Any:
    """1 / (1 + e^-x)"""
    return 1.0 / (exp(0.0 - x) + 1.0)


@inlined
def log(x: Any) -> Any:
    """The natural logarithm of normal numbers above zero: x = 2^e m with m between sqrt(1/2) and sqrt(2)."""
    if is_single(x):
        above = bits(x) - 0x3F3504F3 + (127 << 23)
        e = bits((above >> 23) | 0x4B000000) - (2.0**23 + 127.0)
        s = _log_argument(bits((above & 0x7FFFFF) + 0x3F3504F3))
        return fma(s, polynomial(s * s, _LOG_SINGLE), e * math.log(2.0))
    above = bits(x) - 0x3FE6A09E667F3BCD + (1023 << 52)
    e = bits((above >> 52) | 0x4330000000000000) - (2.0**52 + 1023.0)
    s = _log_argument(bits((above & 0xFFFFFFFFFFFFF) + 0x3FE6A09E667F3BCD))
    return fma(s, polynomial(s * s, _LOG_DOUBLE), e * math.log(2.0))


@inlined
def _log_argument(m: Any) -> Any:
    return (m - 1.0) / (m + 1.0)


@inlined
def sine_of_half_turns(y: Any) -> Any:
    """sin(pi y) for |y| <= 1/2"""
    if is_single(y):
        return y * polynomial(y * y, _SINE_SINGLE)
    return y * polynomial(y * y, _SINE_DOUBLE)


@kernel
def sum_of_row(pointer: Any, n: int) -> Any:
    """The sum of n numbers, n a multiple of the lanes: vectors are added up in order, then their lanes in pairs."""
    total = load(pointer)
    for j in range(lanes(pointer), n, lanes(pointer)):
        total = total + load(ahead(pointer, j))
    return sum_of_lanes(total)


@kernel
def greatest_of_row(pointer: Any, n: int) -> Any:
    """The greatest of n numbers, n a multiple of the lanes."""
    best = load(pointer)
    for j in range(lanes(pointer), n, lanes(pointer)):
        x = load(ahead(pointer, j))
        best = choose(x > best, x, best)
    return greatest_lane(best)


@kernel
def sums_of_lanes(out: Any, out_row: int, c: Any, c_row: int, m: int, n: int) -> None:
    """out[i, j] = the sum of the lanes of vector j of row i of C   # (m, n), (m, n, lanes)

    out, c: pointers; out_row, c_row: pitches, in numbers. The end of `dots`.
    """
    for i in range(m):
        for j in range(n):
            total = sum_of_lanes(load(ahead(c, i * c_row + j * lanes(c))))
            out[i * out_row + j] = total
