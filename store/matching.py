"""Whether a condition holds for one Run: a pure function, the same as MongoDB's answer (tests/contract)."""

import math
import operator
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from store.errors import BadQuery
from store.query import (
    KINDS,
    All,
    Among,
    Compared,
    Condition,
    Contains,
    Field,
    Kind,
    Like,
    Metric,
    Missing,
    Not,
    Op,
    Param,
    RunField,
    Some,
)
from store.runs import Run
from store.states import State

_COMPARE: dict[Op, Callable[[Any, Any], bool]] = {
    Op.LESS: operator.lt,
    Op.AT_MOST: operator.le,
    Op.GREATER: operator.gt,
    Op.AT_LEAST: operator.ge,
}


def matches(condition: Condition, run: Run, now: datetime) -> bool:
    """Whether the condition holds. Raises BadQuery for a raw MongoDB filter, which only MongoDB understands."""
    match condition:
        case All(parts=parts):
            return all(matches(part, run, now) for part in parts)
        case Some(parts=parts):
            return any(matches(part, run, now) for part in parts)
        case Not(part=part):
            return not matches(part, run, now)
        case Missing(field=field):
            return not values(run, field, now)
        case Compared(field=field, op=Op.EQUAL, value=value):
            return any(_same(field, found, value) for found in values(run, field, now))
        case Compared(field=field, op=op, value=value):
            found = values(run, field, now)
            return any(_comparable(one, value) and _COMPARE[op](one, value) for one in found)
        case Among(field=field, values=wanted):
            return any(_same(field, found, value) for found in values(run, field, now) for value in wanted)
        case Like(field=field, pieces=pieces):
            return any(isinstance(one, str) and is_like(one, pieces) for one in values(run, field, now))
        case Contains(field=field, text=text):
            pattern = re.compile(re.escape(text), re.IGNORECASE)
            return any(isinstance(one, str) and pattern.search(one) is not None for one in values(run, field, now))
    raise BadQuery("a filter in MongoDB's own words can only be asked of MongoDB")


def values(run: Run, field: Field, now: datetime) -> list[Any]:
    """All values of a field: none when it is missing, several for tags, hosts and lists."""
    if isinstance(field, Metric):
        summary = run.summary.get(field.name)
        found = [] if summary is None else [getattr(summary, field.stat.value)]
    elif isinstance(field, Param):
        found = at_path(run.params, field.path)
    else:
        found = _OF_RUN[field](run, now)
    return [value for value in found if value is not None]


def is_like(text: str, pieces: tuple[str, ...]) -> bool:
    """Whether the pieces, with anything between them, make up the text."""
    return re.fullmatch(".*".join(re.escape(piece) for piece in pieces), text, re.DOTALL) is not None


def duration_s(run: Run, now: datetime) -> float | None:
    """From the first start to the end, or until now while it runs; None for one that waits."""
    end = now if run.state is State.RUNNING else run.ended_at
    return None if end is None or run.started_at is None else (end - run.started_at).total_seconds()


def running_s(run: Run, now: datetime) -> float | None:
    """Spent in attempts, the present one included: pauses and waiting excepted. None before the first one."""
    open_until = now if run.state is State.RUNNING else None
    spans = [(attempt.ended_at or open_until or attempt.started_at) - attempt.started_at for attempt in run.history]
    return sum(spans, timedelta()).total_seconds() if spans else None


def _same(field: Field, found: Any, value: Any) -> bool:
    if isinstance(field, RunField) and KINDS.get(field) is Kind.ID:
        return str(found).startswith(str(value))
    if isinstance(found, bool) != isinstance(value, bool):
        return False
    if isinstance(found, float) and math.isnan(found):
        return isinstance(value, float) and math.isnan(value)
    return bool(found == value)


def _comparable(found: Any, value: Any) -> bool:
    if isinstance(value, datetime):
        return isinstance(found, datetime)
    return isinstance(found, int | float) and not isinstance(found, bool)


def at_path(value: Any, path: tuple[str, ...]) -> list[Any]:
    """What MongoDB finds at a path: lists are looked through, and at the end count both as such and by their items."""
    if not path:
        return [value, *value] if isinstance(value, list | tuple) else [value]
    head, rest = path[0], path[1:]
    if isinstance(value, dict):
        return at_path(value[head], rest) if head in value else []
    if not isinstance(value, list | tuple):
        return []
    found = [inner for item in value if isinstance(item, dict) for inner in at_path(item, path)]
    return found + (at_path(value[int(head)], rest) if head.isdecimal() and int(head) < len(value) else [])


def _git(run: Run, name: str) -> list[Any]:
    return [(run.provenance.get("git") or {}).get(name)]


def _fractions(run: Run) -> list[Any]:
    fraction = run.progress.fraction if run.progress else None
    return [None if fraction is None or math.isnan(fraction) else fraction]


def _steps(run: Run) -> list[Any]:
    return [max((summary.last_step for summary in run.summary.values()), default=None)]


_OF_RUN: dict[RunField, Callable[[Run, datetime], list[Any]]] = {
    RunField.ID: lambda run, _: [run.id],
    RunField.EXPERIMENT: lambda run, _: [run.experiment],
    RunField.STATE: lambda run, _: [run.state.value],
    RunField.REASON: lambda run, _: [run.reason and run.reason.value],
    RunField.QUEUE: lambda run, _: [run.queue],
    RunField.OWNER: lambda run, _: [run.owner],
    RunField.TAG: lambda run, _: list(run.tags),
    RunField.FINDING: lambda run, _: [disease.value for disease in run.findings],
    RunField.HOST: lambda run, _: [attempt.facts.get("host") for attempt in run.history],
    RunField.WORKER: lambda run, _: [attempt.worker for attempt in run.history],
    RunField.GIT: lambda run, _: _git(run, "commit"),
    RunField.BRANCH: lambda run, _: _git(run, "branch"),
    RunField.DIRTY: lambda run, _: _git(run, "dirty"),
    RunField.TRAINER: lambda run, _: [run.task.trainer],
    RunField.COMMAND: lambda run, _: list(run.task.command),
    RunField.WORKDIR: lambda run, _: [run.task.workdir],
    RunField.MESSAGE: lambda run, _: [(run.ending and run.ending.message) or None],
    RunField.REMARK: lambda run, _: [run.remark or None],
    RunField.ATTEMPT: lambda run, _: [run.attempt],
    RunField.PRIORITY: lambda run, _: [run.priority],
    RunField.REPEAT: lambda run, _: [run.repeat],
    RunField.INDEX: lambda run, _: [run.index],
    RunField.SETBACKS: lambda run, _: [run.setbacks],
    RunField.EXIT_CODE: lambda run, _: [run.ending.exit_code if run.ending else None],
    RunField.SIGNAL: lambda run, _: [run.ending.signal if run.ending else None],
    RunField.GPUS: lambda run, _: [run.resources.gpus],
    RunField.CPUS: lambda run, _: [run.resources.cpus],
    RunField.MEMORY: lambda run, _: [run.resources.memory_bytes],
    RunField.DISK: lambda run, _: [run.resources.disk_bytes],
    RunField.PEAK_MEMORY: lambda run, _: [run.ending.peak_memory_bytes if run.ending else None],
    RunField.TIME_LIMIT: lambda run, _: [run.resources.time_s],
    RunField.CREATED: lambda run, _: [run.queued_at],
    RunField.STARTED: lambda run, _: [run.started_at],
    RunField.ENDED: lambda run, _: [run.ended_at],
    RunField.DURATION: lambda run, now: [duration_s(run, now)],
    RunField.RUNNING_TIME: lambda run, now: [running_s(run, now)],
    RunField.PROGRESS: lambda run, _: _fractions(run),
    RunField.DONE: lambda run, _: [run.progress.done if run.progress else None],
    RunField.STEP: lambda run, _: _steps(run),
}
