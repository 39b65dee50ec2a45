"""Who is told what, and when: rules of an experiment, of a user, of everybody."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from store.occasions import Occasion
from store.query import Condition
from store.runs import Notify


class Scope(StrEnum):
    """For whose runs a rule holds. In this order: who is told by several rules alike is told by the first."""

    EXPERIMENT = "experiment"
    USER = "user"
    EVERYBODY = "everybody"


class When(StrEnum):
    """How soon somebody is told, the most urgent first."""

    AT_ONCE = "at once"
    HOURLY = "hourly"
    DAILY = "daily"
    SWEEP = "sweep"
    """When the last run of the experiment has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quiet:
    """From this minute of the day up to that one nothing is sent; over midnight when the first is the later."""

    from_minute: int
    to_minute: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """At most so many messages in so many seconds; what is more comes in one message after that time."""

    count: int = 100
    per_s: float = 3600.0


DEFAULT_RATE = Rate()
MORNING = 8 * 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule. `on`: words of `store.occasions`; `every_s` belongs to `every`, `metric` to `best-so-far`.

    `where`: only runs for which this holds; `said`: the same as it was written. `zone` (an IANA name) is meant by
    `quiet` and by `at_minute`, the minute of the day at which a daily digest is sent.
    """

    name: str
    on: tuple[str, ...]
    to: tuple[str, ...]
    every_s: float = 0.0
    metric: str = ""
    greatest: bool = False
    where: Condition | None = None
    said: str = ""
    when: When = When.AT_ONCE
    at_minute: int = MORNING
    quiet: Quiet | None = None
    zone: str = "UTC"
    at_most: Rate = DEFAULT_RATE
    with_history: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleBook:
    """The rules of one scope. `holder`: name of the experiment or the user; "" for everybody."""

    scope: Scope
    holder: str = ""
    rules: tuple[Rule, ...] = ()
    source: str = ""
    by: str = ""
    set_at: datetime | None = None

    @property
    def id(self) -> str:
        """`experiment:weather`, `user:ann`, `everybody:`"""
        return f"{self.scope}:{self.holder}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mute:
    """Silence about a run (its id) or an experiment (its name), until then or until it is taken back."""

    target: str
    is_run: bool
    until: datetime | None = None
    by: str = ""

    @property
    def id(self) -> str:
        """`run:3k9…`, `experiment:weather`"""
        return f"{'run' if self.is_run else 'experiment'}:{self.target}"


SIMPLE = "[notify]"
"""Name of the rule that `to` and `on` of an experiment file make."""


def simple_rule(notify: Notify) -> Rule | None:
    """The simple form as a rule; None when nobody is to be told."""
    if not notify.to or not notify.on:
        return None
    return Rule(name=SIMPLE, on=notify.on, to=notify.to, every_s=notify.every_s)


def asks_for(rule: Rule, occasion: Occasion) -> bool:
    """Whether the rule names it."""
    return occasion.value in rule.on
