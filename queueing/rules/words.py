"""Rules in words. Pure."""

from collections.abc import Iterator, Sequence

from queueing.units import format_duration
from store.notices import Notice, NoticeState
from store.occasions import Occasion
from store.rules import DEFAULT_RATE, SIMPLE, Mute, Rule, When
from store.runs import Run


def rule_words(rule: Rule) -> str:
    """`me@lab when finished or failed, if val_loss < 0.2; daily at 08:00`"""
    name = "" if rule.name == SIMPLE else f" ({rule.name})"
    condition = f", if {rule.said}" if rule.said else ""
    more = "".join(f"; {said}" for said in _more(rule))
    return f"{', '.join(rule.to)} when {' or '.join(_occasions(rule))}{condition}{more}{name}"


def _occasions(rule: Rule) -> Iterator[str]:
    for word in rule.on:
        if word == Occasion.EVERY:
            yield f"every {format_duration(rule.every_s)}"
        elif word == Occasion.BEST_SO_FAR:
            yield f"{word} ({'greatest' if rule.greatest else 'least'} {rule.metric})"
        else:
            yield word


def _more(rule: Rule) -> Iterator[str]:
    if rule.when is When.DAILY:
        yield f"daily at {_clock(rule.at_minute)} {rule.zone}"
    elif rule.when is When.SWEEP:
        yield "all at once when the sweep has ended"
    elif rule.when is not When.AT_ONCE:
        yield rule.when.value
    if rule.quiet is not None:
        yield f"quiet {_clock(rule.quiet.from_minute)}-{_clock(rule.quiet.to_minute)} {rule.zone}"
    if rule.at_most != DEFAULT_RATE:
        yield f"at most {rule.at_most.count} per {format_duration(rule.at_most.per_s)}"
    if rule.with_history:
        yield "with the history"


def notice_words(notice: Notice) -> str:
    """`finished to me@lab: sent`"""
    said = f": {notice.error}" if notice.error else ""
    about = notice.about.value
    if notice.parts:
        count = len(notice.parts) + notice.more
        about = f"in a digest of {count}"
    waiting = notice.state in (NoticeState.GATHERING, NoticeState.OWED) and not notice.tries and notice.not_before
    when = f", not before {notice.not_before:%Y-%m-%d %H:%M} UTC" if waiting and notice.not_before else ""
    rule = f" ({notice.rule})" if notice.rule and not notice.rule.endswith(SIMPLE) else ""
    return f"{about} to {', '.join(notice.to)}: {notice.state}{when}{said}{rule}"


def mute_words(mute: Mute) -> str:
    """`run 3k9…, until 2026-11-22 18:00 UTC, by ann`"""
    what = "run" if mute.is_run else "experiment"
    until = f"until {mute.until:%Y-%m-%d %H:%M} UTC" if mute.until is not None else "until labq unmute"
    return f"{what} {mute.target}, {until}, by {mute.by}"


def mutes_of(run: Run, mutes: Sequence[Mute]) -> list[Mute]:
    """Those that silence this run."""
    about = {True: run.id, False: run.experiment}
    return [mute for mute in mutes if mute.target == about[mute.is_run]]


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"
