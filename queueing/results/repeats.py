"""Runs that differ only in their repeat (or fold, or seed) as one row of means or medians. Pure."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from queueing.results.fields import Known
from queueing.results.record import Quantity, Record
from queueing.space.names import flat
from store.states import State

REPEAT, SEED = "repeat", "seed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Runs with the same parameters. `record` is the first of them; `values` are those that count, in order."""

    record: Record
    states: Counter[State] = field(default_factory=Counter)
    values: dict[Quantity, list[float]] = field(default_factory=dict)

    @property
    def runs(self) -> int:
        """How many there are, whatever became of them."""
        return sum(self.states.values())


def left_out(over: Sequence[str]) -> frozenset[str]:
    """The parameters that may differ within a group: repeats make their own seeds."""
    return frozenset(over) | ({SEED} if REPEAT in over else set())


def grouped(
    records: Iterable[Record], over: Sequence[str], quantities: Sequence[Quantity], known: Known, *, unfinished: bool
) -> list[Group]:
    """Groups in the order of their first run. Values of runs that have not finished count only if `unfinished`."""
    found: dict[str, Group] = {}
    ignored = left_out(over)
    for record in records:
        key = _key(record, ignored, with_repeat=REPEAT not in over)
        group = found.setdefault(key, Group(record=record, values={one: [] for one in quantities}))
        group.states[record.outcome.state] += 1
        if unfinished or record.outcome.state is State.FINISHED:
            for quantity in quantities:
                value = quantity.of(record, known.directions)
                if value is not None:
                    group.values[quantity].append(value)
    return list(found.values())


def _key(record: Record, ignored: frozenset[str], *, with_repeat: bool) -> str:
    outcome = record.outcome
    params = {name: value for name, value in flat(outcome.params).items() if name not in ignored}
    key: list[Any] = [outcome.experiment, params, outcome.repeat if with_repeat else 0]
    return json.dumps(key, sort_keys=True, default=str)
