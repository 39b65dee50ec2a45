"""From tables to rules: every mistake is found, and named with its place."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError

from queueing.mistakes import at, sentences, shortened
from queueing.reading import read_file
from queueing.rules.conditions import condition_of
from queueing.rules.table import RulesFile, RuleTable, split_every
from queueing.rules.zones import local_zone
from queueing.values import Mistake
from store.directions import greater_is_better
from store.errors import BadExperiment, BadQuery
from store.occasions import ABOUT_NO_RUN, Occasion
from store.query import Names
from store.rules import DEFAULT_RATE, MORNING, Quiet, Rate, Rule, When

_BEST = Occasion.BEST_SO_FAR.value
NOTHING_KNOWN = Names(complete=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What a rule means that does not say it."""

    to: tuple[str, ...] = ()
    zone: str = ""
    quiet: Quiet | None = None
    at_most: Rate = DEFAULT_RATE


def read_rules_file(path: Path, defaults: Defaults, known: Names) -> tuple[Rule, ...]:
    """Raises BadExperiment with all mistakes and their lines."""
    table, text = read_file(path)
    is_toml = path.suffix.lower() == ".toml"
    try:
        file = RulesFile.model_validate(table)
    except ValidationError as error:
        raise BadExperiment(str(path), shortened(sentences(error, RulesFile, text, is_toml=is_toml))) from error
    defaults = replace(
        defaults,
        to=tuple(file.to) or defaults.to,
        zone=file.zone or defaults.zone,
        quiet=file.quiet or defaults.quiet,
        at_most=file.at_most or defaults.at_most,
    )
    rules, mistakes = read_rules(file.rule, ("rule",), defaults, known)
    if mistakes:
        raise BadExperiment(str(path), shortened([at(place, said, text, is_toml=is_toml) for place, said in mistakes]))
    return rules


def read_rules(
    tables: Sequence[RuleTable], place: tuple[str | int, ...], defaults: Defaults, known: Names
) -> tuple[tuple[Rule, ...], list[Mistake]]:
    """The rules of these tables, which stand at that place of a file."""
    rules: list[Rule] = []
    mistakes: list[Mistake] = []
    for number, table in enumerate(tables):
        rule, found = _rule(table, number, defaults, known)
        mistakes += [((*place, number, key), said) for key, said in found]
        if rule.name in {other.name for other in rules}:
            mistakes.append(((*place, number, "name"), f"is {rule.name!r}; another rule has this name"))
        rules.append(rule)
    return tuple(rules), mistakes


def _rule(table: RuleTable, number: int, defaults: Defaults, known: Names) -> tuple[Rule, list[tuple[str, str]]]:
    on, every_s = split_every(table.on)
    when, at_minute = table.when if isinstance(table.when, tuple) else (When.AT_ONCE, None)
    mistakes = _wrong_together(table, on)
    where = None
    if table.condition is not None and not mistakes:
        try:
            where = condition_of(table.condition, known)
        except BadQuery as error:
            mistakes.append(("if", str(error)))
    to = tuple(dict.fromkeys(table.to)) or defaults.to
    if not to:
        mistakes.append(("to", "is missing, and so is the setting notify_to; nobody would be told"))
    metric = table.metric or ""
    rule = Rule(
        name=table.name or f"rule {number + 1}",
        on=on,
        to=to,
        every_s=every_s,
        metric=metric,
        greatest=table.better == "greater" if table.better else greater_is_better(metric),
        where=where,
        said=table.condition or "",
        when=when,
        at_minute=MORNING if at_minute is None else at_minute,
        quiet=table.quiet or defaults.quiet,
        zone=table.zone or defaults.zone or local_zone(),
        at_most=table.at_most or defaults.at_most,
        with_history="history" in table.attach,
    )
    return rule, mistakes


def _wrong_together(table: RuleTable, on: Sequence[str]) -> list[tuple[str, str]]:
    """What is fine by itself and makes no sense together."""
    mistakes = []
    if _BEST in on and table.metric is None:
        mistakes.append(("metric", f'is missing; {_BEST} is meant of a metric: metric = "val_loss"'))
    if _BEST not in on and (table.metric is not None or table.better is not None):
        mistakes.append(("metric" if table.metric else "better", f"is for {_BEST} alone; other rules ask with `if`"))
    no_run = [word for word in on if word in ABOUT_NO_RUN]
    if table.condition is not None and no_run:
        mistakes.append(("if", f"asks about a run, and {no_run[0]} is about none; give it a rule of its own"))
    return mistakes
