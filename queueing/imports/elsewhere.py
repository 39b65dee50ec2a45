"""A run of elsewhere, before it is stored."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from queueing.keys import canonical, run_id
from store.imports import TAG
from store.metrics import Segment
from store.runs import Attempt, Ending, Run, Task
from store.states import Reason, State


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """Something to keep with the run: `fetch` writes it to a path, or says that it is lost."""

    name: str
    fetch: Callable[[Path], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    """`original`: what the source calls the run; the same one is imported once. `points` are read once, in order.

    `experiment` and `identity` decide which run it is here.
    """

    original: str
    identity: tuple[Any, ...]
    experiment: str
    params: dict[str, Any]
    state: State
    reason: Reason | None = None
    message: str = ""
    remark: str = ""
    exit_code: int | None = None
    index: int = 0
    tags: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    queued_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    git: dict[str, Any] | None = None
    output: bytes = b""
    points: Callable[[], Iterable[Segment]] = tuple
    files: tuple[File, ...] = ()

    @property
    def key(self) -> str:
        """As unique as the key of a run that was enqueued, and never the same as one."""
        import hashlib

        return hashlib.sha256(canonical(["imported", self.experiment, *self.identity]).encode()).hexdigest()

    @property
    def id(self) -> str:
        """The run's id here."""
        return run_id(self.key)

    def as_run(self, source: str, owner: str) -> Run:
        """Without its metrics."""
        started = self.started_at or self.queued_at
        ending = Ending(reason=self.reason, exit_code=self.exit_code, message=self.message)
        attempt = Attempt(
            number=1, worker=TAG, started_at=started, ended_at=self.ended_at, facts=self.facts, ending=ending
        )
        return Run(
            id=self.id,
            key=self.key,
            experiment=self.experiment,
            params=self.params,
            task=Task(command=self.command, workdir=""),
            index=self.index,
            tags=tuple(dict.fromkeys([TAG, *self.tags])),
            owner=owner,
            provenance={"git": self.git},
            state=self.state,
            reason=self.reason,
            attempt=1,
            queued_at=self.queued_at,
            started_at=self.started_at,
            ended_at=self.ended_at,
            ending=ending,
            remark=self.remark,
            origin=f"{source} {self.original}",
            history=(attempt,),
        )
