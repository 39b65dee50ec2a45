"""The `if` of a rule. Names that are neither fields nor parameters are metrics: none may be reported yet."""

from collections.abc import Iterator
from datetime import UTC, datetime
from difflib import get_close_matches

from queueing.query.fields import ALIASES
from queueing.query.meaning import condition
from queueing.query.mistake import mistake
from queueing.query.parser import parse
from queueing.query.syntax import Name
from queueing.query.values import Context
from queueing.stopping.threshold import names_in
from store.errors import BadQuery
from store.identity import user_name
from store.query import Compared, Condition, Names, walk

_ALIKE = 0.8
"""A name so much like one that is known is taken for a slip; `last.NAME` says that it is a metric all the same."""


def condition_of(text: str, known: Names) -> Condition:
    """What is asked of a run. Raises BadQuery, with what was probably meant."""
    tree = parse(text)
    if tree is None:
        raise BadQuery("the condition is empty; leave `if` out to be told of every run")
    unknown = [name for name in names_in(tree) if not _is_known(name, known)]
    for name in unknown:
        _refuse_slips(text, name, known)
    metrics = known.metrics | {"/".join(name.parts) for name in unknown}
    names = Names(metrics=metrics, params=known.params, complete=False)
    found = condition(text, tree, names, Context(now=datetime.now(UTC), me=user_name(), zone=None))
    if any(isinstance(value, datetime) for value in _values(found)):
        raise BadQuery(f"{text!r} names a moment, but a rule holds for long; ask for durations: running_time > 2h")
    return found


def _is_known(name: Name, known: Names) -> bool:
    return name.text.lower() in ALIASES or name.text in known.params or "/".join(name.parts) in known.metrics


def _refuse_slips(text: str, name: Name, known: Names) -> None:
    if len(name.parts) > 1:
        return
    near = get_close_matches(name.text, [*ALIASES, *known.params, *known.metrics], n=1, cutoff=_ALIKE)
    if near:
        said = f"unknown name {name.text!r}, did you mean {near[0]!r}? If it is a metric: last.{name.text}"
        raise mistake(text, name.span, said)


def _values(found: Condition) -> Iterator[object]:
    for part in walk(found):
        if isinstance(part, Compared):
            yield part.value
