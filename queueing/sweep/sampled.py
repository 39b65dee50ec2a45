"""Random, Latin hypercube, Sobol and Halton samples."""

from collections.abc import Callable, Iterator, Mapping
from itertools import count
from typing import Any

from queueing.space.domains import is_continuous, value_at
from queueing.space.expressions import BadExpression
from queueing.space.space import Parameter, Space, configuration, is_allowed
from queueing.sweep.block import MOST_CANDIDATES, Method, Point, Points, SweepMistake
from queueing.sweep.designs import Column, halton_columns, latin_columns, random_columns, sobol_columns
from queueing.sweep.numbers import Seen, packed


def sampled_points(method: Method, space: Space, fixed: Mapping[str, Any], seed: int, samples: int) -> Points:
    """Distinct points that every constraint allows: what is rejected is drawn again, and shifts nothing.

    A Latin hypercube has `samples` points with its rejected ones, which are left out: more would not be Latin.
    Raises SweepMistake.
    """
    most = samples if method is Method.LHS else min(100 * samples + 10_000, MOST_CANDIDATES)
    point = _maker(method, space, fixed, seed, samples, most)
    if not space.where and any(one.when is None and is_continuous(one.domain) for one in space.parameters):
        return Points(numbers=range(samples), point=point)
    numbers = packed(_accepted(space, fixed, point, samples, most))
    _check(method, len(numbers), samples, most)
    return Points(numbers=numbers, point=point)


def _maker(
    method: Method, space: Space, fixed: Mapping[str, Any], seed: int, samples: int, most: int
) -> Callable[[int], Point]:
    columns = dict(zip(space.names, _columns(method, space.names, seed, samples, most), strict=True))
    ordered = space.parents_first()

    def point(number: int) -> Point:
        def value(parameter: Parameter) -> Any:
            return value_at(parameter.domain, columns[parameter.name](number))

        try:
            return Point(values=configuration(space, ordered, fixed, value))
        except BadExpression as error:
            raise SweepMistake("params", str(error)) from error

    return point


def _columns(method: Method, names: tuple[str, ...], seed: int, samples: int, most: int) -> list[Column]:
    if method is Method.LHS:
        return latin_columns(names, seed, samples)
    if method is Method.SOBOL:
        return sobol_columns(names, seed, most)
    return halton_columns(names, seed) if method is Method.HALTON else random_columns(names, seed)


def _accepted(
    space: Space, fixed: Mapping[str, Any], point: Callable[[int], Point], samples: int, most: int
) -> Iterator[int]:
    """Numbers of the first `samples` candidates that are allowed and new, of at most `most`."""
    seen, found = Seen(), 0
    for number in count():
        if found == samples or number == most:
            return
        values = point(number).values
        if _allowed(space, fixed, values) and seen.add(values):
            found += 1
            yield number


def _allowed(space: Space, fixed: Mapping[str, Any], values: dict[str, Any]) -> bool:
    try:
        return is_allowed(space, fixed, values)
    except BadExpression as error:
        raise SweepMistake("where", str(error)) from error


def _check(method: Method, found: int, samples: int, most: int) -> None:
    if found == samples or (method is Method.LHS and found):
        return
    raise SweepMistake(
        "samples",
        f"is {samples}, but only {found} different points that are allowed were found among {most}; "
        "ask for fewer, or loosen where",
    )
