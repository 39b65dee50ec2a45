"""Schedules and early stopping."""

from __future__ import annotations

import math
from typing import Any

import pytest

from trainer.config import Common, ModelKind, StoppingRule
from trainer.early_stopping import StoppingMemory, remember, says_stop
from trainer.schedule import momentum, next_learning_rate


def config(**more: Any) -> Common:
    return Common(model=ModelKind.LANGUAGE_MODEL, **more)


def epochs_until_stop(settings: Common, losses: list[float]) -> int | None:
    memory = StoppingMemory()
    for epoch, loss in enumerate(losses, start=1):
        if says_stop(settings, memory, loss):
            return epoch
        memory = remember(memory, loss, settings.patience)
    return None


MOVING = {"early_stopping": StoppingRule.MOVING_AVERAGE, "patience": 3}
MINIMUM = {"early_stopping": StoppingRule.MINIMUM, "patience": 2, "alpha": 0.1}


@pytest.mark.parametrize(
    ("settings", "losses", "stops_at"),
    [
        (MOVING, [3.0, 2.0, 1.0, 1.9], None),
        (MOVING, [3.0, 2.0, 1.0, 2.1], 4),  # the mean of the three before is 2
        (MOVING, [1.0, 5.0, 9.0], None),  # losses before the first epoch are infinite
        (MOVING, [9.0, 3.0, 2.0, 1.0, 2.1], 5),  # older losses are forgotten
        (MINIMUM, [2.0, 1.0, 1.5, 1.4, 1.3], 5),  # the minimum is three epochs old: 3 > 2
        (MINIMUM, [2.0, 1.0, 1.5, 0.95, 1.3, 1.2], None),  # each new minimum starts the count anew
        (MINIMUM, [1.0, 1.5, 1.5, 0.95], 4),  # better, but not by the factor alpha
        (MINIMUM, [1.0, 1.5, 1.5, 0.89], None),
        ({}, [1.0] + [9.0] * 50, None),
    ],
)
def test_early_stopping_follows_its_equation(settings: Any, losses: list[float], stops_at: int | None) -> None:
    assert epochs_until_stop(config(**settings), losses) == stops_at


def test_momentum_switches_over_once() -> None:
    settings = config(initial_momentum=0.5, final_momentum=0.9, momentum_switchover=2)
    assert [momentum(settings, epoch) for epoch in range(4)] == [0.5, 0.5, 0.9, 0.9]


@pytest.mark.parametrize(
    ("halve", "previous", "loss", "expected"),
    [(True, math.inf, 5.0, 0.09), (True, 5.0, 5.1, 0.045), (True, 5.0, 5.0, 0.09), (False, 5.0, 6.0, 0.09)],
)
def test_the_learning_rate_decays_and_is_halved_on_a_rise(
    halve: bool, previous: float, loss: float, expected: float
) -> None:
    settings = config(learning_rate_decay=0.9, halve_on_rise=halve)
    assert next_learning_rate(settings, 0.1, previous, loss) == pytest.approx(expected)
