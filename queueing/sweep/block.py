"""One `[sweep]` of a file: what it says, and the points it makes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from queueing.space.space import Space

MOST_RUNS = 2_000_000
"""Of one file. A run takes about a kilobyte in MongoDB."""
MOST_CANDIDATES = 10_000_000
"""Combinations and samples that are looked at, the rejected ones included: a minute's work."""


class Method(StrEnum):
    """How points are chosen."""

    GRID = "grid"
    ZIP = "zip"
    RANDOM = "random"
    LHS = "lhs"
    SOBOL = "sobol"
    HALTON = "halton"
    TABLE = "table"


SAMPLING = frozenset({Method.RANDOM, Method.LHS, Method.SOBOL, Method.HALTON})


class SweepMistake(ValueError):
    """A sweep that makes no points, or too many; `key` is the key of the block it is about."""

    def __init__(self, key: str, said: str) -> None:
        super().__init__(said)
        self.key, self.said = key, said


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One configuration: flat values under dotted names, and what a row of a table says about its run."""

    values: dict[str, Any]
    priority: int | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Points:
    """The points of a sweep, counted at once and made one by one: a number is all that is kept of each."""

    numbers: Sequence[int]
    point: Callable[[int], Point]


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A sweep that was read and counted. `seed` is None where the file gives none."""

    method: Method
    space: Space
    points: Points
    names: tuple[str, ...]
    seed: int | None = None
    repeat: int = 1
    source: str = ""
    """Of a table: its file."""

    @property
    def size(self) -> int:
        """How many runs it makes."""
        return len(self.points.numbers) * self.repeat
