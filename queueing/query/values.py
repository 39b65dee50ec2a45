"""Values as people write them, read as what a field holds: numbers, times, sizes, durations, texts. Pure.

Each reader raises ValueError with a sentence that says what is allowed.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from queueing.query.scanner import STAR
from queueing.query.syntax import Literal
from queueing.units import parse_duration, parse_size

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_NOT_FINITE = {"nan", "inf", "+inf", "-inf", "infinity", "-infinity", "+infinity"}
_INT64 = 2**63
TIMES = "-2d, -90m (so long ago), 2026-11-01, 2026-11-01T09:30, today, yesterday or now"


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What the same text means depends on: when, who, and in which time zone (None: that of this machine)."""

    now: datetime
    me: str = ""
    zone: tzinfo | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """From `start` up to, not including, `end`: a date is a whole day. `end` is `start` for an instant."""

    start: datetime
    end: datetime


def is_null(literal: Literal) -> bool:
    """Whether it stands for something missing."""
    return not literal.quoted and literal.text.lower() in ("null", "none")


def plain(literal: Literal) -> str:
    """The text as it was meant, stars included."""
    return literal.text.replace(STAR, "*")


def number(literal: Literal, *, percent: bool = False) -> int | float:
    """`150`, `1e-3`, `nan`, `-inf`; with `percent` also `50%`."""
    text = plain(literal).lower()
    scale = 1.0
    if percent and text.endswith("%"):
        text, scale = text[:-1], 0.01
    if literal.quoted or (not _NUMBER.fullmatch(text) and text not in _NOT_FINITE):
        allowed = "a number such as 0.25 or 1e-3" + (" or 50%" if percent else "")
        raise ValueError(f"expected {allowed}, found {plain(literal)!r}")
    if scale == 1.0 and re.fullmatch(r"[+-]?\d+", text, re.ASCII) and abs(int(text[:40])) < _INT64 and len(text) < 40:
        return int(text)
    return float(text) * scale


def is_number(literal: Literal) -> bool:
    """Whether an unquoted word is a number."""
    text = literal.text.lower()
    return not literal.quoted and (_NUMBER.fullmatch(text) is not None or text in _NOT_FINITE)


def size_bytes(literal: Literal) -> int:
    """`12GB`, `500MB`, a number of bytes."""
    if is_number(literal) and float(literal.text) == 0:
        return 0
    try:
        return parse_size(plain(literal))
    except ValueError as error:
        raise ValueError(f"expected a size such as 500MB or 12GB, found {plain(literal)!r}") from error


def duration_s(literal: Literal) -> float:
    """`2h`, `1h30m`, `90`."""
    if is_number(literal) and float(literal.text) == 0:
        return 0.0
    try:
        return parse_duration(plain(literal))
    except ValueError as error:
        raise ValueError(f"expected a duration such as 90s or 2h30m, found {plain(literal)!r}") from error


def flag(literal: Literal) -> bool:
    """`true`, `false`, `yes`, `no`."""
    words = {"true": True, "yes": True, "false": False, "no": False}
    if literal.text.lower() not in words:
        raise ValueError(f"expected true or false, found {plain(literal)!r}")
    return words[literal.text.lower()]


def moment(literal: Literal, context: Context) -> Moment:
    """A date, a time, `today`, or how long ago."""
    text = plain(literal).strip().lower()
    if text == "now":
        return _instant(context.now)
    if text in ("today", "yesterday"):
        here = context.now.astimezone(context.zone)
        return _day(datetime(here.year, here.month, here.day) - timedelta(days=text == "yesterday"), context)  # noqa: DTZ001
    if text.startswith("-"):
        return _instant(context.now - timedelta(seconds=_ago_s(text)))
    return _date(plain(literal).strip(), context)


def _ago_s(text: str) -> float:
    try:
        return parse_duration(text[1:])
    except ValueError as error:
        raise ValueError(f"expected a time such as {TIMES}, found {text!r}") from error


def _date(text: str, context: Context) -> Moment:
    try:
        found = datetime.fromisoformat(text)
        is_day = re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII) is not None
        return _day(found, context) if is_day else _instant(_aware(found, context))
    except (ValueError, OverflowError, OSError) as error:
        try:
            parse_duration(text)
        except ValueError:
            raise ValueError(f"expected a time such as {TIMES}, found {text!r}") from error
        raise ValueError(f"expected a time; {text} ago is written -{text}") from error


def _day(midnight: datetime, context: Context) -> Moment:
    return Moment(start=_aware(midnight, context), end=_aware(midnight + timedelta(days=1), context))


def _instant(time: datetime) -> Moment:
    """Milliseconds are what MongoDB keeps."""
    exact = time.astimezone(UTC)
    exact = exact.replace(microsecond=exact.microsecond // 1000 * 1000)
    return Moment(start=exact, end=exact)


def _aware(time: datetime, context: Context) -> datetime:
    if time.tzinfo is not None:
        return time.astimezone(UTC)
    return (time.replace(tzinfo=context.zone) if context.zone else time.astimezone()).astimezone(UTC)
