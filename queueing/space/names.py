"""Nested tables and dotted names: `{"optimizer": {"lr": 0.1}}` and `{"optimizer.lr": 0.1}`."""

from collections.abc import Iterable, Mapping
from typing import Any


def flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Every value that is no table, and every empty table, under its dotted name."""
    found: dict[str, Any] = {}
    for name, value in table.items():
        if isinstance(value, Mapping) and value:
            found.update(flat(value, f"{prefix}{name}."))
        else:
            found[prefix + name] = value
    return found


def placed(fixed: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """The fixed table with these dotted names put into place. Only the tables on the way are copied."""
    made = dict(fixed)
    fresh: set[str] = set()
    for name, value in values.items():
        if "." not in name:
            made[name] = value
        else:
            _place(made, name, value, fresh)
    return made


def _place(made: dict[str, Any], name: str, value: Any, fresh: set[str]) -> None:
    *parents, last = name.split(".")
    table, path = made, ""
    for parent in parents:
        path += f"{parent}."
        if path not in fresh:
            inner = table.get(parent)
            table[parent] = dict(inner) if isinstance(inner, Mapping) else {}
            fresh.add(path)
        table = table[parent]
    table[last] = value


def clash(name: str, others: Iterable[str]) -> str | None:
    """The first other name that cannot stand beside this one: the same, or a table that holds it or lies in it."""
    return next(
        (other for other in others if other == name or other.startswith(f"{name}.") or name.startswith(f"{other}.")),
        None,
    )
