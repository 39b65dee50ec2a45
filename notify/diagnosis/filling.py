"""Something that fills at a steady pace, and when it will be full. Used for memory and for disks."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from notify.diagnosis import robust
from notify.diagnosis.robust import Array

LEAST_LOOKS, BLOCKS = 24, 8
# A cache fills fast and then slower; a leak keeps its pace: the second half must bring as much as the first, nearly.
KEPT_PACE = 0.7
# A third of the way from where it began to full is gone: before, too many healthy things look the same.
GONE = 1 / 3
# The first looks see a programme load.
WARM_UP = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Filling:
    """`per_s`: units a second; `left_s`: until it is full; `since`: Unix seconds, when the judged stretch began."""

    used: float
    begun: float
    per_s: float
    left_s: float
    since: float


def filling(times: Array, used: Array, full: float) -> Filling | None:
    """Whether `used` (n) grows towards `full` without coming back. Falling back now and then does not hide growth."""
    skipped = int(WARM_UP * len(times))
    times, used = times[skipped:], used[skipped:]
    if len(times) < LEAST_LOOKS:
        return None
    edges = np.linspace(0, len(times), BLOCKS + 1).astype(int)
    spans = list(pairwise(edges))
    # The floor of each block: garbage and old checkpoints come and go above it. A single look may miss a process.
    floors = np.array([np.quantile(used[a:b], 0.1) for a, b in spans])
    middles = np.array([times[a:b].mean() for a, b in spans])
    half = BLOCKS // 2
    first, second = (
        robust.slope(middles[: half + 1], floors[: half + 1]),
        robust.slope(middles[half - 1 :], floors[half - 1 :]),
    )
    newest = robust.slope(middles[-3:], floors[-3:])
    rises = np.diff(floors) > 0
    if not (rises.sum() >= BLOCKS - 2 and rises[-2:].all() and first > 0 and second > KEPT_PACE * first):
        return None
    pace, now = min(second, newest), float(robust.middle(used[-3:]))
    if newest < KEPT_PACE * first or now - floors[0] < GONE * (full - floors[0]) or pace <= 0:
        return None
    return Filling(
        used=now, begun=float(floors[0]), per_s=pace, left_s=max(0.0, (full - now) / pace), since=float(times[0])
    )
