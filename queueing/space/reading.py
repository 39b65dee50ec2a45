"""`[sweep.params]`, and whatever has its syntax, as a Space; all mistakes at once, each with its path.

lr    = [0.1, 0.01]                                   these values
act   = {choice = ["tanh", "relu"], weights = [3, 1]}
noise = {low = 0.01, high = 10.0, log = true}         type = "int", step = 5, num = 4
l2    = {mean = -7, sd = 2, log = true}               normal; of the logarithm with `log`
[sweep.params.optimizer]                              a nested table: params.optimizer.name
name  = ["adam", "sgd"]
beta  = {low = 0.8, high = 0.99, when = "optimizer.name == 'adam'"}
"""

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from queueing.space.domains import Choice, Domain
from queueing.space.expressions import BadExpression, Expression, all_of, parse_expression
from queueing.space.keys import SPECIFIC, read_domain
from queueing.space.names import clash, flat
from queueing.space.space import Parameter, Space
from queueing.values import Mistake, Path

DEEPEST = 8


def read_space(
    table: Mapping[str, Any], where: Sequence[str], fixed: Mapping[str, Any], at: Path = ("sweep",)
) -> tuple[Space, list[Mistake]]:
    """The space of `table` (at `(*at, "params")` in the file) and `where`; `fixed` is the table [params].

    With mistakes the space holds what could be read.
    """
    mistakes: list[Mistake] = []
    parameters = list(_parameters(table, (*at, "params"), (), mistakes))
    constraints = _constraints(where, (*at, "where"), mistakes)
    space = Space(parameters=tuple(parameters), where=tuple(constraints))
    mistakes += _clashes(space, fixed, (*at, "params"))
    mistakes += _unknown_names(space, [*flat(fixed), "seed"], at)
    if not mistakes:
        mistakes += _circles(space, (*at, "params"))
    return space, mistakes


def read_constraints(where: Sequence[str], known: Sequence[str], at: Path = ("sweep",)) -> tuple[Space, list[Mistake]]:
    """A space of constraints alone, on parameters that come from elsewhere."""
    mistakes: list[Mistake] = []
    space = Space(where=tuple(_constraints(where, (*at, "where"), mistakes)))
    return space, mistakes + _unknown_names(space, [*known, "seed"], at)


def _parameters(table: Mapping[str, Any], at: Path, above: tuple[str, ...], mistakes: list[Mistake]) -> list[Parameter]:
    found: list[Parameter] = []
    for name, spec in table.items():
        path = (*at, name)
        if not name.isidentifier():
            mistakes.append((path, "is no parameter name; allowed: letters, digits and _, no digit in front"))
        elif isinstance(spec, Mapping) and not _is_specific(spec):
            found += _nested(spec, path, (*above, name), mistakes)
        else:
            found += _one(".".join([*above, name]), spec, path, mistakes)
    return found


def _is_specific(spec: Mapping[str, Any]) -> bool:
    """A table that describes values, not one of further parameters: those are lists and tables, its keys are not."""
    return "choice" in spec or any(key in SPECIFIC and not isinstance(spec[key], list | Mapping) for key in spec)


def _nested(spec: Mapping[str, Any], path: Path, above: tuple[str, ...], mistakes: list[Mistake]) -> list[Parameter]:
    if not spec:
        mistakes.append((path, "is an empty table; allowed: a list of values, or a table with low and high, or choice"))
        return []
    if len(above) >= DEEPEST:
        mistakes.append((path, f"is nested too deeply; allowed: {DEEPEST} levels"))
        return []
    return _parameters(spec, path, above, mistakes)


def _one(name: str, spec: Any, path: Path, mistakes: list[Mistake]) -> list[Parameter]:
    if not isinstance(spec, list | Mapping):
        mistakes.append((path, _no_values(path, spec)))
        return []
    when = None
    domain: Domain | None = Choice(values=tuple(spec)) if isinstance(spec, list) else None
    if isinstance(spec, Mapping):
        when = _when(spec.get("when"), (*path, "when"), mistakes)
        domain = read_domain(spec, path, mistakes)
    elif not spec:
        mistakes.append((path, "the list is empty, so the sweep has no run; give at least one value"))
    return [Parameter(name=name, domain=domain, when=when)] if domain is not None else []


def _no_values(path: Path, spec: Any) -> str:
    said = f"is {_shown(spec)}; allowed: a list of values, or a table with low and high, or choice"
    near = get_close_matches(str(path[-1]), SPECIFIC, n=1)
    return f"{said}; did you mean {near[0]!r}?" if near and len(path) > 3 else said


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value)[:60]


# ── conditions and constraints ──
def _when(said: Any, path: Path, mistakes: list[Mistake]) -> Expression | None:
    if said is None:
        return None
    if isinstance(said, str):
        return _expression(said, path, mistakes)
    if isinstance(said, Mapping) and said:
        allowed = {name: tuple(v) if isinstance(v, list) else (v,) for name, v in flat(said).items()}
        if all(allowed.values()):
            return all_of(allowed)
    mistakes.append((path, f'is {_shown(said)}; allowed: "optimizer == \'adam\'" or {{optimizer = "adam"}}'))
    return None


def _constraints(where: Sequence[str], path: Path, mistakes: list[Mistake]) -> Iterable[Expression]:
    read = [_expression(text, (*path, i) if len(where) > 1 else path, mistakes) for i, text in enumerate(where)]
    return [one for one in read if one is not None]


def _expression(text: str, path: Path, mistakes: list[Mistake]) -> Expression | None:
    try:
        return parse_expression(text)
    except BadExpression as error:
        mistakes.append((path, f"{text[:60]!r}: {error}"))
        return None


# ── the space as a whole ──
def _clashes(space: Space, fixed: Mapping[str, Any], at: Path) -> list[Mistake]:
    known = flat(fixed)
    mistakes: list[Mistake] = []
    for parameter in space.parameters:
        name, path = parameter.name, (*at, *parameter.name.split("."))
        other = clash(name, known)
        if other == name and parameter.when is not None:
            continue  # its value where the condition does not hold
        if other == name:
            mistakes.append((path, "is given in [params] too; keep one of them"))
        elif other is not None and (other.startswith(f"{name}.") or known[other] != {}):
            mistakes.append((path, f"cannot stand beside params.{other}: one would lie in the other"))
    return mistakes


def _unknown_names(space: Space, fixed: Sequence[str], at: Path) -> list[Mistake]:
    known = [*space.names, *fixed]
    used = [((*at, "params", *one.name.split("."), "when"), one.when) for one in space.parameters if one.when]
    used += [((*at, "where"), one) for one in space.where]
    return [
        (path, f"{expression.text[:60]!r}: no parameter is named {name!r}{_guess(name, known)}")
        for path, expression in used
        for name in expression.names
        if name not in known
    ]


def _guess(name: str, known: Sequence[str]) -> str:
    near = get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; there are: {', '.join(known[:10])}"


def _circles(space: Space, at: Path) -> list[Mistake]:
    try:
        space.parents_first()
    except ValueError as error:
        return [(at, f"the conditions of {error} wait for each other")]
    return []
