"""Which row comes first. Pure."""

import math
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from queueing.results.table import Mean, Measured, Median

Key = tuple[Any, ...]


def best_first(values: Iterable[Any], *, descending: bool) -> list[int]:
    """Positions in order: numbers, then texts, then NaN; what is missing comes last, whichever way round."""
    ranked = sorted((_rank(_number(value), descending=descending), place) for place, value in enumerate(values))
    return [place for _, place in ranked]


def rising(value: Any) -> Key:
    """The place of a parameter's value: numbers by size, then all else by its text."""
    return _rank(value, descending=False)


def _number(value: Any) -> Any:
    """What stands for a cell with several figures."""
    if isinstance(value, Measured):
        return value.best
    if isinstance(value, Mean):
        return value.mean
    return value.median if isinstance(value, Median) else value


def _rank(value: Any, *, descending: bool) -> Key:
    if value is None:
        return (3,)
    if isinstance(value, datetime):
        value = value.timestamp()
    if isinstance(value, int | float) and not isinstance(value, bool):
        if math.isnan(value):
            return (2,)
        return (0, -value if descending else value)
    text = str(value)
    return (1, tuple(-ord(letter) for letter in text) if descending else text)
