"""The rules of a file against what it says elsewhere: parameters, recipients, what the trainer accepts."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from queueing.expand import Definition, expanded
from queueing.experiment_file import ExperimentFile
from queueing.remedies.change import new_values, with_values
from queueing.remedies.table import Do, mistakes_in_rules, rules_of
from queueing.space.names import flat
from queueing.sweep.block import Block
from queueing.values import Mistake
from store.settings import Settings

_POINTS_TRIED = 1000
"""Of each sweep: whether a parameter is a number shows in the first ones."""
_RUNS_TRIED = 100


def remedy_mistakes(file: ExperimentFile, blocks: Sequence[Block], settings: Settings) -> list[Mistake]:
    """What is wrong with `[[diagnosis]]`, each mistake with its path."""
    if not file.diagnosis:
        return []
    return mistakes_in_rules(
        file.diagnosis,
        _values(file, blocks),
        has_optimizer=file.optimizer is not None,
        has_recipients=bool(file.notify.to or settings.notify_to),
    )


def changed_params(definition: Definition) -> Iterator[dict[str, Any]]:
    """What runs would be tried with after a finding: of the first runs, under each rule."""
    rules = [rule for rule in rules_of(definition.diagnosis) if rule.do is Do.REQUEUE]
    for one in islice(expanded(definition), _RUNS_TRIED) if rules else ():
        for rule in rules:
            yield with_values(one.params, new_values(one.params, rule.change))


def _values(file: ExperimentFile, blocks: Sequence[Block]) -> dict[str, list[Any]]:
    """Of each parameter, some that it may have. One that a sweep varies has those of the sweep."""
    swept: dict[str, list[Any]] = defaultdict(list)
    for block in blocks:
        for number in islice(block.points.numbers, _POINTS_TRIED):
            for name, value in block.points.point(number).values.items():
                swept[name].append(value)
        if block.repeat > 1:
            swept["seed"].append(0)
    return {name: [value] for name, value in flat(file.params).items() if name not in swept} | dict(swept)
