"""Which metric is shown, and whose curves. Pure."""

from collections.abc import Iterable, Sequence
from typing import Any

from store.directions import greater_is_better
from store.families import is_validation
from store.runs import MetricSummary, Run
from store.states import State

BEST_SHOWN = 3
RUNNING_SHOWN = 12
"""Curves beside the best: more could not be told apart; all others are in the band."""
MOST_CURVES = 300
MARKS_OF_RUNNING = "abcdefghijkl"


def metric_of(metrics: Iterable[str], definition: dict[str, Any], stopping: dict[str, Any] | None) -> str:
    """What the experiment itself minimizes or judges by, else the validation loss, else what looks most like it."""
    known = sorted(metrics)
    for table in (definition.get("optimizer"), stopping):
        if isinstance(table, dict) and table.get("metric") in known:
            return str(table["metric"])
    return min(known, key=_strangeness, default="")


def _strangeness(name: str) -> tuple[bool, bool, bool, str]:
    return name.startswith("clock_"), not is_validation(name), "loss" not in name, name


def best_of(summary: MetricSummary | None, *, greatest: bool) -> float | None:
    """The best value so far; None without any number."""
    if summary is None:
        return None
    return summary.max if greatest else summary.min


def is_greatest(metric: str, definition: dict[str, Any], stopping: dict[str, Any] | None) -> bool:
    """Whether greater is better: what the experiment says of this metric, else a guess from its name."""
    for table in (definition.get("optimizer"), stopping):
        if isinstance(table, dict) and table.get("metric") == metric and table.get("direction") in ("max", "maximize"):
            return True
    return greater_is_better(metric)


def best_first(runs: Iterable[Run], metric: str, *, greatest: bool) -> list[Run]:
    """Those that have a best value, the best first."""
    found = [(value, run) for run in runs if (value := best_of(run.summary.get(metric), greatest=greatest)) is not None]
    return [run for _, run in sorted(found, key=lambda pair: (-pair[0] if greatest else pair[0], pair[1].id))]


def wanted(runs: Sequence[Run], best: Sequence[Run], metric: str) -> list[Run]:
    """Whose curves are read, the most wanted first: the best, what runs, then what began last."""
    running = [run for run in runs if run.state is State.RUNNING]
    others = sorted(runs, key=lambda run: (run.started_at is not None, run.started_at or run.queued_at), reverse=True)
    chosen = {run.id: run for run in (*best[:BEST_SHOWN], *running, *others) if metric in run.summary}
    return list(chosen.values())[:MOST_CURVES]


def marks(best: Sequence[Run], runs: Sequence[Run], metric: str) -> dict[str, str]:
    """Letters of the curves that are shown by themselves: 1, 2, 3 for the best; a, b, c, … for running ones."""
    found = {run.id: str(place) for place, run in enumerate(best[:BEST_SHOWN], 1)}
    running = [run for run in runs if run.state is State.RUNNING and run.id not in found and metric in run.summary]
    return {**found, **{run.id: mark for run, mark in zip(running, MARKS_OF_RUNNING, strict=False)}}
