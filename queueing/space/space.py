"""A space: parameters in the order of the file, conditions, constraints."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from queueing.space.domains import Domain
from queueing.space.expressions import Expression


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter. `name` is dotted where the file nests tables: `optimizer.lr`.

    `when`: it exists only in configurations for which this holds, and in none where a parameter of it is absent.
    """

    name: str
    domain: Domain
    when: Expression | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """What may vary. `where`: configurations for which one of these is false do not exist.

    A constraint that names a parameter which is absent from a configuration says nothing about it.
    """

    parameters: tuple[Parameter, ...] = ()
    where: tuple[Expression, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Of all parameters, conditional ones included."""
        return tuple(parameter.name for parameter in self.parameters)

    @property
    def is_conditional(self) -> bool:
        """Whether configurations differ in which parameters they have."""
        return any(parameter.when is not None for parameter in self.parameters)

    def parents_first(self) -> tuple[Parameter, ...]:
        """The order of the file, but no parameter before those its condition names. Raises ValueError on a circle."""
        waiting, ordered, done = list(self.parameters), list[Parameter](), set[str]()
        names = set(self.names)
        while waiting:
            ready = next((one for one in waiting if _parents(one) & names <= done), None)
            if ready is None:
                raise ValueError(" and ".join(one.name for one in waiting))
            waiting.remove(ready)
            ordered.append(ready)
            done.add(ready.name)
        return tuple(ordered)


def configuration(
    space: Space, ordered: tuple[Parameter, ...], fixed: Mapping[str, Any], value: Callable[[Parameter], Any]
) -> dict[str, Any]:
    """Flat values of the parameters that exist, in the order of the file; conditions see `fixed` (flat) too.

    A fixed value of the same name is the default of a conditional parameter.

    `ordered` is `space.parents_first()`. `value` is asked only for those that exist.
    """
    seen, there = dict(fixed), set[str]()
    for parameter in ordered:
        if parameter.when is None or parameter.when.holds(seen, if_absent=False):
            seen[parameter.name] = value(parameter)
            there.add(parameter.name)
    return {name: seen[name] for name in space.names if name in there}


def is_allowed(space: Space, fixed: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
    """Whether all constraints hold. Raises BadExpression."""
    if not space.where:
        return True
    seen = {**fixed, **values} if fixed else values
    return all(constraint.holds(seen, if_absent=True) for constraint in space.where)


def _parents(parameter: Parameter) -> set[str]:
    return set(parameter.when.names) if parameter.when else set()
