"""What stopping rules have said of a run, and what people have said to that."""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """That a rule stops a run, or with `hold` lets it wait at a rung.

    `rule`: its name in the experiment; `rung`: the resource at which it said so, None for a rule without rungs.
    """

    rule: str
    rung: float | None = None
    hold: bool = False
    because: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """`held`: it waits at a rung. `stopped`: a rule has stopped it. `overruled`: a person has let it go on since.

    `unread`: an attempt has ended, and the rules have not seen its last points yet.
    """

    unread: bool = False
    held: Ruling | None = None
    stopped: Ruling | None = None
    overruled: tuple[Ruling, ...] = ()

    def is_overruled(self, rule: str, rung: float | None) -> bool:
        """Whether a person's word stands against this rule: at that rung and below, or for good where it has none."""
        return any(
            one.rule == rule and (one.rung is None or (rung is not None and rung <= one.rung)) for one in self.overruled
        )

    def overruling(self) -> "Judged":
        """A person has taken the run in hand: what rules have said of it holds no more."""
        said = [one for one in (self.held, self.stopped) if one is not None]
        return replace(self, held=None, stopped=None, overruled=(*self.overruled, *said)) if said else self
