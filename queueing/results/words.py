"""Cells in words: short ones for people to read, exact ones for names. Pure."""

import math
from collections.abc import Callable
from datetime import datetime
from typing import Any

from queueing.results.table import Kind, Mean, Measured, Median
from queueing.units import format_duration
from store.runs import short

MISSING = "–"
DIGITS = 4
Numeral = Callable[[float], str]


def plain_words(value: Any) -> str:
    """Exact and short: `1e-05`, `true`, `tanh`."""
    if value is None:
        return MISSING
    return str(value).lower() if isinstance(value, bool) else str(value)


def numeral(digits: int) -> Numeral:
    """So many significant digits: `0.1789`, `nan`, `inf`."""
    return lambda value: f"{value:.{digits}g}"


def spread_words(value: float, number: Numeral) -> str:
    """Of how far values lie apart two digits say all."""
    return number(float(f"{value:.2g}"))


def cell_words(value: Any, kind: Kind, number: Numeral, missing: str = MISSING) -> str:
    """What a person reads. `number` writes a number."""
    if value is None:
        return missing
    if isinstance(value, Measured):
        return _measured_words(value, number)
    if isinstance(value, Mean):
        spread = "" if value.half_width is None else f" ± {spread_words(value.half_width, number)}"
        return f"{number(value.mean)}{spread} (n={value.n})"
    if isinstance(value, Median):
        return f"{number(value.median)} [{number(value.q1)}, {number(value.q3)}] (n={value.n})"
    if kind is Kind.SECONDS:
        return format_duration(value)
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, float):
        return number(value)
    return plain_words(value)


def is_numeric(kind: Kind) -> bool:
    """Whether the column is set flush right."""
    return kind not in (Kind.TEXT, Kind.TIME, Kind.ANY, Kind.FLAG)


def id_words(name: str, value: Any) -> Any:
    """Ids as tables of the terminal show them."""
    return short(value) if name == "run" and isinstance(value, str) else value


def _measured_words(value: Measured, number: Numeral) -> str:
    """`0.1789 @120 → 0.1902 @400`: best, then last where that is another point."""
    if value.best is None or (math.isnan(value.best) and value.best_step is None):
        return number(value.last)
    best = f"{number(value.best)} @{value.best_step}"
    if value.best_step == value.last_step:
        return best
    return f"{best} → {number(value.last)} @{value.last_step}"
