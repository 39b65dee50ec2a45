"""A study's specification: what is optimized, over which space, within which budget."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from queueing.optimize.coding import lies_in
from queueing.optimize.space_file import with_space_file
from queueing.optimize.table import MODEL_FREE, MULTI_OBJECTIVE, ObjectiveTable, OptimizerTable
from queueing.space.domains import is_listed, value_at
from queueing.space.expressions import BadExpression
from queueing.space.names import flat
from queueing.space.reading import read_space
from queueing.space.space import Parameter, Space, configuration, is_allowed
from queueing.space.streams import uniform
from queueing.values import Mistake

_AT = ("optimizer",)
_TRIES = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """The table, and the space it describes. `fixed`: nested parameters that all trials share."""

    table: OptimizerTable
    space: Space
    fixed: Mapping[str, Any]

    @property
    def objectives(self) -> tuple[ObjectiveTable, ...]:
        """One, or several for a Pareto front."""
        one = self.table
        if one.metric is None:
            return tuple(one.objective)
        return (ObjectiveTable(metric=one.metric, direction=one.direction, value=one.value, at=one.at),)

    def text(self) -> str:
        """The table as the study keeps it."""
        return self.table.model_dump_json(exclude_defaults=True)

    def allows(self, values: Mapping[str, Any]) -> bool:
        """Whether flat values satisfy all constraints; what cannot be computed is not allowed."""
        try:
            return is_allowed(self.space, flat(self.fixed), values)
        except BadExpression:
            return False

    def has(self, values: Mapping[str, Any]) -> bool:
        """Whether flat values are a configuration of the space."""
        return lies_in(self.space, flat(self.fixed), values) and self.allows(values)

    def shaped(self, value: Any) -> dict[str, Any]:
        """Flat values of the parameters that exist; `value` is a function of a Parameter."""
        return configuration(self.space, self.space.parents_first(), flat(self.fixed), value)

    def drawn(self, *path: str | int) -> dict[str, Any] | None:
        """A random configuration that is allowed, a function of the path; None when it cannot be found."""
        for attempt in range(_TRIES):

            def value(parameter: Parameter, attempt: int = attempt) -> Any:
                return value_at(parameter.domain, uniform(self.table.seed, parameter.name, *path, attempt))

            if self.allows(values := self.shaped(value)):
                return values
        return None


def read_spec(
    table: OptimizerTable, params: Mapping[str, Any], folder: Path | None = None
) -> tuple[Spec, list[Mistake]]:
    """The specification, and what is wrong with it. `folder`: where a space file is looked for."""
    mistakes: list[Mistake] = []
    if table.space is not None:
        table, mistakes = _with_space_file(table, folder)
    space, said = read_space(table.params, table.where, params, at=_AT)
    spec = Spec(table=table, space=space, fixed=params)
    mistakes += said
    mistakes += _objective_mistakes(table) + _budget_mistakes(table)
    if not mistakes:
        mistakes += _space_mistakes(spec) + _first_mistakes(spec)
    return spec, mistakes


def loaded_spec(text: str, fixed: Mapping[str, Any]) -> Spec:
    """As a study keeps it."""
    table = OptimizerTable.model_validate(json.loads(text))
    space, _ = read_space(table.params, table.where, fixed, at=_AT)
    return Spec(table=table, space=space, fixed=fixed)


def _with_space_file(table: OptimizerTable, folder: Path | None) -> tuple[OptimizerTable, list[Mistake]]:
    assert table.space is not None
    read, said = with_space_file(table.space, table.params, folder or Path.cwd(), _AT)
    first = table.first or ([read.default] if read.default else [])
    merged = {"params": read.params, "where": [*read.where, *table.where], "first": first}
    return table.model_copy(update={**merged, "space": None}), said


def _objective_mistakes(table: OptimizerTable) -> list[Mistake]:
    if (table.metric is None) == (not table.objective):
        given = "both are" if table.objective else "neither is"
        return [((*_AT, "metric"), f'{given} given, metric and [[optimizer.objective]]; such as: metric = "val_loss"')]
    if len(table.objective) > 1 and (table.engine == "smac" or table.sampler not in MULTI_OBJECTIVE):
        what = "engine" if table.engine == "smac" else "sampler"
        said = f"optimizes one metric; for several: sampler = {', '.join(MULTI_OBJECTIVE)}"
        return [((*_AT, what), said)]
    return []


def _budget_mistakes(table: OptimizerTable) -> list[Mistake]:
    if table.trials is None and table.hours is None and table.epochs is None and table.engine != "ask":
        if table.sampler == "grid":
            return []
        return [(_AT, "has no budget; give at least one of trials, hours, epochs")]
    if table.epochs_metric is not None and table.epochs is None:
        return [((*_AT, "epochs_metric"), "means nothing without epochs")]
    return []


def _space_mistakes(spec: Spec) -> list[Mistake]:
    table = spec.table
    if not spec.space.parameters:
        return [((*_AT, "params"), "is empty; an optimizer needs at least one parameter that may vary")]
    if table.sampler == "grid" and table.engine == "optuna":
        unlisted = [one.name for one in spec.space.parameters if not is_listed(one.domain)]
        if unlisted:
            place = (*_AT, "params", *unlisted[0].split("."))
            return [(place, "has no list of values, as a grid needs it; give a list, num or step")]
    if table.repeat > 1 and "seed" in spec.space.names:
        return [((*_AT, "params", "seed"), "repeat makes the seeds; keep one of them")]
    if spec.drawn("check") is None:
        return [((*_AT, "where"), f"{_TRIES} random configurations were tried, and none is allowed")]
    return []


def _first_mistakes(spec: Spec) -> list[Mistake]:
    mistakes: list[Mistake] = []
    for position, given in enumerate(spec.table.first):
        if not spec.has(values := flat(given)):
            mistakes.append(((*_AT, "first", position), f"{_shown(values)} does not lie in the space"))
    return mistakes


def _shown(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} = {value!r}" for name, value in values.items())[:200]


def needs_model(table: OptimizerTable) -> bool:
    """Whether asking takes an optional library."""
    return table.engine == "smac" or (table.engine == "optuna" and table.sampler not in MODEL_FREE)
