"""What a rule may say: one model per table, unknown keys refused. Used by rules files and by experiment files."""

import re
from difflib import get_close_matches
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from queueing.units import parse_duration
from store.occasions import OCCASION_WORDS, WORDS, Occasion
from store.recipients import recipient_mistake
from store.rules import Quiet, Rate, When

SHORTEST_EVERY_S = 60.0
MOST_RULES = 100
_EVERY = re.compile(r"every\s+(.+)")
_TIME = r"([01]?\d|2[0-3]):([0-5]\d)"
_UNITS = {"minute": 60.0, "hour": 3600.0, "day": 86400.0}


def one_or_many(value: object) -> object:
    """A text alone is a list of one."""
    return [value] if isinstance(value, str) else value


def recipient(value: str) -> str:
    """A mail address, or the name of a chat target: whether there is one is for the notifier's settings to say."""
    if recipient_mistake(value):
        raise ValueError("is no e-mail address; allowed: name@host, or the name of a target, such as slack:lab")
    return value


def occasion(value: object) -> str:
    """`finished`, `memory-growth`, `every 2h`."""
    text = value.strip().lower() if isinstance(value, str) else ""
    if (found := _EVERY.fullmatch(text)) is not None:
        if parse_duration(found[1]) < SHORTEST_EVERY_S:
            raise ValueError('allowed: "every 1m" or more')
        return text
    if text not in WORDS or text == Occasion.EVERY:
        near = get_close_matches(text, [*WORDS, "every 2h"], n=1)
        guess = f"did you mean {near[0]!r}? " if near else ""
        known = ", ".join(word for word in OCCASION_WORDS if word != Occasion.EVERY)
        raise ValueError(f"allowed: {guess}{known}, every 2h, or what the diagnosis finds, such as memory-growth")
    return text


def split_every(words: list[str]) -> tuple[tuple[str, ...], float]:
    """The words, with `every` for `every 2h`, and how many seconds that is: the shortest of several."""
    spans = [parse_duration(found[1]) for word in words if (found := _EVERY.fullmatch(word))]
    plain = [Occasion.EVERY.value if _EVERY.fullmatch(word) else word for word in words]
    return tuple(dict.fromkeys(plain)), min(spans, default=0.0)


def _quiet(value: object) -> Quiet:
    found = re.fullmatch(rf"\s*{_TIME}\s*-\s*{_TIME}\s*", value) if isinstance(value, str) else None
    if found is None:
        raise ValueError('allowed: two times of the day, such as "22:00-07:00"')
    from_minute, to_minute = (int(found[i]) * 60 + int(found[i + 1]) for i in (1, 3))
    if from_minute == to_minute:
        raise ValueError("allowed: two different times; to be told of nothing leave the rule out, or: labq mute")
    return Quiet(from_minute=from_minute, to_minute=to_minute)


def _at_most(value: object) -> Rate:
    allowed = 'allowed: a number and a time, such as "20 per hour" or "3 per 10m"'
    found = re.fullmatch(r"\s*(\d{1,6})\s+per\s+(.+?)\s*", value) if isinstance(value, str) else None
    if found is None or int(found[1]) < 1:
        raise ValueError(allowed)
    per_s = _UNITS.get(found[2])
    return Rate(count=int(found[1]), per_s=parse_duration(found[2]) if per_s is None else per_s)


def _when(value: object) -> tuple[When, int | None]:
    text = value.strip().lower() if isinstance(value, str) else ""
    daily = re.fullmatch(rf"daily(?:\s+at)?\s+{_TIME}", text)
    if daily is not None:
        return When.DAILY, int(daily[1]) * 60 + int(daily[2])
    if text not in list(When):
        raise ValueError('allowed: "at once", "hourly", "daily", "daily at 18:00", "sweep"')
    return When(text), None


def zone(value: str) -> str:
    """An IANA name."""
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError) as error:
        near = get_close_matches(value, available_timezones(), n=1)
        guess = f"did you mean {near[0]!r}? " if near else ""
        raise ValueError(f"allowed: {guess}a time zone such as Europe/Berlin or UTC") from error
    return value


Recipients = Annotated[list[Annotated[str, AfterValidator(recipient)]], BeforeValidator(one_or_many)]
Occasions = Annotated[list[Annotated[str, BeforeValidator(occasion)]], BeforeValidator(one_or_many)]
Zone = Annotated[str, AfterValidator(zone)]
QuietHours = Annotated[Any, AfterValidator(_quiet)]
AtMost = Annotated[Any, AfterValidator(_at_most)]
Timing = Annotated[Any, AfterValidator(_when)]


class Strict(BaseModel):
    """Unknown keys are mistakes; what was read does not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class RuleTable(Strict):
    """`[[rule]]`, `[[notify.rule]]`"""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}$")] | None = None
    on: Annotated[Occasions, Field(min_length=1)]
    condition: Annotated[str | None, Field(alias="if", min_length=1, max_length=2000)] = None
    metric: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    better: Literal["less", "greater"] | None = None
    to: Recipients = Field(default_factory=list)
    when: Timing = "at once"
    quiet: QuietHours = None
    zone: Zone | None = None
    at_most: AtMost = None
    attach: Annotated[list[Literal["history"]], BeforeValidator(one_or_many)] = Field(default_factory=list)


class RulesFile(Strict):
    """A whole rules file: what stands above the rules is meant for all that do not say it themselves."""

    to: Recipients = Field(default_factory=list)
    quiet: QuietHours = None
    zone: Zone | None = None
    at_most: AtMost = None
    rule: Annotated[list[RuleTable], Field(min_length=1, max_length=MOST_RULES)]
