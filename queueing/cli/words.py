"""Runs in words that fit a terminal."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from queueing.units import format_duration
from store.outcomes import Outcome
from store.runs import Run
from store.states import State

SHOWN_METRICS = 3
SHOWN_PARAMS = 4


def state_words(run: Run) -> str:
    """The state, with the reason where there is one."""
    if run.reason is not None and run.state in (State.FAILED, State.QUEUED):
        return f"{run.state} ({run.reason})"
    if run.wish is not None and run.state is State.RUNNING:
        return f"{run.state} ({run.wish} asked)"
    return run.state.value


def differing(runs: Sequence[Run | Outcome]) -> list[str]:
    """Names of the parameters in which these runs differ; for a single run the first few that are not tables."""
    names = list(dict.fromkeys(name for run in runs for name in run.params))
    if len(runs) < 2:
        return [name for run in runs for name in names if not isinstance(run.params[name], dict | list)][:SHOWN_PARAMS]
    return [name for name in names if len({repr(run.params.get(name)) for run in runs}) > 1]


def param_words(run: Run, names: Sequence[str]) -> str:
    """`lr=0.01 n_hidden=32`"""
    return " ".join(f"{name}={value_words(run.params[name])}" for name in names if name in run.params)


def metric_words(run: Run) -> str:
    """The last values of the first few metrics, validation first; those of the clock tell nothing of a result."""
    names = sorted(
        (name for name in run.summary if not name.startswith("clock_")),
        key=lambda name: (not name.startswith(("val", "test")), name),
    )
    return " ".join(f"{name}={run.summary[name].last:.4g}" for name in names[:SHOWN_METRICS])


def value_words(value: Any) -> str:
    """Short, and the same as in the experiment file where that is short."""
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 40 else f"{text[:37]}…"


def ago(then: datetime, now: datetime) -> str:
    """`3m 20s ago`"""
    return f"{format_duration(max(0.0, (now - then).total_seconds()))} ago"
