"""What people write on the command line about places: durations, sizes, GPUs."""

import re

from queueing.units import parse_duration, parse_size
from store.errors import UserError


def duration(option: str, text: str | None) -> float | None:
    """Seconds of `4h`; None when it was not given. Raises UserError."""
    try:
        return None if text is None else parse_duration(text)
    except ValueError as error:
        raise UserError(f"{option} {text!r}: {error}") from None


def size(option: str, text: str | None) -> int | None:
    """Bytes of `12GB`; None when it was not given. Raises UserError."""
    try:
        return None if text is None else parse_size(text)
    except ValueError as error:
        raise UserError(f"{option} {text!r}: {error}") from None


def gpus(text: str) -> tuple[str, int]:
    """Kind and number: `2` or `a100:2`. Raises UserError."""
    found = re.fullmatch(r"(?:([A-Za-z0-9][A-Za-z0-9_.-]{0,63}):)?([0-9]{1,3})", text)
    if found is None:
        raise UserError(f"--gpus {text!r}: allowed: a number such as 2, or a kind and a number such as a100:2")
    return found[1] or "", int(found[2])
