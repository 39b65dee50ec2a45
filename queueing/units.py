"""Durations and sizes as people write them."""

import math
import re

_DURATION = {"ms": 0.001, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}
_SIZE = {
    "": 1, "b": 1, "k": 1000, "kb": 1000, "kib": 1024, "m": 1000**2, "mb": 1000**2, "mib": 1024**2,
    "g": 1000**3, "gb": 1000**3, "gib": 1024**3, "t": 1000**4, "tb": 1000**4, "tib": 1024**4,
}  # fmt: skip


def parse_duration(value: object) -> float:
    """Seconds: `90`, `"90s"`, `"1h30m"`, `"4h"`. Raises ValueError with what is allowed."""
    allowed = 'a duration above 0, such as "90s", "30m", "4h", "1d12h" or a number of seconds'
    if isinstance(value, int | float) and not isinstance(value, bool):
        seconds = float(value)
    elif isinstance(value, str):
        seconds = _sum_of_parts(value.strip().lower(), allowed)
    else:
        raise ValueError(f"allowed: {allowed}")
    if not 0 < seconds < math.inf:
        raise ValueError(f"allowed: {allowed}")
    return seconds


def parse_size(value: object) -> int:
    """Bytes: `1000`, `"12GB"` (10^9), `"12GiB"` (2^30). Raises ValueError with what is allowed."""
    allowed = 'a size above 0, such as "500MB", "12GB", "16GiB" or a number of bytes'
    text = str(value).strip().lower() if isinstance(value, int | float | str) and not isinstance(value, bool) else ""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?i?b?)", text)
    if match is None or match[2] not in _SIZE or float(match[1]) <= 0:
        raise ValueError(f"allowed: {allowed}")
    return int(float(match[1]) * _SIZE[match[2]])


def format_duration(seconds: float) -> str:
    """Two units at most: `1d 2h`, `3m 20s`, `4.2s`."""
    if seconds < 60:
        return f"{seconds:.1f}s" if seconds < 10 else f"{seconds:.0f}s"
    for name, size, lower_name, lower in (("d", 86400, "h", 3600), ("h", 3600, "m", 60), ("m", 60, "s", 1)):
        if seconds >= size:
            whole, rest = divmod(int(seconds), size)
            return f"{whole}{name} {rest // lower}{lower_name}" if rest >= lower else f"{whole}{name}"
    return f"{seconds:.0f}s"


def format_size(size_bytes: float) -> str:
    """In decimal units: `1.2 GB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(size_bytes) < 1000:
            return f"{size_bytes:.0f} {unit}" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:.1f} TB"


def _sum_of_parts(text: str, allowed: str) -> float:
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    parts = re.findall(r"(\d+(?:\.\d+)?)\s*([a-z]+)\s*", text)
    if not parts or re.sub(r"(\d+(?:\.\d+)?)\s*([a-z]+)\s*", "", text) or any(u not in _DURATION for _, u in parts):
        raise ValueError(f"allowed: {allowed}")
    return sum(float(number) * _DURATION[unit] for number, unit in parts)
