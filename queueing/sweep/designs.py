"""Where in the unit cube the points of a sampled sweep lie: random, Latin hypercube, Sobol, Halton.

A design gives u(index, parameter), 0 < u < 1, for any index in any order. Each parameter's column depends on (seed, its
name) alone, and for Sobol and Halton on its position: parameters that are added at the end change no other column.
"""

from array import array
from collections.abc import Callable, Iterator, Sequence
from itertools import count, takewhile

from queueing.space.streams import shuffled, stream, uniform, word

Column = Callable[[int], float]

_SMALLEST = 2.0**-53
_SOBOL_BITS = 30


def random_columns(names: Sequence[str], seed: int) -> list[Column]:
    """Independent numbers."""
    return [stream(seed, name) for name in names]


def latin_columns(names: Sequence[str], seed: int, samples: int) -> list[Column]:
    """Of `samples` points exactly one in each of `samples` slices of every axis, anywhere in it."""
    return [_latin(name, seed, samples) for name in names]


def _latin(name: str, seed: int, samples: int) -> Column:
    slices = array("I", shuffled(range(samples), seed, "lhs", name))
    inside = stream(seed, name)
    return lambda index: (slices[index] + inside(index)) / samples


def halton_columns(names: Sequence[str], seed: int) -> list[Column]:
    """Van der Corput's sequences in prime bases, the digits of each permuted (Owen 2017, without his nesting)."""
    return [_halton(base, name, seed) for base, name in zip(_primes(), names, strict=False)]


def _halton(base: int, name: str, seed: int) -> Column:
    digits = next(n for n in count(1) if base**n >= 2**53)
    permuted = [shuffled(range(base), seed, "halton", name, position) for position in range(digits)]
    weights = [float(base) ** -(position + 1) for position in range(digits)]
    rests = [sum(permuted[k][0] * weights[k] for k in range(position, digits)) for position in range(digits + 1)]

    def column(index: int) -> float:
        u, position = 0.0, 0
        while index:
            index, digit = divmod(index, base)
            u += permuted[position][digit] * weights[position]
            position += 1
        return min(max(u + rests[position], _SMALLEST), 1.0 - _SMALLEST)

    return column


def _primes() -> Iterator[int]:
    found: list[int] = []
    for n in count(2):
        if all(n % prime for prime in takewhile(_up_to_root(n), found)):
            found.append(n)
            yield n


def _up_to_root(n: int) -> Callable[[int], bool]:
    return lambda prime: prime * prime <= n


def sobol_columns(names: Sequence[str], seed: int, most: int) -> list[Column]:
    """Sobol's sequence with the direction numbers of Joe and Kuo (SciPy), shifted digit by digit for each parameter.

    A digital shift keeps every balance of the sequence. `most`: indices stay below it.
    """
    directions = _directions(len(names), most)
    return [_sobol(directions[position], name, seed) for position, name in enumerate(names)]


def _sobol(directions: Sequence[int], name: str, seed: int) -> Column:
    shift, rest = word(seed, "sobol", name) >> (64 - _SOBOL_BITS), uniform(seed, "sobol rest", name)

    def column(index: int) -> float:
        gray, bits, position = index ^ index >> 1, shift, 0
        while gray:
            if gray & 1:
                bits ^= directions[position]
            gray >>= 1
            position += 1
        return (bits + rest) * 2.0**-_SOBOL_BITS

    return column


def _directions(dimensions: int, most: int) -> list[list[int]]:
    """For each dimension the points whose Gray code has one bit: all others are combinations of them."""
    from scipy.stats import qmc

    engine = qmc.Sobol(dimensions, scramble=False, bits=_SOBOL_BITS)
    found: list[list[int]] = [[] for _ in range(dimensions)]
    at = 0
    for bit in range(max(most, 1).bit_length()):
        wanted = 2 ** (bit + 1) - 1
        if wanted > at:
            engine.fast_forward(wanted - at)
        point = engine.random(1)[0]
        at = wanted + 1
        for directions, u in zip(found, point, strict=True):
            directions.append(int(u * 2**_SOBOL_BITS))
    return found
