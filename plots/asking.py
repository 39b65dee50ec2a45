"""What people want to see."""

from dataclasses import dataclass
from enum import StrEnum

from plots.bands import Spread
from queueing.results.pivot import Aggregate

RUNS_DRAWN = 200


class Kind(StrEnum):
    """What kind of picture."""

    CURVES = "curves"
    GRID = "grid"
    UPDATES = "updates"
    EPOCHTIME = "epochtime"
    NORMS = "norms"
    IMPORTANCE = "importance"
    PARALLEL = "parallel"
    SCATTER = "scatter"
    PAIRS = "pairs"
    HEATMAP = "heatmap"
    FEATURES = "features"
    CONFUSION = "confusion"


class X(StrEnum):
    """What goes to the right; any other word is a metric."""

    STEP = "step"
    EPOCH = "epoch"
    TIME = "time"
    UPDATES = "updates"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """All options of `labq plot` that say what is drawn. `log`: of `x`, `y`, `xy`, `none`; empty: as the values want.

    `top`: the best runs only; `limit`: as many at most. `last`: a run's last value stands for it, not its best.
    """

    which: tuple[str, ...]
    kind: Kind = Kind.CURVES
    x: str | None = None
    y: tuple[str, ...] = ()
    by: str | None = None
    facet: tuple[str, ...] = ()
    spread: Spread = Spread.MIN_MAX
    smooth: float = 0.0
    log: str = ""
    y_ends: tuple[float, float] | None = None
    top: int | None = None
    limit: int = RUNS_DRAWN
    greater: frozenset[str] = frozenset()
    smaller: frozenset[str] = frozenset()
    last: bool = False
    aggregate: Aggregate = Aggregate.BEST
    epoch: int | None = None
    seed: int = 0

    @property
    def log_x(self) -> bool | None:
        """None: as the values want."""
        return None if not self.log else "x" in self.log and self.log != "none"

    @property
    def log_y(self) -> bool | None:
        """None: as the values want."""
        return None if not self.log else "y" in self.log
