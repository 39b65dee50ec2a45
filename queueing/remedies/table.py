"""`[[diagnosis]]`: what is done about which findings. Checked with the experiment file."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from difflib import get_close_matches
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from queueing.remedies.change import ALLOWED, changed, read_change
from queueing.values import Mistake
from store.findings import Disease, Finding, Severity
from store.runs import Notify


class Do(StrEnum):
    """What is done, the mildest first."""

    WARN = "warn"
    """It is shown, like every finding."""
    MAIL = "mail"
    STOP = "stop"
    REQUEUE = "requeue"
    """It is stopped, and a new run begins with changed parameters."""


def _one_or_many(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _chosen(kind: type[StrEnum]) -> BeforeValidator:
    def check(value: object) -> StrEnum:
        if isinstance(value, str) and value in list(kind):
            return kind(value)
        near = get_close_matches(str(value), list(kind), n=1)
        meant = f"; did you mean {str(near[0])!r}?" if near else ""
        raise ValueError(f"allowed: {', '.join(kind)}{meant}")

    return BeforeValidator(check)


class RemedyTable(BaseModel):
    """One rule. `severity`: at least so severe. `most`: how often runs of one line are followed by a changed one."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    on: Annotated[
        list[Annotated[Disease, _chosen(Disease)]], BeforeValidator(_one_or_many), Field(min_length=1, max_length=50)
    ]
    do: Annotated[Do, _chosen(Do)]
    severity: Annotated[Severity, _chosen(Severity)] = Severity.WARNING
    change: dict[str, Any] = Field(default_factory=dict)
    most: Annotated[int, Field(ge=1, le=100)] = 1

    def is_about(self, finding: Finding) -> bool:
        """Whether the finding calls for it."""
        return finding.disease in self.on and finding.severity.rank >= self.severity.rank


def rules_of(tables: Sequence[dict[str, Any]]) -> tuple[RemedyTable, ...]:
    """Rules that were checked before they were stored. Raises ValueError when a newer labq has stored them."""
    return tuple(RemedyTable.model_validate(table) for table in tables)


def told_of(notify: Notify, rules: Sequence[RemedyTable]) -> Notify:
    """Rules that mail are as if `[notify]` named their diseases."""
    diseases = [disease.value for rule in rules if rule.do is Do.MAIL for disease in rule.on]
    return replace(notify, on=tuple(dict.fromkeys((*notify.on, *diseases))))


def mistakes_in_rules(
    rules: Sequence[RemedyTable], values: dict[str, list[Any]], *, has_optimizer: bool, has_recipients: bool
) -> list[Mistake]:
    """What is wrong with rules whose keys are each fine. `values`: some that each parameter (dotted name) may have."""
    found: list[Mistake] = []
    for number, rule in enumerate(rules):
        at = ("diagnosis", number)
        if rule.do is Do.REQUEUE:
            found += _requeue_mistakes(rule, values, at, has_optimizer=has_optimizer)
        else:
            extra = [name for name in ("change", "most") if name in rule.model_fields_set]
            found += [
                ((*at, name), f'goes with do = "requeue", and this rule does {rule.do.value!r}') for name in extra
            ]
        if rule.do is Do.MAIL and not has_recipients:
            found.append(((*at, "do"), 'is "mail", and nobody is named; add [notify] with to = ["you@lab.org"]'))
    return found


def _requeue_mistakes(
    rule: RemedyTable, values: dict[str, list[Any]], at: tuple[str | int, ...], *, has_optimizer: bool
) -> Iterable[Mistake]:
    if has_optimizer:
        yield (*at, "do"), 'is "requeue", and [optimizer] makes the runs of this experiment; allowed: warn, mail, stop'
    if not rule.change:
        said = 'is missing; what should be different? such as change = {learning_rate = "/ 10"}'
        yield (*at, "change"), said
    for name, change in rule.change.items():
        if said := _change_mistake(name, change, values):
            yield (*at, "change", name), said


def _change_mistake(name: str, change: Any, values: dict[str, list[Any]]) -> str:
    if name not in values:
        near = get_close_matches(name, list(values), n=1)
        meant = f"; did you mean {str(near[0])!r}?" if near else ""
        return f"is no parameter of this experiment{meant}; there are: {', '.join(values) or 'none'}"
    if isinstance(change, dict | list):
        return f"is a table or a list; allowed: {ALLOWED}"
    try:
        read_change(change)
    except ValueError as error:
        return f"{change!r} {error}"
    try:
        for old in values[name]:
            changed(old, change)
    except ValueError as error:
        return f"is {change!r}, and the parameter {error}"
    return ""
