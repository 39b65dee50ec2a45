"""What a rule can say of a run."""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class Verdict(StrEnum):
    """`PAUSE`: wait at the rung; `PROMOTE`: one that waits there goes on."""

    KEEP = "keep"
    STOP = "stop"
    PAUSE = "pause"
    PROMOTE = "promote"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A verdict and its reason."""

    verdict: Verdict
    because: str = ""


KEEP = Decision(verdict=Verdict.KEEP)


def cost(value: float, direction: Literal["min", "max"]) -> float:
    """Smaller is better; NaN is worse than everything."""
    if math.isnan(value):
        return math.inf
    return value if direction == "min" else -value


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th, … 11th, … 21st."""
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
