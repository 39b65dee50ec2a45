"""What a round of the diagnosis sees of a run before it decides whether to look at it."""

from dataclasses import dataclass, field
from datetime import datetime

from store.runs import Shipped
from store.states import State


@dataclass(frozen=True, slots=True, kw_only=True)
class LastLook:
    """What is kept of the last look at a run."""

    attempt: int
    lines: int
    looked_at: datetime | None
    over: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Glimpse:
    """One run that is running, or has ended lately, or has left since somebody looked. `started_at`: of its attempt."""

    id: str
    experiment: str
    state: State
    attempt: int
    started_at: datetime | None = None
    shipped: Shipped = field(default_factory=Shipped)
    last_look: LastLook | None = None
