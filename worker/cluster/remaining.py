"""How much of an allocation's time is left."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Remaining:
    """Seconds: what is left, and what there was in all. None: without an end."""

    left_s: float | None
    whole_s: float | None
