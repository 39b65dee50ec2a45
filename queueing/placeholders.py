"""`{lr}` and `{lr:.3e}` in a command, `{optimizer.lr}` for a nested parameter: names, no expressions."""

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from functools import lru_cache
from string import Formatter
from typing import Any

from queueing.space.names import flat

BUILT_IN = ("repeat",)
FILES = ("template", "files")
"""Where there are templates: the path of the first one's copy, and the folder of all copies."""


def names_in(argument: str) -> list[str]:
    """The parameters an argument names. Raises ValueError for anything but plain names."""
    names = []
    for _, name, spec, conversion in _parsed(argument):
        if name is None:
            continue
        if conversion:
            raise ValueError(f"{{{name}!{conversion}}} may hold a name and a short format only, such as {{{name}:.3e}}")
        check_field(name, spec or "")
        names.append(name)
    return names


def check_field(name: str, spec: str) -> None:
    """Raises ValueError for anything but a plain or dotted name and a short format."""
    if not name or not all(part.isidentifier() for part in name.split(".")):
        raise ValueError(f"{{{name}}} is no parameter name; a literal brace is written {{{{ or }}}}")
    if "{" in spec or re.search(r"\d{4}", spec):
        raise ValueError(f"{{{name}…}} may hold a name and a short format only, such as {{{name}:.3e}}")


def mistakes_in(command: Sequence[str], params: Iterable[str], key: str = "command") -> list[str]:
    """What is wrong with the placeholders of a command, given the (dotted) names of the parameters there are."""
    known = {*params, *BUILT_IN}
    mistakes = []
    for position, argument in enumerate(command):
        try:
            unknown = [name for name in names_in(argument) if name not in known]
        except ValueError as error:
            mistakes.append(f"{key}[{position}] {argument!r}: {error}")
            continue
        mistakes += [
            f"{key}[{position}] {argument!r}: no parameter is named {name!r}{guess(name, known)}" for name in unknown
        ]
    return mistakes


def guess(name: str, known: Iterable[str]) -> str:
    """What may have been meant."""
    there = sorted(known)
    near = get_close_matches(name, there, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; there are: {', '.join(there[:20])}"


def fill(
    command: Sequence[str], params: Mapping[str, Any], repeat: int, paths: Mapping[str, str] | None = None
) -> list[str]:
    """The command with its parameters in place, and `paths` for the placeholders of FILES.

    Raises ValueError when a parameter is absent or a format does not fit its value.
    """
    if not any("{" in argument or "}" in argument for argument in command):
        return list(command)
    values = {**values_of(params, repeat), **(paths or {})}
    return [_filled(argument, values) for argument in command]


def values_of(params: Mapping[str, Any], repeat: int) -> dict[str, Any]:
    """What placeholders may name: parameters, what is nested in them under dotted names, and `repeat`."""
    values = {"repeat": repeat, **params}
    if any(isinstance(value, Mapping) for value in params.values()):
        values.update(flat(params))
    return values


def formatted(values: Mapping[str, Any], name: str, spec: str, shown: str) -> str:
    """One value, as the field `shown` wants it. Raises ValueError."""
    if name not in values:
        raise ValueError(f"{shown!r}: there is no {name} in the configuration {_short(values)}")
    try:
        return format(_written(values[name]), spec)
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"{shown!r}: the format does not fit the value: {error}") from error


def _short(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} = {value!r}" for name, value in values.items() if name not in BUILT_IN)[:200]


def _filled(argument: str, values: Mapping[str, Any]) -> str:
    return "".join(
        literal + ("" if name is None else formatted(values, name, spec or "", argument))
        for literal, name, spec, _ in _parsed(argument)
    )


@lru_cache(maxsize=256)
def _parsed(argument: str) -> tuple[tuple[str, str | None, str | None, str | None], ...]:
    try:
        return tuple(Formatter().parse(argument))
    except ValueError as error:
        raise ValueError(f"{error}; a literal brace is written {{{{ or }}}}") from error


def _written(value: Any) -> Any:
    """Booleans as `true`/`false`, as the experiment file writes them."""
    return str(value).lower() if isinstance(value, bool) else value
