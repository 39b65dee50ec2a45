"""What tables of results show of a run: a small part of its document, so that 100,000 can be read one after another."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from store.runs import MetricSummary, Progress, Run
from store.states import Reason, State


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A run without its task, its history and its checkpoints. `host` is that of its newest attempt."""

    id: str
    experiment: str
    params: dict[str, Any]
    repeat: int = 0
    index: int = 0
    state: State = State.QUEUED
    reason: Reason | None = None
    attempt: int = 0
    priority: int = 0
    tags: tuple[str, ...] = ()
    owner: str = ""
    host: str = ""
    commit: str = ""
    message: str = ""
    queued_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    progress: Progress | None = None
    summary: dict[str, MetricSummary] = field(default_factory=dict)


def outcome_of(run: Run) -> Outcome:
    """The small part of a run."""
    return Outcome(
        id=run.id,
        experiment=run.experiment,
        params=run.params,
        repeat=run.repeat,
        index=run.index,
        state=run.state,
        reason=run.reason,
        attempt=run.attempt,
        priority=run.priority,
        tags=run.tags,
        owner=run.owner,
        host=(run.history[-1].facts.get("host") or "") if run.history else "",
        commit=(run.provenance.get("git") or {}).get("commit") or "",
        message=run.ending.message if run.ending else "",
        queued_at=run.queued_at,
        started_at=run.started_at,
        ended_at=run.ended_at,
        progress=run.progress,
        summary=run.summary,
    )
