"""A series as the rules read it: arrays, without what is no number, less always better."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from notify.diagnosis import robust
from notify.diagnosis.chart import Points
from notify.diagnosis.names import Kind, Part, kind_of, names_training, part_of, stem_of
from notify.diagnosis.robust import Array

LARGEST = 1e100
"""Greater values would overflow when they are squared or subtracted; to every rule they are the same."""


@dataclass(frozen=True, kw_only=True)
class Track:
    """The finite points of a series, in the order in which they came. Of a score the values are turned round."""

    name: str
    steps: Array
    values: Array
    sign: float = 1.0

    def __len__(self) -> int:
        return len(self.values)

    @cached_property
    def noise(self) -> float:
        """The deviation of one point from the curve."""
        return robust.noise(self.values)

    @cached_property
    def noise_early(self) -> float:
        """The same of the first half: what comes later may be the illness itself."""
        return robust.noise(self.values[: max(3, len(self) // 2)])

    def step(self, index: int) -> int:
        """That of one point."""
        return int(self.steps[index])

    def shown(self, value: float) -> str:
        """A value as it was reported."""
        return number(value * self.sign)


def number(value: float) -> str:
    """Four digits."""
    return f"{value + 0.0:.4g}"


def track_of(series: Points) -> Track:
    """Without what is no number."""
    values = np.asarray(series.values, dtype=np.float64)
    known = np.isfinite(values)
    sign = -1.0 if kind_of(series.name) is Kind.SCORE else 1.0
    clipped = np.clip(sign * values[known], -LARGEST, LARGEST)
    return Track(name=series.name, steps=np.asarray(series.steps, dtype=np.float64)[known], values=clipped, sign=sign)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """What a run minimises, as measured while training and on data held out; either may be missing."""

    train: Track | None
    held_out: Track | None

    @property
    def is_of_epochs(self) -> bool:
        """Whether a training point is a mean over batches: its name says so, or it comes as seldom as validation."""
        if self.train is None:
            return False
        seldom = self.held_out is not None and len(self.train) <= 2 * len(self.held_out)
        return seldom or names_training(self.train.name)


def pair_of(tracks: Mapping[str, Track], of: Mapping[str, Kind]) -> Pair:
    """The curve that says how the training goes. Of a contest there is none: nothing would follow from it."""
    if Kind.CONTEST in of.values():
        return Pair(train=None, held_out=None)
    kind = Kind.LOSS if Kind.LOSS in of.values() else Kind.SCORE
    held_out = [name for name, its in of.items() if its is kind and part_of(name) is Part.HELD_OUT]
    train = [name for name, its in of.items() if its is kind and part_of(name) is Part.TRAIN]
    stems = {stem_of(name) for name in train}
    held_out.sort(key=lambda name: (not _is_plain(name), stem_of(name) not in stems, "test" in name, len(name), name))
    chosen = held_out[0] if held_out else None
    if chosen is not None:
        train = [name for name in train if stem_of(name) == stem_of(chosen)] or train
    train.sort(key=lambda name: (not _is_plain(name), not names_training(name), len(name), name))
    return Pair(train=_first(tracks, train), held_out=_first(tracks, held_out))


def _is_plain(name: str) -> bool:
    return stem_of(name) == ("loss",)


def _first(tracks: Mapping[str, Track], names: list[str]) -> Track | None:
    return tracks[names[0]] if names else None
