"""Schedules and early stopping."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.config import Common, ModelKind, OptimizerKind, StoppingRule
from trainer.early_stopping import StoppingMemory, remember, says_stop
from trainer.loop import default_log_every, n_updates
from trainer.report import log_line
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


LOSSES = st.lists(st.floats(0, 100, allow_nan=False), min_size=1, max_size=30)


def stops_as_in_figure_2(losses: list[float], es_epochs: int) -> int | None:
    """The code of the report, word for word where it matters."""
    prev_valid_loss = np.empty(es_epochs)
    prev_valid_loss.fill(np.inf)
    for epoch, this_valid_loss in enumerate(losses, start=1):
        if this_valid_loss > np.average(prev_valid_loss):
            return epoch
        prev_valid_loss[:-1] = prev_valid_loss[1:]
        prev_valid_loss[-1] = this_valid_loss
    return None


@given(losses=st.lists(st.integers(0, 100), min_size=1, max_size=30), n=st.sampled_from([1, 2, 4, 8]))
def test_the_moving_average_stops_when_the_code_of_figure_2_does(losses: list[int], n: int) -> None:
    settings = config(early_stopping=StoppingRule.MOVING_AVERAGE, patience=n)
    assert epochs_until_stop(settings, [float(x) for x in losses]) == stops_as_in_figure_2(
        [float(x) for x in losses], n
    )


@given(losses=LOSSES, n=st.integers(1, 6), alpha=st.sampled_from([0.0, 0.05, 0.5]))
def test_the_minimum_rule_is_equation_4_4_over_the_whole_history(losses: list[float], n: int, alpha: float) -> None:
    stops = None
    for t in range(1, len(losses)):
        j_min = min(losses[:t])
        k = t - losses.index(j_min)
        if losses[t] > (1 - alpha) * j_min and k > n:
            stops = t + 1
            break
    settings = config(early_stopping=StoppingRule.MINIMUM, patience=n, alpha=alpha)
    assert epochs_until_stop(settings, losses) == stops


def test_the_line_of_an_epoch_is_that_of_the_report() -> None:
    rate = 0.01
    for _ in range(29):
        rate = next_learning_rate(config(learning_rate_decay=0.999), rate, math.inf, 1.0)
    metrics = {"train_loss": 0.241607, "val_loss": 0.241457, "learning_rate": rate}
    assert log_line(30, 500, metrics) == "epoch 30, mb 500/500, tr loss 0.241607 va loss 0.241457 lr: 0.009714"
    assert log_line(1, 2, {"train_loss": 1.0}) == "epoch 1, mb 2/2, tr loss 1.000000"


@pytest.mark.parametrize(
    ("n_batches", "epochs", "every"),
    [(500, 10, 10), (25, 10, 10), (25, 1000, 25), (25, 5000, 25), (1, 1, 1), (3, 10, 3), (700, 400, 350)],
)
def test_the_loss_has_at_most_50_points_an_epoch_and_no_more_than_useful_a_run(
    n_batches: int, epochs: int, every: int
) -> None:
    assert default_log_every(n_batches, epochs) == every


def test_an_update_is_a_mini_batch_or_an_iteration() -> None:
    assert n_updates(config(batch_size=100), 250) == 3
    assert n_updates(config(optimizer=OptimizerKind.CG, iterations=7), 250) == 7


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
