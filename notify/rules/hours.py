"""Quiet hours and the hours of digests, in the time zone of a rule. Pure."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from store.rules import Quiet, Rule

_HOUR_S = 3600


def after_quiet(rule: Rule, at: datetime) -> datetime:
    """That moment, or the end of the quiet hours in which it lies."""
    if rule.quiet is None or not _is_quiet(rule.quiet, at.astimezone(ZoneInfo(rule.zone))):
        return at
    return next_time(rule.quiet.to_minute, rule.zone, at)


def next_time(minute: int, zone: str, after: datetime) -> datetime:
    """When a clock there shows that minute of the day next. One that is skipped in spring is the moment of the jump."""
    local = after.astimezone(ZoneInfo(zone))
    for days in (0, 1, 2):
        day = local.date() + timedelta(days=days)
        shown = datetime(day.year, day.month, day.day, minute // 60, minute % 60, tzinfo=ZoneInfo(zone))
        if (at := shown.astimezone(UTC)) > after:
            return at
    raise AssertionError("every day has this minute")


def next_hour(after: datetime) -> datetime:
    """The next full hour."""
    return datetime.fromtimestamp((after.timestamp() // _HOUR_S + 1) * _HOUR_S, UTC)


def _is_quiet(quiet: Quiet, local: datetime) -> bool:
    minute = local.hour * 60 + local.minute
    if quiet.from_minute <= quiet.to_minute:
        return quiet.from_minute <= minute < quiet.to_minute
    return minute >= quiet.from_minute or minute < quiet.to_minute
