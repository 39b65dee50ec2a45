"""From what happened to what is told, in one write: which events are dealt with, and what is owed because of them.

An event that somebody may want to be told of carries an occasion as `owed`, from the transaction that made it. The
rules round reads owed events, decides, and hands all that follows to `Store.owe`: either everything of it is written
or nothing. So whoever dies, or decides at the same moment, neither loses nor doubles anything.
"""

from dataclasses import dataclass, field
from datetime import datetime

from store.events import Event
from store.notices import Notice, Part
from store.occasions import Occasion
from store.runs import Notify


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """An event that nobody has dealt with, and what is needed to see whether anybody asks for it."""

    id: str
    about: Occasion
    event: Event
    experiment: str
    owner: str = ""
    notify: Notify = field(default_factory=Notify)


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """What the rules remember under a name, compared and swapped by its version: 0 is not stored yet.

    `since`, `count`: of a window of time. `value`: of a metric. `text`: of whatever was told last. `marks`: by name.
    """

    id: str
    version: int = 0
    since: datetime | None = None
    count: int = 0
    value: float | None = None
    text: str = ""
    marks: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathering:
    """Parts for the digest that is open under `digest.digest`; that one is opened when there is none."""

    digest: Notice
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """All that follows from some events, or from a look at the clock.

    `events`: ids of owed events that are dealt with; `notices`: new ones, those that are there already stay as they
    are; `remembered`: each with the version that was read; `sweeps`: experiments whose open digests are closed.
    """

    events: tuple[str, ...] = ()
    notices: tuple[Notice, ...] = ()
    gatherings: tuple[Gathering, ...] = ()
    remembered: tuple[Remembered, ...] = ()
    sweeps: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to write."""
        return not (self.events or self.notices or self.gatherings or self.remembered or self.sweeps)


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepStanding:
    """How an experiment stands. `mark`: of its runs and their attempts; another one once anything has been added."""

    is_over: bool
    mark: str = ""
