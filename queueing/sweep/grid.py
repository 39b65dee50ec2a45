"""Every combination of the listed values; where a parameter does not exist its values make no combinations."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from queueing.space.domains import values_of
from queueing.space.expressions import BadExpression, Expression
from queueing.space.space import Parameter, Space
from queueing.sweep.block import MOST_CANDIDATES, MOST_RUNS, Point, Points, SweepMistake
from queueing.sweep.numbers import packed


def grid_points(space: Space, fixed: Mapping[str, Any], *, repeat: int) -> Points:
    """The last parameter of the file varies fastest. Raises SweepMistake."""
    grid = _Grid(space, fixed)
    whole = math.prod(len(values) for values in grid.axes)
    if not space.is_conditional and not space.where:
        if whole * repeat > MOST_RUNS:
            raise too_many(whole * repeat)
        return Points(numbers=range(whole), point=grid.point)
    return Points(numbers=packed(grid.walk(repeat)), point=grid.point)


def too_many(count: int, at_least: str = "") -> SweepMistake:
    """More runs than one file may make."""
    return SweepMistake("", f"makes {at_least}{count} runs; allowed: at most {MOST_RUNS} from one file")


class _Grid:
    """A number names a combination: its digits, in the mixed radix of the axes, are positions in the lists."""

    def __init__(self, space: Space, fixed: Mapping[str, Any]) -> None:
        self._space, self._fixed = space, fixed
        self._ordered = space.parents_first()
        self.axes: list[Sequence[Any]] = [values_of(parameter.domain) for parameter in self._ordered]
        self._due = _due(self._ordered, space.where)
        self._looked_at = 0

    def point(self, number: int) -> Point:
        """The combination with this number."""
        digits = self._digits(number)
        if not self._space.is_conditional:
            pairs = zip(self._ordered, self.axes, digits, strict=True)
            return Point(values={parameter.name: axis[digit] for parameter, axis, digit in pairs})
        seen, there = dict(self._fixed), set[str]()
        for parameter, axis, digit in zip(self._ordered, self.axes, digits, strict=True):
            if _exists(parameter, seen):
                seen[parameter.name] = axis[digit]
                there.add(parameter.name)
        return Point(values={name: seen[name] for name in self._space.names if name in there})

    def _digits(self, number: int) -> list[int]:
        digits = []
        for axis in reversed(self.axes):
            number, digit = divmod(number, len(axis))
            digits.append(digit)
        return digits[::-1]

    def walk(self, repeat: int) -> Iterator[int]:
        """Numbers of the combinations that exist, in order. Raises SweepMistake."""
        seen = dict(self._fixed)
        if not all(_holds(constraint, seen) for constraint in self._due[0]):
            return
        for count, number in enumerate(self._deeper(0, 0, seen), 1):
            if count * repeat > MOST_RUNS:
                raise too_many(MOST_RUNS, "more than ")
            yield number

    def _deeper(self, depth: int, number: int, seen: dict[str, Any]) -> Iterator[int]:
        """A constraint is asked as soon as its parameters have values: it cuts off all that would follow."""
        if depth == len(self._ordered):
            yield number
            return
        parameter, axis = self._ordered[depth], self.axes[depth]
        number *= len(axis)
        if not _exists(parameter, seen):
            if all(_holds(constraint, seen) for constraint in self._due[depth + 1]):
                yield from self._deeper(depth + 1, number, seen)
            return
        default, had = seen.get(parameter.name), parameter.name in seen
        for digit, value in enumerate(axis):
            self._count()
            seen[parameter.name] = value
            if all(_holds(constraint, seen) for constraint in self._due[depth + 1]):
                yield from self._deeper(depth + 1, number + digit, seen)
        if had:
            seen[parameter.name] = default
        else:
            del seen[parameter.name]

    def _count(self) -> None:
        self._looked_at += 1
        if self._looked_at > MOST_CANDIDATES:
            raise SweepMistake("", f"has more than {MOST_CANDIDATES} combinations to look at; shorten the lists")


def _due(ordered: Sequence[Parameter], where: Sequence[Expression]) -> list[list[Expression]]:
    """Constraints by the depth at which all their parameters are decided; 0: they name fixed ones only."""
    depth = {parameter.name: position for position, parameter in enumerate(ordered, 1)}
    due: list[list[Expression]] = [[] for _ in range(len(ordered) + 1)]
    for constraint in where:
        due[max((depth.get(name, 0) for name in constraint.names), default=0)].append(constraint)
    return due


def _exists(parameter: Parameter, seen: Mapping[str, Any]) -> bool:
    return parameter.when is None or _computed(parameter.when, seen, "params", if_absent=False)


def _holds(constraint: Expression, seen: Mapping[str, Any]) -> bool:
    return _computed(constraint, seen, "where", if_absent=True)


def _computed(expression: Expression, seen: Mapping[str, Any], key: str, *, if_absent: bool) -> bool:
    try:
        return expression.holds(seen, if_absent=if_absent)
    except BadExpression as error:
        raise SweepMistake(key, str(error)) from error
