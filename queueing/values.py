"""What the values of an experiment may be: whatever JSON and MongoDB can both hold, within bounds."""

import math
from collections.abc import Iterator
from typing import Any

Path = tuple[str | int, ...]
Mistake = tuple[Path, str]

MOST_VALUES = 500_000
DEEPEST = 32
INT64 = 2**63


def mistakes_in_values(table: dict[str, Any]) -> list[Mistake]:
    """Every value that cannot be kept, with its path. Stops counting at `MOST_VALUES`, so an alias bomb ends early."""
    found: list[Mistake] = []
    for count, (path, value) in enumerate(_walk(table, ())):
        if count >= MOST_VALUES:
            return [*found, ((), f"holds more than {MOST_VALUES} values")]
        if len(path) > DEEPEST:
            return [*found, (path[:3], f"is nested too deeply; allowed: {DEEPEST} levels")]
        if said := _mistake(value):
            found.append((path, said))
    return found


def _walk(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    """The value and everything in it, keys included, without recursion: a table may contain itself."""
    waiting = [(path, value)]
    while waiting:
        path, value = waiting.pop()
        yield path, value
        if len(path) > DEEPEST:
            continue
        if isinstance(value, dict):
            waiting += [((*path, str(key)), item) for key, item in reversed(value.items())]
            yield from (((*path, "?"), _Key(key)) for key in value)
        elif isinstance(value, list):
            waiting += [((*path, position), item) for position, item in reversed(list(enumerate(value)))]


class _Key:
    """A key on its way through `_mistake`."""

    def __init__(self, value: Any) -> None:
        self.value = value


def _mistake(value: Any) -> str:
    if isinstance(value, _Key):
        return _key_mistake(value.value)
    if isinstance(value, str):
        return _text_mistake(value)
    if isinstance(value, float):
        return "" if math.isfinite(value) else f"is {value}; allowed: finite numbers"
    if isinstance(value, int):
        return "" if -INT64 <= value < INT64 else "is a number of more than 64 bits"
    if value is None or isinstance(value, dict | list):
        return ""
    return f"is a {type(value).__name__}; write dates, times and the like as a text in quotes"


def _key_mistake(key: Any) -> str:
    if not isinstance(key, str):
        return f"key {key!r} is no text; write it in quotes"
    if not key or key.startswith("$") or "." in key:
        return f"key {key[:60]!r}: allowed: no '.', no '$' in front, not empty"
    return _text_mistake(key)


def _text_mistake(text: str) -> str:
    if "\0" in text:
        return "holds a NUL character"
    return "" if text.isascii() or not any("\ud800" <= c <= "\udfff" for c in text) else "holds half a character"
