"""How learning rate and momentum change from epoch to epoch. Pure."""

from __future__ import annotations

from trainer.config import Common, OptimizerKind
from trainer.kernels import optimizers
from trainer.kernels.optimizers import Rule

_KINDS = {
    OptimizerKind.ADAGRAD: optimizers.ADAGRAD,
    OptimizerKind.RMSPROP: optimizers.RMSPROP,
    OptimizerKind.ADAM: optimizers.ADAM,
}


def momentum(config: Common, epoch: int) -> float:
    """The momentum of an epoch, counted from 0."""
    return config.final_momentum if epoch >= config.momentum_switchover else config.initial_momentum


def next_learning_rate(config: Common, rate: float, previous_loss: float, loss: float) -> float:
    """The learning rate after an epoch: decayed, and halved when the training loss rose (Britz's tutorial)."""
    rate *= config.learning_rate_decay
    return rate / 2 if config.halve_on_rise and loss > previous_loss else rate


def rule(config: Common, rate: float, epoch: int, first: int) -> Rule:
    """The numbers of the updates of an epoch, of which `first` of the run are made already."""
    plain = optimizers.NESTEROV if config.nesterov and config.has_momentum else optimizers.SGD
    is_adam = config.optimizer is OptimizerKind.ADAM
    return Rule(
        kind=_KINDS.get(config.optimizer, plain),
        rate=rate,
        momentum=config.beta1 if is_adam else momentum(config, epoch),
        decay=config.beta2 if is_adam else config.rho,
        epsilon=config.epsilon,
        longest=config.clip_norm,
        first=first,
    )
