"""The whole state of a training run, as one object that becomes a dict of arrays and back."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np

from trainer.arrays import Doubles, Floats, Named
from trainer.early_stopping import StoppingMemory
from trainer.errors import UserMistake

_FORMAT = 1


class Phase(IntEnum):
    """What comes next."""

    UPDATES = 0
    EPOCH_END = 1
    DONE = 2
    STOPPED_EARLY = 3

    @property
    def is_over(self) -> bool:
        return self in (Phase.DONE, Phase.STOPPED_EARLY)


@dataclass(slots=True, kw_only=True)
class TrainingState:
    """Everything that decides what the run computes and logs from here on. What is not in it must not matter."""

    weights: dict[str, Floats]
    velocity: dict[str, Floats]  # empty arrays when there is no momentum
    learning_rate: float
    phase: Phase = Phase.UPDATES
    epoch: int = 0  # counted from 0
    batch: int = 0  # updates made in this epoch
    update: int = 0  # updates made in the run: the step of every metric
    sums: Doubles = field(default_factory=lambda: np.zeros(4))  # loss and its weight: logging window, epoch
    previous_loss: float = math.inf  # training loss of the epoch before
    stopping: StoppingMemory = field(default_factory=StoppingMemory)

    def to_arrays(self, origin: Named) -> Named:
        """A dict of arrays that shares memory with the state; `origin` says of what configuration and data it is."""
        return {
            "format": np.array(_FORMAT),
            **origin,
            **{f"weight_{name}": value for name, value in self.weights.items()},
            **{f"velocity_{name}": value for name, value in self.velocity.items()},
            "position": np.array([self.phase, self.epoch, self.batch, self.update], dtype=np.int64),
            "sums": self.sums,
            "rates": np.array([self.learning_rate, self.previous_loss, self.stopping.best]),
            "recent": np.array(self.stopping.recent, dtype=np.float64),
            "epochs_since_best": np.array(self.stopping.epochs_since_best),
        }

    def restore(self, arrays: Named) -> None:
        """Become the state that was saved; self must be the state its run began with. Raises UserMistake."""
        if int(arrays.get("format", np.array(0))) != _FORMAT:
            raise UserMistake("the checkpoint was written by another version of the trainer: start the run anew")
        for part, values in (("weight", self.weights), ("velocity", self.velocity)):
            for name, value in values.items():
                saved = arrays[f"{part}_{name}"]
                if saved.shape != value.shape or saved.dtype != value.dtype:
                    raise UserMistake(
                        f"the checkpoint has {part} {name} of shape {saved.shape} and type {saved.dtype}; "
                        f"allowed: {value.shape} and {value.dtype}"
                    )
                value[...] = saved
        phase, self.epoch, self.batch, self.update = (int(x) for x in arrays["position"])
        self.phase = Phase(phase)
        self.sums[:] = arrays["sums"]
        self.learning_rate, self.previous_loss, best = (float(x) for x in arrays["rates"])
        recent = tuple(float(x) for x in arrays["recent"])
        self.stopping = StoppingMemory(recent=recent, best=best, epochs_since_best=int(arrays["epochs_since_best"]))
