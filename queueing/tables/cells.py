"""What a cell holds, and how it is called: `Sheet1!C7`."""

import math
import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Any

from queueing.values import INT64

_WHOLE = re.compile(r"[+-]?(?:0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_LEADING_ZERO = re.compile(r"[+-]?0[0-9]")
_WORDS = {"true": True, "false": False}


class Kind(StrEnum):
    """What a column holds."""

    NUMBER = "number"
    BOOL = "bool"
    TEXT = "text"
    ANY = "any"


@dataclass(frozen=True, slots=True)
class Trouble:
    """A cell that has no value of ours."""

    said: str


def cell_name(sheet: str, column: int, row: int) -> str:
    """`Sheet1!C7`, or `C7` where there is one sheet only; both count from 1."""
    letters = ""
    while column:
        column, letter = divmod(column - 1, 26)
        letters = chr(ord("A") + letter) + letters
    if not sheet:
        return f"{letters}{row}"
    quoted = sheet if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.]*", sheet) else "'" + sheet.replace("'", "''") + "'"
    return f"{quoted}!{letters}{row}"


def from_text(text: str) -> Any:
    """A cell of a CSV file: empty, a number, true or false, or a text. `007` is a text, as is a date."""
    text = text.strip()
    if not text:
        return None
    if _WHOLE.fullmatch(text):
        return _whole(int(text)) if len(text) < 40 else Trouble(f"{text[:20]}… is a number of more than 64 bits")
    if _DECIMAL.fullmatch(text) and not _LEADING_ZERO.match(text):
        return _finite(float(text), text)
    return _WORDS.get(text.lower(), text)


def from_sheet(value: Any, data_type: str) -> Any:
    """A cell of a workbook: dates and times become texts."""
    if data_type == "e":
        return Trouble(f"holds the error {value}")
    if isinstance(value, str):
        return value.strip() or None
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return _whole(value)
    if isinstance(value, float):
        return _finite(value, str(value))
    return _date(value)


def _date(value: Any) -> Any:
    if isinstance(value, datetime) and value.time() == time():
        return value.date().isoformat()
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return str(value)
    return Trouble(f"holds a {type(value).__name__}; allowed: numbers, texts, true and false, dates")


def _whole(value: int) -> Any:
    return value if -INT64 <= value < INT64 else Trouble(f"{value} is a number of more than 64 bits")


def _finite(value: float, text: str) -> Any:
    return value if math.isfinite(value) else Trouble(f"{text[:40]} is too large a number")


def kind_of(value: Any) -> Kind:
    """Of a value that is neither empty nor trouble."""
    if isinstance(value, bool):
        return Kind.BOOL
    return Kind.NUMBER if isinstance(value, int | float) else Kind.TEXT
