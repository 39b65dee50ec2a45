"""How learning rate and momentum change from epoch to epoch. Pure."""

from __future__ import annotations

from trainer.config import Common


def momentum(config: Common, epoch: int) -> float:
    """The momentum of an epoch, counted from 0."""
    return config.final_momentum if epoch >= config.momentum_switchover else config.initial_momentum


def next_learning_rate(config: Common, rate: float, previous_loss: float, loss: float) -> float:
    """The learning rate after an epoch: decayed, and halved when the training loss rose (Britz's tutorial)."""
    rate *= config.learning_rate_decay
    return rate / 2 if config.halve_on_rise and loss > previous_loss else rate
