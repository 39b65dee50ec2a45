"""How far the stopping rules have read each run. What a course remembers is the rules' own business."""

from dataclasses import dataclass, field
from typing import Any

from store.judged import Judged, Ruling
from store.runs import Shipped
from store.states import State, Wish


@dataclass(frozen=True, slots=True, kw_only=True)
class Until:
    """The last event line, of which attempt, that belongs to a checkpoint."""

    attempt: int
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What the rules need to know of a run: it is running, or waits at a rung, or has ended and is still unread."""

    id: str
    experiment: str
    state: State
    attempt: int
    wish: Wish | None = None
    shipped: Shipped = field(default_factory=Shipped)
    checkpoint: Until | None = None
    judged: Judged = field(default_factory=Judged)


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """One run as the rules have seen it: every event line up to `line` of `attempt`.

    `rules`: a digest of the rules that it was read for. `counts`: points read of each series in that attempt.
    `ruling`: what was decided last; it is kept before it is carried out, so nothing is decided twice differently.
    """

    id: str
    experiment: str
    rules: str
    attempt: int
    line: int
    counts: tuple[int, ...]
    memory: dict[str, Any]
    ruling: Ruling | None = None
    version: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """The value with which a run reached a rung."""

    experiment: str
    run: str
    at: float
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Points of the run's attempt in these series, beyond the first `counts`, up to event line `to_line`.

    `at_most`: how many there can be of each series.
    """

    run: str
    attempt: int
    names: tuple[str, ...]
    counts: tuple[int, ...]
    to_line: int
    at_most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """Points of one series: parallel arrays, oldest first. `lines` count within their attempt; `times` may lack."""

    attempts: tuple[int, ...] = ()
    lines: tuple[int, ...] = ()
    steps: tuple[int, ...] = ()
    times: tuple[float, ...] = ()
    values: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Afoot:
    """What of an experiment may still report: is any run queued, and how many are running?"""

    queued: bool
    running: int
