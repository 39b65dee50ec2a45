"""The whole state of a training run, as one object that becomes a dict of arrays and back."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np

from trainer.arrays import Doubles, Floats, Named
from trainer.early_stopping import StoppingMemory
from trainer.errors import UserMistake
from trainer.layout import Layout

_FORMAT = 3
_BEST = "best_weight"


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

    layout: Layout
    weights: Floats  # (layout.size)
    memory: Floats  # (n_slots, layout.size), what the optimizer remembers
    learning_rate: float
    phase: Phase = Phase.UPDATES
    epoch: int = 0  # counted from 0
    batch: int = 0  # updates made in this epoch
    update: int = 0  # updates made in the run: the step of every metric
    sums: Doubles = field(default_factory=lambda: np.zeros(4))  # loss and its weight: logging window, epoch
    previous_loss: float = math.inf  # training loss of the epoch before
    stopping: StoppingMemory = field(default_factory=StoppingMemory)
    best: Floats | None = None  # the weights of stopping.best, the least validation loss so far

    def keep_best(self) -> None:
        """These weights are the best so far."""
        if self.best is None:
            self.best = self.layout.zeros()
        self.best[:] = self.weights

    @property
    def is_finite(self) -> bool:
        """Whether every weight is a finite number."""
        return bool(np.isfinite(self.weights).all())

    def to_arrays(self, origin: Named) -> Named:
        """The state as arrays, matrices without their padding; `origin` says of what configuration and data it is."""
        return {
            "format": np.array(_FORMAT),
            **origin,
            **self._matrices("weight", self.weights),
            **({} if self.best is None else self._matrices(_BEST, self.best)),
            **{
                name: m
                for slot, flat in enumerate(self.memory)
                for name, m in self._matrices(_slot(slot), flat).items()
            },
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
        self.weights[:] = self._packed("weight", arrays)
        self.best = self._packed(_BEST, arrays) if any(name.startswith(_BEST) for name in arrays) else None
        for slot, flat in enumerate(self.memory):
            flat[:] = self._packed(_slot(slot), arrays)
        phase, self.epoch, self.batch, self.update = (int(x) for x in arrays["position"])
        self.phase = Phase(phase)
        self.sums[:] = arrays["sums"]
        self.learning_rate, self.previous_loss, best = (float(x) for x in arrays["rates"])
        recent = tuple(float(x) for x in arrays["recent"])
        self.stopping = StoppingMemory(recent=recent, best=best, epochs_since_best=int(arrays["epochs_since_best"]))

    def _matrices(self, prefix: str, flat: Floats) -> Named:
        return {f"{prefix}_{name}": matrix for name, matrix in self.layout.unpack(flat).items()}

    def _packed(self, prefix: str, arrays: Named) -> Floats:
        """Raises UserMistake when a matrix is missing or has another shape or type."""
        for part in self.layout.parts:
            saved = arrays.get(f"{prefix}_{part.name}")
            if saved is None or saved.shape != (part.rows, part.columns) or saved.dtype != self.layout.dtype:
                found = "none" if saved is None else f"one of shape {saved.shape} and type {saved.dtype}"
                allowed = f"{(part.rows, part.columns)} and {self.layout.dtype}"
                raise UserMistake(f"the checkpoint has {prefix} {part.name}: {found}; allowed: {allowed}")
        return self.layout.pack({part.name: arrays[f"{prefix}_{part.name}"] for part in self.layout.parts})


def _slot(slot: int) -> str:
    return f"memory{slot}"
