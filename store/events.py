"""What happened to a run, and at whose request: an entry that is only ever added."""

from dataclasses import dataclass
from datetime import datetime

from store.states import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One entry. `event` is a state that was entered, `began`, or the name of what a person asked for."""

    run: str
    attempt: int
    event: str
    at: datetime
    by: str = ""
    because: str = ""
    message: str = ""
    reason: Reason | None = None
    step: int | None = None
