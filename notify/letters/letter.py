"""A message before it is text or HTML: a title, sentences, blocks. Both parts come of it, so they say the same."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from notify.story import Story
from store.findings import Severity
from store.notices import Notice
from store.occasions import Occasion


class Tone(StrEnum):
    """The colour of a message."""

    GOOD = "good"
    BAD = "bad"
    WARNING = "warning"
    CALM = "calm"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Names and what they are."""

    kind: ClassVar[str] = "facts"
    title: str
    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of equal length. `numeric` columns stand to the right, `quiet` ones are paler, `strong` rows stand out."""

    kind: ClassVar[str] = "table"
    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: frozenset[int] = frozenset()
    quiet: frozenset[int] = frozenset()
    strong: frozenset[int] = frozenset()
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A PNG in the HTML part. `alt` says in words what it shows; `command` draws the same in a terminal."""

    kind: ClassVar[str] = "picture"
    cid: str
    png: bytes
    width_px: int
    alt: str
    title: str = ""
    command: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """Lines of a log, as they are."""

    kind: ClassVar[str] = "output"
    title: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One finding in words."""

    severity: Severity
    name: str
    evidence: str
    advice: str
    since: str = ""
    reference: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What the diagnosis says; `more` were left out."""

    kind: ClassVar[str] = "findings"
    title: str
    items: tuple[Found, ...]
    more: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Commands:
    """What can be done next, each a line for a shell."""

    kind: ClassVar[str] = "commands"
    title: str
    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """A sentence beside the matter: what was left out, and why."""

    kind: ClassVar[str] = "remark"
    text: str


Block = Facts | Table | Picture | Output | Findings | Commands | Remark
Section = Callable[[Notice, Story], Iterable[Block]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """Everything that a template gets to see, beside the notice and its story.

    `about`: what it is on, in a few words (`weather-rnn · #12`). `why`: which rule asked for it.
    """

    occasion: Occasion
    tone: Tone
    subject: str
    about: str
    title: str
    lead: tuple[str, ...]
    blocks: tuple[Block, ...]
    why: str = ""

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """In the order of their appearance."""
        return tuple(block for block in self.blocks if isinstance(block, Picture))
