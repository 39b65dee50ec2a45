"""What was written, before anybody knows which metrics and parameters there are. Each part knows its place."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """From which character to which."""

    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """A field as it was spelled: `best."val loss"` has the parts "best" and "val loss"."""

    parts: tuple[str, ...]
    span: Span

    @property
    def text(self) -> str:
        """The parts with dots between them."""
        return ".".join(self.parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Literal:
    """A value as it was written; what was in quotes is text. A star that means anything is `scanner.STAR`."""

    text: str
    quoted: bool
    span: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """`val_loss < 0.25`. `op` is one of = != < <= > >= ~ !~."""

    name: Name
    op: str
    op_span: Span
    value: Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """`state in [queued, paused]`."""

    name: Name
    values: tuple[Literal, ...]
    negated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Absence:
    """`missing(val_loss)`."""

    name: Name


@dataclass(frozen=True, slots=True, kw_only=True)
class Alone:
    """A word by itself: the name of an experiment."""

    value: Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """Parts with `and`, or with `or`, between them."""

    word: str
    parts: tuple["Syntax", ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Negation:
    """`not …`"""

    part: "Syntax"


Syntax = Comparison | Membership | Absence | Alone | Joined | Negation
