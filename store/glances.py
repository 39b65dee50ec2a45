"""What a page that shows an experiment live reads again and again: small, whatever the number of runs and points."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from store.states import State, Wish


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulse:
    """The least that tells whether anything is new about a run. `lines`: event lines stored of its newest attempt."""

    id: str
    state: State
    attempt: int
    lines: int
    ended_at: datetime | None = None
    wish: Wish | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Beyond:
    """What is wanted of a run's series: what comes after the first `points` of `attempt`; later attempts wholly.

    Of `grain` points in a row only the least and the greatest are wanted.
    """

    run: str
    attempt: int = 0
    points: int = 0
    grain: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Stroke:
    """A piece of a series: parallel arrays, oldest first. It ends after `points` of `attempt`: ask there again."""

    run: str
    attempt: int
    points: int
    steps: tuple[int, ...]
    times: tuple[float, ...]
    values: tuple[float, ...]


def extremes(values: Sequence[float], grain: int) -> list[int]:
    """Positions of the least and the greatest finite value of each `grain` in a row, as they come; each once.

    Where none is finite: the first.
    """
    if grain <= 1:
        return list(range(len(values)))
    kept: list[int] = []
    for start in range(0, len(values), grain):
        end = min(start + grain, len(values))
        finite = [at for at in range(start, end) if math.isfinite(values[at])] or [start]
        kept += sorted({min(finite, key=values.__getitem__), max(finite, key=values.__getitem__)})
    return kept
