"""Studies: experiments whose runs an optimizer proposes, one trial at a time.

A trial's number and parameters are fixed by one atomic insert; its runs follow from it, so whoever finds it without
them can make them. What an optimizer knows is nothing but these documents.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from store.runs import Run


class StudyState(StrEnum):
    """Whether somebody should ask for further trials."""

    ACTIVE = "active"
    ASKED = "asked"
    """The budget is spent; the last trials are waited for."""
    FINISHED = "finished"
    STOPPED = "stopped"


class TrialState(StrEnum):
    """What the optimizer has been told of a trial."""

    OPEN = "open"
    COMPLETE = "complete"
    PRUNED = "pruned"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """An experiment with an optimizer. `spec`: the table [optimizer] as JSON; `pattern`: what all its runs share."""

    name: str
    spec: str
    pattern: Run
    state: StudyState = StudyState.ACTIVE
    created_at: datetime
    trouble: str = ""
    """Why the last step of the optimizer came to nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One proposal and what came of it. Those before the study (`warm_start`) have negative numbers.

    `told` names the endings that `values` come from: a run that is requeued afterwards makes them stale.
    `points`: (step, value) of a trial that was stopped on the way. `notes`: what the sampler wants back.
    """

    study: str
    number: int
    params: dict[str, Any]
    runs: tuple[str, ...] = ()
    state: TrialState = TrialState.OPEN
    values: tuple[float, ...] = ()
    points: tuple[tuple[int, float], ...] = ()
    told: str = ""
    why: str = ""
    notes: dict[str, Any] = field(default_factory=dict)
    asked_by: str = ""
    asked_at: datetime
    told_at: datetime | None = None
