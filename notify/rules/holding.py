"""Which rules hold for what happened, and whom they tell. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from notify.rules.happenings import Happening
from store.errors import BadQuery
from store.logbook import warn
from store.matching import matches
from store.occasions import Occasion
from store.rules import Rule, RuleBook, Scope, When, simple_rule
from store.runs import Notify

_SCOPES, _URGENCY = list(Scope), list(When)


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """A rule and whose it is."""

    scope: Scope
    holder: str
    rule: Rule

    @property
    def label(self) -> str:
        """`weather: rule 2`, `ann: nights`, `everybody: rule 1`: what a message says of who asked for it."""
        return f"{self.holder or self.scope.value}: {self.rule.name}"

    @property
    def key(self) -> str:
        """The same for programmes: an experiment and a user may have one name."""
        return f"{self.scope}/{self.holder}/{self.rule.name}"


def holdings(
    books: Iterable[RuleBook], experiment: str, owner: str | None, notify: Notify | None = None
) -> tuple[Holding, ...]:
    """All rules for runs of this experiment and owner; of all users with None. The nearest scope comes first."""
    found = []
    simple = simple_rule(notify) if notify is not None else None
    if simple is not None:
        found.append(Holding(scope=Scope.EXPERIMENT, holder=experiment, rule=simple))
    for book in sorted(books, key=lambda book: (_SCOPES.index(book.scope), book.holder)):
        mine = {Scope.EXPERIMENT: book.holder == experiment, Scope.USER: owner in (None, book.holder)}
        if mine.get(book.scope, True):
            found += [Holding(scope=book.scope, holder=book.holder, rule=rule) for rule in book.rules]
    return tuple(found)


def asking(happening: Happening, held: Sequence[Holding], now: datetime) -> list[tuple[Holding, tuple[str, ...]]]:
    """Those who ask for it, each with whom it tells: nobody is told twice, everybody by the most urgent rule."""
    found = [one for one in held if _asks(one.rule, happening, now)]
    found.sort(key=lambda one: _URGENCY.index(one.rule.when))
    told: set[str] = set()
    asked = []
    for one in found:
        to = tuple(dict.fromkeys(name for name in one.rule.to if name not in told))
        told.update(to)
        if to:
            asked.append((one, to))
    return asked


def watches_sweeps(held: Iterable[Holding]) -> bool:
    """Whether anybody wants to know, or to be told all, when the last run has ended."""
    return any(Occasion.SWEEP_FINISHED in one.rule.on or one.rule.when is When.SWEEP for one in held)


def _asks(rule: Rule, happening: Happening, now: datetime) -> bool:
    if happening.words.isdisjoint(rule.on):
        return False
    if happening.metric and (rule.metric, rule.greatest) != (happening.metric, happening.greatest):
        return False
    if rule.where is None:
        return True
    try:
        return happening.run is not None and matches(rule.where, happening.run, now)
    except BadQuery as error:
        warn("rule-not-understood", rule=rule.name, error=error)
        return False
