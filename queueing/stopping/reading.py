"""`[stopping]`: one rule in the table itself, or several as `[[stopping.rules]]`; all mistakes at once."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from queueing.mistakes import findings
from queueing.stopping.rules import (
    KINDS,
    MOST_RULES,
    Common,
    Hyperband,
    Ladder,
    Minimum,
    Model,
    Rule,
    Stopping,
    Threshold,
)
from queueing.stopping.rungs import brackets
from queueing.stopping.threshold import condition_of
from queueing.values import Mistake, Path
from store.directions import greater_is_better
from store.errors import BadQuery

_SHARED = tuple(Common.model_fields)


def read_stopping(
    table: Mapping[str, Any], params: Iterable[str] = (), at: Path = ("stopping",)
) -> tuple[Stopping | None, list[Mistake]]:
    """The rules, or None with what is wrong; each mistake with its path. `params`: names that are no metrics."""
    mistakes: list[Mistake] = []
    shared = _checked(Common, {key: value for key, value in table.items() if key in _SHARED}, at, mistakes)
    known = frozenset(params)
    read = [_rule(entry, path, known, mistakes) for entry, path in _entries(table, at, mistakes)]
    rules = _named(rule for rule in read if rule is not None)
    if isinstance(shared, Common):
        mistakes += _together(shared, rules, at)
    if mistakes or not isinstance(shared, Common):
        return None, mistakes
    return _stopping(shared, rules), []


def stopping_of(table: Mapping[str, Any]) -> Stopping:
    """Rules that were checked before they were stored. Raises ValueError when a newer labq has stored them."""
    stopping, mistakes = read_stopping(table)
    if stopping is None:
        raise ValueError(f"rules that this labq does not understand: {mistakes[0][1]}")
    return stopping


def _stopping(shared: Common, rules: dict[str, Rule]) -> Stopping:
    metric = shared.metric or ""
    direction = shared.direction or ("max" if greater_is_better(metric) else "min")
    said = {"metric": metric, "direction": direction, "by": shared.by, "value": shared.value}
    text = json.dumps({**said, "rules": {name: rule.model_dump() for name, rule in rules.items()}}, sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    return Stopping(
        metric=metric, direction=direction, by=shared.by, value=shared.value, rules=dict(rules), digest=digest
    )


def _entries(table: Mapping[str, Any], at: Path, mistakes: list[Mistake]) -> list[tuple[Mapping[str, Any], Path]]:
    own = {key: value for key, value in table.items() if key not in (*_SHARED, "rules")}
    listed = table.get("rules")
    if listed is None:
        return [(own, at)]
    if own:
        mistakes.append(((*at, next(iter(own))), "is beside stopping.rules; put it into one of them"))
    if not isinstance(listed, list) or not 0 < len(listed) <= MOST_RULES:
        mistakes.append(((*at, "rules"), f"allowed: a list of 1 to {MOST_RULES} tables: [[stopping.rules]]"))
        return []
    return [(entry, (*at, "rules", number)) for number, entry in enumerate(listed)]


def _rule(entry: Any, path: Path, params: frozenset[str], mistakes: list[Mistake]) -> Rule | None:
    if not isinstance(entry, Mapping):
        mistakes.append((path, 'allowed: a table such as {rule = "median", grace = 10}'))
        return None
    kind = entry.get("rule")
    if not isinstance(kind, str) or kind not in KINDS:
        near = get_close_matches(str(kind), KINDS, n=1)
        said = "is missing" if kind is None else f"is {str(kind)[:60]!r}"
        meant = f"; did you mean {near[0]!r}?" if near else ""
        mistakes.append(((*path, "rule"), f"{said}{meant}; allowed: {', '.join(KINDS)}"))
        return None
    read: Rule | None = _checked(KINDS[kind], dict(entry), path, mistakes)
    if read is None:
        return None
    mistakes += [((*path, key), said) for key, said in _alone(read, params)]
    return read


def _checked(model: type[Any], values: dict[str, Any], at: Path, mistakes: list[Mistake]) -> Any:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        shared = _SHARED if model is not Common and "rules" not in at else ()
        mistakes += [((*at, *path), said) for path, said in findings(error, model, shared)]
        return None


def _alone(rule: Model, params: frozenset[str]) -> list[tuple[str, str]]:
    """What is wrong with a rule whose keys are each fine."""
    if isinstance(rule, Threshold):
        try:
            condition_of(rule.when, params)
        except BadQuery as error:
            return [("when", str(error))]
    if isinstance(rule, Ladder) and rule.max is not None and rule.max <= rule.min:
        return [("max", f"is {rule.max:g}; allowed: more than min, which is {rule.min:g}")]
    if isinstance(rule, Hyperband) and len(brackets(rule)) < 2:
        return [("max", f"is {rule.max:g}, which leaves one bracket; allowed: at least min * eta")]
    if isinstance(rule, Hyperband) and rule.synchronous and rule.promote:
        return [("promote", "is part of synchronous halving; leave it out")]
    return []


def _named(rules: Iterable[Rule]) -> dict[str, Rule]:
    """By its kind; further ones of a kind with a number."""
    named: dict[str, Rule] = {}
    for rule in rules:
        same = sum(name.split("#")[0] == rule.rule for name in named)
        named[f"{rule.rule}#{same + 1}" if same else rule.rule] = rule
    return named


def _together(shared: Common, rules: Mapping[str, Rule], at: Path) -> list[Mistake]:
    mistakes: list[Mistake] = []
    if shared.metric is None and any(not isinstance(rule, Threshold) for rule in rules.values()):
        mistakes.append(((*at, "metric"), "is missing; which metric says how good a run is?"))
    if shared.metric is not None and shared.by == shared.metric:
        mistakes.append(
            ((*at, "by"), f'is the metric itself; allowed: "{"step"}", "reports" or a metric such as epoch')
        )
    if shared.direction == "max" and any(isinstance(rule, Minimum) for rule in rules.values()):
        mistakes.append(((*at, "direction"), "is max; the rule minimum is about a loss, which is minimized"))
    held = [name for name, rule in rules.items() if isinstance(rule, Ladder)]
    if len(held) > 1:
        mistakes.append(((*at, "rules"), f"has {' and '.join(held)}; allowed: one of asha, halving and hyperband"))
    return mistakes
