"""Durations and sizes as people write them."""

import re

_DURATION = {"ms": 0.001, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}
LONGEST_S = 10 * 366 * 86400
LARGEST_BYTES = 10**18
_SIZE = {
    "": 1, "b": 1, "k": 1000, "kb": 1000, "kib": 1024, "m": 1000**2, "mb": 1000**2, "mib": 1024**2,
    "g": 1000**3, "gb": 1000**3, "gib": 1024**3, "t": 1000**4, "tb": 1000**4, "tib": 1024**4,
}  # fmt: skip


_PART = re.compile(r"(\d{1,12}(?:\.\d+)?)\s*([a-z]+)\s*", re.ASCII)


def parse_duration(value: object) -> float:
    """Seconds: `90`, `"90s"`, `"1h30m"`, `"4h"`. Raises ValueError with what is allowed."""
    allowed = 'a duration above 0, such as "90s", "30m", "4h", "1d12h" or a number of seconds, at most ten years'
    if isinstance(value, int | float) and not isinstance(value, bool):
        seconds = float(value) if abs(value) <= LONGEST_S else 0.0
    elif isinstance(value, str):
        seconds = _sum_of_parts(value.strip().lower(), allowed)
    else:
        raise ValueError(f"allowed: {allowed}")
    if not 0 < seconds <= LONGEST_S:
        raise ValueError(f"allowed: {allowed}")
    return seconds


def parse_size(value: object) -> int:
    """Bytes: `1000`, `"12GB"` (10^9), `"12GiB"` (2^30). Raises ValueError with what is allowed."""
    allowed = 'a size above 0, such as "500MB", "12GB", "16GiB" or a number of bytes'
    text = str(value).strip().lower() if isinstance(value, int | float | str) and not isinstance(value, bool) else ""
    match = re.fullmatch(r"(\d{1,18}(?:\.\d+)?)\s*([kmgt]?i?b?)", text, re.ASCII)
    size_bytes = float(match[1]) * _SIZE.get(match[2], 0) if match else 0.0
    if not 1 <= size_bytes <= LARGEST_BYTES:
        raise ValueError(f"allowed: {allowed}")
    return int(size_bytes)


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
    if re.fullmatch(r"\d{1,12}(\.\d+)?", text, re.ASCII):
        return float(text)
    parts = re.findall(_PART, text)
    if not parts or re.sub(_PART, "", text) or any(u not in _DURATION for _, u in parts):
        raise ValueError(f"allowed: {allowed}")
    return sum(float(number) * _DURATION[unit] for number, unit in parts)
