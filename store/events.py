"""What happened to a run, and at whose request: an entry that is only ever added."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from store.findings import Finding
from store.states import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One entry. `event` is a state that was entered, `began`, `finding`, or the name of what a person asked for."""

    run: str
    attempt: int
    event: str
    at: datetime
    by: str = ""
    because: str = ""
    message: str = ""
    reason: Reason | None = None
    step: int | None = None
    finding: Finding | None = None


def as_event(finding: Finding) -> dict[str, Any]:
    """The fields of the event `finding`."""
    return {"finding": finding, "message": finding.evidence, "step": finding.since_step}
