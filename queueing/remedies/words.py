"""Rules as people read them."""

from collections.abc import Sequence
from typing import Any

from queueing.remedies.table import Do, RemedyTable, rules_of
from store.findings import Severity


def remedy_words(tables: Sequence[dict[str, Any]]) -> list[str]:
    """One line per rule."""
    return [_words(rule) for rule in rules_of(tables)]


def _words(rule: RemedyTable) -> str:
    least = "" if rule.severity is Severity.NOTE else f" ({rule.severity}{'' if _is_worst(rule) else ' or worse'})"
    return f"{' or '.join(rule.on)}{least}: {_done(rule)}"


def _is_worst(rule: RemedyTable) -> bool:
    return rule.severity is Severity.SEVERE


def _done(rule: RemedyTable) -> str:
    if rule.do is Do.REQUEUE:
        change = ", ".join(f"{name} {_how(value)}" for name, value in rule.change.items())
        often = "once" if rule.most == 1 else f"{rule.most} times at most"
        return f"stop, and try anew with {change}, {often}"
    return {Do.WARN: "show it", Do.MAIL: "mail", Do.STOP: "stop"}[rule.do]


def _how(value: Any) -> str:
    text = str(value).strip()
    return text if isinstance(value, str) and text[:1] in ("*", "/", "+", "-") else f"= {value}"
