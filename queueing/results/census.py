"""What the runs of a table have: which parameters differ, which metrics there are, what kind of values they hold."""

import json
from collections import Counter, defaultdict
from collections.abc import Set
from typing import Any

from queueing.results.record import Record
from queueing.results.table import Kind
from queueing.space.names import flat
from store.states import State

_KINDS: dict[type, Kind] = {bool: Kind.FLAG, int: Kind.WHOLE, float: Kind.NUMBER, str: Kind.TEXT}


class Census:
    """Counts while records pass by. Parameters in tables are known by dotted names: `data.train`."""

    def __init__(self) -> None:
        self.runs = 0
        self.repeats = False
        self.experiments: dict[str, None] = {}
        self.metrics: set[str] = set()
        self.states: Counter[State] = Counter()
        self._first: dict[str, Any] = {}
        self._varied: set[str] = set()
        self._present: Counter[str] = Counter()
        self._kinds: dict[str, set[Kind]] = defaultdict(set)

    def add(self, record: Record) -> None:
        """One more run."""
        outcome = record.outcome
        self.runs += 1
        self.repeats = self.repeats or outcome.repeat > 0
        self.experiments[outcome.experiment] = None
        self.metrics.update(outcome.summary)
        self.states[outcome.state] += 1
        params = flat(outcome.params)
        self._present.update(params.keys())
        for name, value in params.items():
            self._kinds[name].add(kind_of(value))
            if name not in self._first:
                self._first[name] = value
            elif name not in self._varied and not _same(self._first[name], value):
                self._varied.add(name)

    @property
    def params(self) -> list[str]:
        """All parameters, in the order in which they came."""
        return list(self._first)

    @property
    def varying(self) -> list[str]:
        """The parameters in which the runs differ; of a single run all."""
        if self.runs < 2:
            return self.params
        return [name for name in self._first if name in self._varied or self._present[name] < self.runs]

    def kind(self, param: str) -> Kind:
        """The kind of its values; ANY for a mixture."""
        return common_kind(self._kinds[param])


def kind_of(value: Any) -> Kind:
    """Of one value."""
    return _KINDS.get(type(value), Kind.ANY)


def common_kind(kinds: Set[Kind]) -> Kind:
    """ANY for a mixture."""
    if kinds == {Kind.WHOLE, Kind.NUMBER}:
        return Kind.NUMBER
    return next(iter(kinds)) if len(kinds) == 1 else Kind.ANY


def param_of(record: Record, name: str) -> Any:
    """A parameter by its dotted name; None when the run has none. Lists and tables as JSON."""
    value: Any = record.outcome.params
    for part in name.split("."):
        if not isinstance(value, dict) or part not in value:
            return record.outcome.params.get(name)
        value = value[part]
    return json.dumps(value, sort_keys=True) if isinstance(value, list | dict) else value


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other)
