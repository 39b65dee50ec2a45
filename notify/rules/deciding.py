"""When somebody is told: at once, after the quiet hours, in a digest, or among many others. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from notify.rules.hours import after_quiet, next_hour, next_time
from store.occasions import Occasion
from store.rules import Rule, When

LATE_S = 2 * 86400.0
"""What is older than this when somebody comes to deal with it, is told in one message and not one by one."""


class Way(StrEnum):
    """How it is told."""

    SEND = "send"
    GATHER = "gather"
    MUTE = "mute"


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """How many messages a rule has sent since then. None: no window has begun."""

    since: datetime | None = None
    count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """`at`: not before then; None with GATHER: when the sweep ends. `digest`: in which of the rule's digests."""

    way: Way
    window: Window
    at: datetime | None = None
    digest: str = ""


def decide(
    rule: Rule, about: Occasion, happened_at: datetime, experiment: str, window: Window, now: datetime, *, muted: bool
) -> Decision:
    """What to do about something that happened then, and that this rule asks for."""
    if muted:
        return Decision(way=Way.MUTE, window=window)
    if (now - happened_at).total_seconds() > LATE_S:
        return Decision(way=Way.GATHER, window=window, at=after_quiet(rule, now), digest="late")
    if rule.when is When.SWEEP and about is not Occasion.SWEEP_FINISHED and experiment:
        return Decision(way=Way.GATHER, window=window, digest=f"sweep/{experiment}")
    if rule.when is When.HOURLY:
        return Decision(way=Way.GATHER, window=window, at=after_quiet(rule, next_hour(now)), digest="hourly")
    if rule.when is When.DAILY:
        at = after_quiet(rule, next_time(rule.at_minute, rule.zone, now))
        return Decision(way=Way.GATHER, window=window, at=at, digest="daily")
    return _within_rate(rule, window, after_quiet(rule, now))


def _within_rate(rule: Rule, window: Window, at: datetime) -> Decision:
    over = None if window.since is None else window.since + timedelta(seconds=rule.at_most.per_s)
    if over is None or at >= over:
        return Decision(way=Way.SEND, window=Window(since=at, count=1), at=at)
    if window.count < rule.at_most.count:
        return Decision(way=Way.SEND, window=Window(since=window.since, count=window.count + 1), at=at)
    return Decision(way=Way.GATHER, window=window, at=after_quiet(rule, over), digest="more")
