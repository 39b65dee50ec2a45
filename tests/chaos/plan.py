"""Which fault strikes when: a pure function of the seed.

"When" is a share of the work, not a time of day: on a slow machine the same faults hit the same stretch of the runs, and
a fleet that is on the ground is given the time to get up again.
"""

import random
from dataclasses import dataclass
from enum import StrEnum


class Target(StrEnum):
    """Who is hit."""

    CHILD = "child"
    SUPERVISOR = "supervisor"
    WORKER = "worker"
    TREE = "tree"
    """A worker, its supervisor and its child at the same moment."""
    LINE = "line"
    """The way from one worker to both servers."""
    REDIS = "redis"
    MONGOD = "mongod"
    NOTIFIER = "notifier"


class Action(StrEnum):
    """What is done to it."""

    KILL = "kill"
    """SIGKILL."""
    FREEZE = "freeze"
    """SIGSTOP, and SIGCONT later."""
    RESTART = "restart"
    """SIGTERM, and started again once it has left."""
    CUT = "cut"
    """Connections are reset, new ones refused."""
    HOLE = "hole"
    """Connections are accepted and nothing comes through; what was on its way arrives late."""
    FLUSH = "flush"
    """FLUSHALL."""
    WIPE = "wipe"
    """SIGKILL, and the data is gone."""


WEIGHTS: dict[tuple[Target, Action], int] = {
    (Target.CHILD, Action.KILL): 12,
    (Target.CHILD, Action.FREEZE): 6,
    (Target.SUPERVISOR, Action.KILL): 14,
    (Target.SUPERVISOR, Action.FREEZE): 10,
    (Target.WORKER, Action.KILL): 10,
    (Target.WORKER, Action.FREEZE): 5,
    (Target.WORKER, Action.RESTART): 6,
    (Target.TREE, Action.KILL): 5,
    (Target.TREE, Action.FREEZE): 5,
    (Target.LINE, Action.CUT): 6,
    (Target.LINE, Action.HOLE): 6,
    (Target.REDIS, Action.KILL): 4,
    (Target.REDIS, Action.FREEZE): 3,
    (Target.REDIS, Action.FLUSH): 4,
    (Target.REDIS, Action.WIPE): 3,
    (Target.MONGOD, Action.KILL): 5,
    (Target.MONGOD, Action.FREEZE): 4,
    (Target.MONGOD, Action.RESTART): 3,
    (Target.NOTIFIER, Action.KILL): 4,
    (Target.NOTIFIER, Action.FREEZE): 2,
    (Target.NOTIFIER, Action.RESTART): 2,
}
"""How often each is drawn. What holds a run is hit most: there is most to lose."""

FIRST, LAST = 0.01, 0.97
_TOGETHER = 0.25
_LONG = 0.4


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One blow."""

    number: int
    target: Target
    action: Action
    at: float
    """It strikes when this share of all work is done, from 0 to 1."""
    pick: float
    """Which of those that can be hit, from 0 to 1."""
    hold_s: float
    """How long it stays frozen, cut or down."""

    @property
    def kind(self) -> str:
        """For example supervisor-freeze."""
        return f"{self.target}-{self.action}"


def plan(seed: int, count: int, lease_s: float) -> tuple[Fault, ...]:
    """`count` faults in the order they strike; every kind at least once where there is room.

    Four in ten last longer than a lease, and one in four strikes at the moment of the one before.
    """
    rng = random.Random(seed)
    kinds = _kinds(rng, count)
    moments = _moments(rng, count)
    return tuple(
        Fault(number=number, target=target, action=action, at=at, pick=rng.random(), hold_s=_hold_s(rng, lease_s))
        for number, ((target, action), at) in enumerate(zip(kinds, moments, strict=True), 1)
    )


def _kinds(rng: random.Random, count: int) -> list[tuple[Target, Action]]:
    kinds = list(WEIGHTS) if count >= len(WEIGHTS) else []
    kinds += rng.choices(list(WEIGHTS), list(WEIGHTS.values()), k=count - len(kinds))
    rng.shuffle(kinds)
    return kinds


def _moments(rng: random.Random, count: int) -> list[float]:
    moments = sorted(rng.uniform(FIRST, LAST) for _ in range(count))
    for i in range(1, count):
        if rng.random() < _TOGETHER:
            moments[i] = moments[i - 1]
    return moments


def _hold_s(rng: random.Random, lease_s: float) -> float:
    low, high = (1.2, 2.2) if rng.random() < _LONG else (0.02, 0.3)
    return rng.uniform(low, high) * lease_s
