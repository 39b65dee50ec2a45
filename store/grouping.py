"""Runs counted by the value of a field, with the best of some metrics in each group. Pure."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from store.matching import values
from store.ordering import is_in_list, placed
from store.query import Field, Metric, Param
from store.runs import Run
from store.states import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Extreme:
    """The smallest (or greatest) value of one number of a metric."""

    metric: Metric
    greatest: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouping:
    """By what, and which extremes are told of each group."""

    by: Field
    extremes: tuple[Extreme, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """A value and the run that has it; of several the one whose id comes first."""

    value: float
    run: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The runs that share a value; None for those that have none. `reached` goes with the extremes asked for."""

    value: Any
    states: dict[State, int] = field(default_factory=dict)
    reached: tuple[Reached | None, ...] = ()

    @property
    def count(self) -> int:
        """How many runs."""
        return sum(self.states.values())


def grouped(runs: Iterable[Run], grouping: Grouping, now: datetime) -> list[Group]:
    """The groups, in the order of their values."""
    members: dict[str, tuple[Any, list[Run]]] = {}
    for run in runs:
        value = group_value(run, grouping.by, now)
        members.setdefault(key_of(value), (value, []))[1].append(run)
    found = [
        Group(
            value=value,
            states=dict(Counter(run.state for run in same)),
            reached=tuple(_reached(same, extreme, now) for extreme in grouping.extremes),
        )
        for value, same in members.values()
    ]
    return in_order(found)


def group_value(run: Run, by: Field, now: datetime) -> Any:
    """The value by which a run is counted; a list or a table counts as a whole. One inside a list is several: none."""
    if isinstance(by, Param) and is_in_list(run.params, by.path[:-1]):
        return None
    found = values(run, by, now)
    return found[0] if found else None


def key_of(value: Any) -> str:
    """Equal for values that are one group: 1 and 1.0, not 1 and true."""
    same = float(value) if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53 else value
    same = 0.0 if same == 0 and not isinstance(same, bool) else same  # -0.0 is no other group
    return json.dumps(same, default=str, sort_keys=True)


def in_order(found: list[Group]) -> list[Group]:
    """Numbers, then texts; the group without a value last."""
    return sorted(found, key=lambda group: _rank(group.value))


def _rank(value: Any) -> tuple[int, Any]:
    if value is None:
        return 4, 0
    if isinstance(value, bool):
        return 2, value
    if isinstance(value, int | float):
        return (0, value) if value == value else (3, 0)
    return 1, str(value)


def _reached(runs: list[Run], extreme: Extreme, now: datetime) -> Reached | None:
    found = []
    for run in runs:
        section, value = placed(run, extreme.metric, now)
        if value is not None and section == 0:
            found.append((-value if extreme.greatest else value, run.id))
    if not found:
        return None
    value, run_id = min(found)
    return Reached(value=-value if extreme.greatest else value, run=run_id)
