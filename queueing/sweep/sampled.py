"""Random, Latin hypercube, Sobol and Halton samples."""

from collections.abc import Callable, Iterator, Mapping
from itertools import count
from typing import Any

from queueing.space.domains import is_continuous, quantile
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
    names = space.names
    drawn = dict(zip(names, _drawing(space, _columns(method, names, seed, samples, most)), strict=True))
    point = _maker(space, fixed, drawn)
    always_new = any(one.when is None and is_continuous(one.domain) for one in space.parameters)
    if not space.where and always_new:
        return Points(numbers=range(samples), point=point)
    asked = _asked(space, drawn, point) if always_new else lambda number: point(number).values
    numbers = packed(_accepted(space, fixed, asked, samples, most, always_new=always_new))
    _check(method, len(numbers), samples, most)
    return Points(numbers=numbers, point=point)


_Drawn = Callable[[int], Any]


def _drawing(space: Space, columns: list[Column]) -> list[_Drawn]:
    """The value of each parameter in the point with a number."""
    return [_drawn(quantile(one.domain), column) for one, column in zip(space.parameters, columns, strict=True)]


def _drawn(value: Callable[[float], Any], column: Column) -> _Drawn:
    return lambda number: value(column(number))


def _maker(space: Space, fixed: Mapping[str, Any], drawn: Mapping[str, _Drawn]) -> Callable[[int], Point]:
    ordered = space.parents_first()
    if not space.is_conditional:
        return lambda number: Point(values={name: value(number) for name, value in drawn.items()})

    def point(number: int) -> Point:
        def value(parameter: Parameter) -> Any:
            return drawn[parameter.name](number)

        try:
            return Point(values=configuration(space, ordered, fixed, value))
        except BadExpression as error:
            raise SweepMistake("params", str(error)) from error

    return point


def _asked(space: Space, drawn: Mapping[str, _Drawn], point: Callable[[int], Point]) -> Callable[[int], dict[str, Any]]:
    """What the constraints want to know of a point, which is less than all of it."""
    if space.is_conditional:
        return lambda number: point(number).values
    wanted = {name for constraint in space.where for name in constraint.names}
    needed = {name: value for name, value in drawn.items() if name in wanted}
    return lambda number: {name: value(number) for name, value in needed.items()}


def _columns(method: Method, names: tuple[str, ...], seed: int, samples: int, most: int) -> list[Column]:
    if method is Method.LHS:
        return latin_columns(names, seed, samples)
    if method is Method.SOBOL:
        return sobol_columns(names, seed, most)
    return halton_columns(names, seed) if method is Method.HALTON else random_columns(names, seed)


def _accepted(
    space: Space, fixed: Mapping[str, Any], asked: Callable[[int], dict[str, Any]], samples: int, most: int,
    *, always_new: bool,
) -> Iterator[int]:  # fmt: skip
    """Numbers of the first `samples` candidates that are allowed and new, of at most `most`."""
    seen, found = Seen(), 0
    for number in count():
        if found == samples or number == most:
            return
        values = asked(number)
        if _allowed(space, fixed, values) and (always_new or seen.add(values)):
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
