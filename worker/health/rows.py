"""What was looked at, how it is, and what to do about it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """WRONG keeps a worker from working; WARN is worth knowing."""

    OK = "ok"
    WARN = "warn"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line about one machine. `advice`: what to do, where something is not as it should be."""

    subject: str
    verdict: Verdict = Verdict.OK
    text: str
    advice: str = ""


def read_row(told: Mapping[str, Any]) -> Row:
    """From JSON. Raises KeyError, ValueError."""
    return Row(
        subject=str(told["subject"]),
        verdict=Verdict(told["verdict"]),
        text=str(told["text"]),
        advice=str(told.get("advice", "")),
    )


def is_well(rows: Sequence[Row]) -> bool:
    """Whether a worker would work."""
    return all(row.verdict is not Verdict.WRONG for row in rows)
