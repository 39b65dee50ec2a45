"""`{lr}` and `{lr:.3e}` in a command: names of parameters, no expressions."""

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from string import Formatter
from typing import Any

BUILT_IN = ("repeat",)


def names_in(argument: str) -> list[str]:
    """The parameters an argument names. Raises ValueError for anything but plain names."""
    names = []
    for _, name, spec, conversion in _parsed(argument):
        if name is None:
            continue
        if not name or not name.isidentifier():
            raise ValueError(f"{{{name}}} is no parameter name; a literal brace is written {{{{ or }}}}")
        if conversion or (spec and ("{" in spec or re.search(r"\d{4}", spec))):
            raise ValueError(f"{{{name}…}} may hold a name and a short format only, such as {{{name}:.3e}}")
        names.append(name)
    return names


def mistakes_in(command: Sequence[str], params: Iterable[str]) -> list[str]:
    """What is wrong with the placeholders of a command, given the parameters there are."""
    known = {*params, *BUILT_IN}
    mistakes = []
    for position, argument in enumerate(command):
        try:
            unknown = [name for name in names_in(argument) if name not in known]
        except ValueError as error:
            mistakes.append(f"command[{position}] {argument!r}: {error}")
            continue
        mistakes += [
            f"command[{position}] {argument!r}: no parameter is named {name!r}{_guess(name, known)}" for name in unknown
        ]
    return mistakes


def _guess(name: str, known: set[str]) -> str:
    near = get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; there are: {', '.join(sorted(known)[:20])}"


def fill(command: Sequence[str], params: Mapping[str, Any], repeat: int) -> list[str]:
    """The command with its parameters in place. Raises ValueError when a format does not fit its value."""
    values = {"repeat": repeat, **{name: _written(value) for name, value in params.items()}}
    filled = []
    for argument in command:
        try:
            filled.append(argument.format_map(values))
        except (ValueError, TypeError, OverflowError) as error:
            raise ValueError(f"{argument!r}: the format does not fit the value: {error}") from error
    return filled


def _parsed(argument: str) -> list[tuple[str, str | None, str | None, str | None]]:
    try:
        return list(Formatter().parse(argument))
    except ValueError as error:
        raise ValueError(f"{error}; a literal brace is written {{{{ or }}}}") from error


def _written(value: Any) -> Any:
    """Booleans as `true`/`false`, as the experiment file writes them."""
    return str(value).lower() if isinstance(value, bool) else value
