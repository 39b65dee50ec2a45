"""Names and values of others in the form in which labq keeps them. Pure."""

import math
import re
from datetime import UTC, datetime
from typing import Any

_INT64 = 2**63
_MOST_DEEP = 20


def experiment_name(text: str) -> str:
    """Letters, digits, '.', '_' and '-', 100 at most, beginning with a letter or digit; "" when nothing is left."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).lstrip("._-")[:100].rstrip("-")


def metric_name(text: str) -> str:
    """A `.` is a `/`, as everywhere in labq; a `$` is a `_`."""
    return text.replace(".", "/").replace("$", "_").replace("\0", "") or "_"


def tag(text: str) -> str:
    """Something that can be asked for as tag:TEXT."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).lstrip("._-")[:64].rstrip("-")


def param(value: Any, deep: int = 0) -> Any:
    """Numbers, texts, flags, None; lists and tables of them. What else there is becomes a text."""
    if value is None or isinstance(value, bool | str | float):
        return value.replace("\0", "") if isinstance(value, str) else value
    if isinstance(value, int):
        return value if -_INT64 <= value < _INT64 else float(value) if abs(value) < 10**300 else str(value)
    if isinstance(value, datetime):
        return utc(value).isoformat()
    if deep >= _MOST_DEEP:
        return str(value)[:1000]
    if isinstance(value, dict):
        plain = _unpickled(value)
        if plain is not value:
            return param(plain, deep + 1)
        return {param_name(str(name)): param(inner, deep + 1) for name, inner in value.items()}
    return [param(one, deep + 1) for one in value] if isinstance(value, list | tuple) else str(value)[:1000]


def param_name(text: str) -> str:
    """MongoDB's paths have dots between names, and `$` in front of its own words."""
    return text.replace(".", ",").replace("$", "@").replace("\0", "") or "_"


def number(value: Any) -> float | None:
    """A number, also NaN, infinities and their names as JSON and CSV have them; None for what is none."""
    if isinstance(value, bool) or value is None:
        return None if value is None else float(value)
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, dict) and (plain := _unpickled(value)) is not value:
        return number(plain)
    if isinstance(value, str) and re.fullmatch(r"\s*[+-]?(nan|inf|infinity)\s*", value, re.IGNORECASE):
        return float(value)
    try:
        return float(value) if isinstance(value, str) and "_" not in value else None
    except ValueError:
        return None


def whole(value: Any) -> int | None:
    """A step: a whole number of at most 63 bits, also written as 3.0; None for what is none."""
    found = number(value)
    if found is None or not math.isfinite(found) or found != int(found) or abs(found) >= _INT64:
        return None
    return int(value) if isinstance(value, int) else int(found)


def utc(time: datetime) -> datetime:
    """MongoDB keeps milliseconds; a time without a zone is taken as UTC."""
    aware = time if time.tzinfo else time.replace(tzinfo=UTC)
    aware = aware.astimezone(UTC)
    return aware.replace(microsecond=aware.microsecond // 1000 * 1000)


def _unpickled(value: dict[str, Any]) -> Any:
    """What jsonpickle, with which Sacred writes, makes of tuples, sets and NumPy's numbers."""
    for kind in ("py/tuple", "py/set"):
        if set(value) == {kind}:
            return value[kind]
    if str(value.get("py/object", "")).startswith("numpy.") and isinstance(value.get("value"), int | float | str):
        return value["value"]
    return value
