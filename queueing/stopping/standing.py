"""How runs stand at a rung: looked up and put in order once, however many of them are judged by it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from queueing.stopping.decision import cost
from queueing.stopping.rules import Compared, Hyperband, Rung, Stopping
from queueing.stopping.rungs import bracket_of


@dataclass(frozen=True)
class Standing:
    """The values of all runs that are compared with one another at a rung."""

    values: Mapping[str, float]
    direction: Literal["min", "max"] = "min"

    @cached_property
    def ranks(self) -> dict[str, int]:
        """How many are better; of equals the smaller id comes first, so that an order is always the same."""
        return {run: rank for rank, (_, run) in enumerate(self.ordered)}

    @cached_property
    def ordered(self) -> list[tuple[float, str]]:
        """(cost, run), the best first."""
        return sorted((cost(value, self.direction), run) for run, value in self.values.items())


Reached = Callable[[float], Mapping[str, float]]
Fallen = Callable[[], Mapping[str, tuple[float, float]]]


class Standings:
    """Of one experiment. `reached` gives the values at a rung, `fallen` the last rung and value of stopped runs."""

    def __init__(self, stopping: Stopping, reached: Reached, fallen: Fallen) -> None:
        self._stopping, self._reached, self._fallen = stopping, reached, fallen
        self._known: dict[tuple[float, str], Standing] = {}

    def at(self, run: str, rule: Rung, rung: float) -> Standing:
        """Those with whom this rule compares the run there."""
        group = f"bracket {bracket_of(rule, run)}" if isinstance(rule, Hyperband) else rule.rule
        if (rung, group) not in self._known:
            self._known[rung, group] = Standing(self._values(run, rule, rung), self._stopping.direction)
        return self._known[rung, group]

    def _values(self, run: str, rule: Rung, rung: float) -> Mapping[str, float]:
        every = self._reached(rung)
        if isinstance(rule, Compared):
            # Else whoever is left would be halved at each rung again.
            return {**{other: value for other, (at, value) in self._fallen().items() if at < rung}, **every}
        if isinstance(rule, Hyperband):
            mine = bracket_of(rule, run)
            return {other: value for other, value in every.items() if bracket_of(rule, other) == mine}
        return every
