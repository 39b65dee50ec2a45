"""A named group of runs."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from store.samples import Peaks


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """The group and the file it came from. The newest enqueue of a name wins; its runs are never lost."""

    name: str
    owner: str
    source: str
    text: str
    tags: tuple[str, ...] = ()
    created_at: datetime
    definition: dict[str, Any] = field(default_factory=dict)
    stopping: dict[str, Any] | None = None
    """The table [stopping] of the newest file; None: no run is stopped early."""
    diagnosis: tuple[dict[str, Any], ...] = ()
    """The tables [[diagnosis]] of the newest file: what is done about findings."""
    peaks: Peaks = field(default_factory=Peaks)
    """The most that any of its runs used: written by the workers, never by an enqueue."""
    trainer: str | None = None
    """The built-in trainer of the newest file; None: a command."""
