"""`[notify]` of an experiment file: the rules in it, and those in a file that it names."""

from collections.abc import Sequence
from pathlib import Path

from queueing.experiment_file import ExperimentFile
from queueing.rules.reading import Defaults, read_rules, read_rules_file
from queueing.values import Mistake
from store.errors import BadExperiment
from store.occasions import Occasion
from store.query import Names
from store.rules import Rule
from store.settings import Settings


def read_notify(
    file: ExperimentFile, folder: Path, settings: Settings, params: Sequence[str]
) -> tuple[tuple[Rule, ...], list[Mistake], list[str]]:
    """The rules, the mistakes in this file, and those in the other one."""
    notify = file.notify
    known = Names(params=frozenset(params), complete=False)
    defaults = Defaults(to=tuple(notify.to) or settings.notify_to, zone=settings.time_zone)
    rules, mistakes = read_rules(notify.rule, ("notify", "rule"), defaults, known)
    if Occasion.BEST_SO_FAR in notify.on:
        mistakes.append((("notify", "on"), "best-so-far needs a metric: write [[notify.rule]] with on and metric"))
    if notify.rules is None:
        return rules, mistakes, []
    try:
        others = read_rules_file(_place(folder, notify.rules), defaults, known)
    except BadExperiment as error:
        return rules, mistakes, [f"notify.rules: {error.source}: {said}" for said in error.mistakes]
    names = {rule.name for rule in rules}
    twice = [rule.name for rule in others if rule.name in names]
    if twice:
        mistakes.append((("notify", "rules"), f"has a rule {twice[0]!r} as this file does; give both a `name`"))
    return (*rules, *others), mistakes, []


def _place(folder: Path, said: str) -> Path:
    try:
        return folder / Path(said).expanduser()
    except RuntimeError:
        return folder / said
