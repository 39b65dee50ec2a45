"""When the validation loss says that more training is of no use (Knight 2015, eq. 4.1 and 4.4). Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from trainer.config import Common, StoppingRule


@dataclass(frozen=True, slots=True, kw_only=True)
class StoppingMemory:
    """What the rules remember of the epochs so far."""

    recent: tuple[float, ...] = ()  # validation losses of at most `patience` epochs, oldest first
    best: float = math.inf
    epochs_since_best: int = 0


def remember(memory: StoppingMemory, loss: float, patience: int) -> StoppingMemory:
    """The memory after one more epoch."""
    recent = (*memory.recent, loss)[-patience:]
    if loss < memory.best:
        return StoppingMemory(recent=recent, best=loss, epochs_since_best=0)
    return replace(memory, recent=recent, epochs_since_best=memory.epochs_since_best + 1)


def says_stop(config: Common, memory: StoppingMemory, loss: float) -> bool:
    """Whether to stop after an epoch of this validation loss, given the memory of the epochs before it."""
    if config.early_stopping is StoppingRule.MOVING_AVERAGE:
        return above_moving_average(memory, loss, config.patience)
    if config.early_stopping is StoppingRule.MINIMUM:
        return above_minimum(memory, loss, config.patience, config.alpha)
    return False


def above_moving_average(memory: StoppingMemory, loss: float, patience: int) -> bool:
    """Eq. 4.1: J_t > mean of the N losses before; those before the first epoch are infinite."""
    return len(memory.recent) == patience and loss > sum(memory.recent) / patience


def above_minimum(memory: StoppingMemory, loss: float, patience: int, alpha: float) -> bool:
    """Eq. 4.4: J_t > (1 - alpha) J_min, and k > N for a minimum that is k epochs old."""
    age = memory.epochs_since_best + 1
    return loss > (1 - alpha) * memory.best and age > patience
