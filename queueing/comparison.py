"""Which run of a sweep was the best, overall and cell by cell. Pure."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from queueing.results.order import rising
from store.errors import UserError
from store.outcomes import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Best:
    """The best value that one metric ever had among some runs, and the run that had it."""

    metric: str
    value: float
    step: int
    run: Outcome


def best(runs: Sequence[Outcome], metric: str, *, greatest: bool = False) -> Best | None:
    """The smallest (or greatest) value a metric had at any step of any run; None where no run has a number."""
    found = [one for run in runs if (one := _best_of(run, metric, greatest=greatest)) is not None]
    if not found:
        return None
    return max(found, key=lambda one: one.value) if greatest else min(found, key=lambda one: one.value)


def groups(runs: Sequence[Outcome], names: Sequence[str]) -> dict[tuple[Any, ...], list[Outcome]]:
    """Runs with the same values of these parameters together, in the order of the values."""
    found: dict[str, tuple[tuple[Any, ...], list[Outcome]]] = {}
    for run in runs:
        values = tuple(param(run, name) for name in names)
        found.setdefault(json.dumps(values, default=str), (values, []))[1].append(run)
    return dict(_hashable(pair) for pair in sorted(found.values(), key=lambda pair: [rising(v) for v in pair[0]]))


def grid(
    runs: Sequence[Outcome], metric: str, rows: str, columns: str, *, greatest: bool = False
) -> tuple[list[Any], list[Any], list[list[Best | None]]]:
    """The best of every cell of two parameters: their values, and a list of lists (rows, columns)."""
    across = [values[0] for values in groups(runs, [columns])]
    down = groups(runs, [rows])
    cells = []
    for members in down.values():
        by_column = groups(members, [columns])
        cells.append([best(by_column.get((value,), []), metric, greatest=greatest) for value in across])
    return [values[0] for values in down], across, cells


def param(run: Outcome, name: str) -> Any:
    """A parameter by its name; one in a table is called `data.vectors`. None when the run has none."""
    if name in run.params:
        return run.params[name]
    value: Any = run.params
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def check_params(runs: Sequence[Outcome], names: Sequence[str]) -> None:
    """Raises UserError for a parameter that no run has."""
    for name in names:
        if all(param(run, name) is None for run in runs):
            known = ", ".join(dict.fromkeys(key for run in runs for key in run.params))
            raise UserError(f"no run has a parameter {name}; there are: {known}")


def check_metric(runs: Sequence[Outcome], name: str) -> None:
    """Raises UserError for a metric that no run has."""
    if not any(name in run.summary for run in runs):
        known = ", ".join(sorted({metric for run in runs for metric in run.summary})) or "none yet"
        raise UserError(f"no run has a metric {name}; there are: {known}")


def _best_of(run: Outcome, metric: str, *, greatest: bool) -> Best | None:
    summary = run.summary.get(metric)
    if summary is None:
        return None
    value, step = (summary.max, summary.max_step) if greatest else (summary.min, summary.min_step)
    if value is None or step is None:
        return None
    return Best(metric=metric, value=value, step=step, run=run)


def _hashable(pair: tuple[tuple[Any, ...], list[Outcome]]) -> tuple[tuple[Any, ...], list[Outcome]]:
    values, runs = pair
    plain = tuple(json.dumps(value) if isinstance(value, dict | list) else value for value in values)
    return plain, runs
