"""`change = {learning_rate = "/ 10"}`: how a parameter differs in the run that comes after. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, DecimalException
from typing import Any

from queueing.space.names import flat, placed

_OPERATION = re.compile(r"\s*([*/+-])\s*([0-9]+\.?[0-9]*(?:[eE][+-]?[0-9]{1,3})?|\.[0-9]+(?:[eE][+-]?[0-9]{1,3})?)\s*")
ALLOWED = 'a value, or a text such as "/ 10", "* 0.1", "+ 1" and "- 1"'


@dataclass(frozen=True, slots=True)
class Operation:
    """`sign` is one of * / + -"""

    sign: str
    number: Decimal


def read_change(value: Any) -> Operation | Any:
    """An operation where it is written as one, else the new value itself. Raises ValueError."""
    if not isinstance(value, str) or not value.strip() or value.strip()[0] not in "*/+-":
        return value
    found = _OPERATION.fullmatch(value)
    if found is None:
        if value.strip()[0] in "+-":
            return value  # a text that happens to begin so
        raise ValueError(f"is no change by a number; allowed: {ALLOWED}")
    operation = Operation(found[1], Decimal(found[2]))
    if operation.sign == "/" and not operation.number:
        raise ValueError(f"divides by nought; allowed: {ALLOWED}")
    return operation


def changed(old: Any, change: Any) -> Any:
    """The new value: decimal, so that a tenth of 0.1 is 0.01; a whole number stays one where it can.

    Raises ValueError: no number, or a result that is none.
    """
    operation = read_change(change)
    if not isinstance(operation, Operation):
        return operation
    if isinstance(old, bool) or not isinstance(old, int | float):
        raise ValueError(f"is {old!r}, which is no number")
    try:
        made = _worked_out(Decimal(repr(old)), operation)
        number = float(made)
    except (DecimalException, OverflowError) as error:
        raise ValueError(f"is {old!r}, which cannot be changed by {change!r}") from error
    if number - number != 0:
        raise ValueError(f"is {old!r}, which makes {number} of it")
    return int(made) if isinstance(old, int) and made == made.to_integral_value() and abs(made) < 2**62 else number


def _worked_out(old: Decimal, operation: Operation) -> Decimal:
    match operation.sign:
        case "*":
            return old * operation.number
        case "/":
            return old / operation.number
        case "+":
            return old + operation.number
    return old - operation.number


def new_values(params: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """Of each changed parameter (dotted name) its new value. Raises ValueError with the name."""
    old = flat(params)
    made: dict[str, Any] = {}
    for name, value in change.items():
        if name not in old:
            raise ValueError(f"{name}: is no parameter of the run")
        try:
            made[name] = changed(old[name], value)
        except ValueError as error:
            raise ValueError(f"{name} {error}") from error
    return made


def with_values(params: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters with these in place."""
    return placed(params, values)
