"""What leaves the process: metrics, progress, checkpoints, and the question whether to stop."""

from __future__ import annotations

import time
from typing import Protocol

import labq
from trainer.arrays import Named
from trainer.config import Common
from trainer.state import TrainingState

_PROGRESS_S = 1.0


class Reporter(Protocol):
    """What the loop asks of its surroundings."""

    def log(self, step: int, metrics: dict[str, float]) -> None: ...
    def progress(self, done: int, total: int, *, now: bool = False) -> None: ...
    def checkpoint_if_due(self, state: TrainingState) -> None: ...
    def checkpoint(self, state: TrainingState) -> None: ...
    def told_to_stop(self) -> bool: ...
    def stop(self, reason: str) -> None: ...


class LabqReporter:
    """Reports to labq; `origin` is kept with every checkpoint."""

    def __init__(self, config: Common, origin: Named) -> None:
        self._config, self._origin = config, origin
        self._saved_at = self._progress_at = time.monotonic()

    def log(self, step: int, metrics: dict[str, float]) -> None:
        labq.log(step, **metrics)

    def progress(self, done: int, total: int, *, now: bool = False) -> None:
        """At most once in _PROGRESS_S, unless `now`."""
        if now or time.monotonic() - self._progress_at >= _PROGRESS_S:
            self._progress_at = time.monotonic()
            labq.progress(done, total)

    def checkpoint_if_due(self, state: TrainingState) -> None:
        """After every checkpoint_every updates and when checkpoint_every_s have passed since the last."""
        every, every_s = self._config.checkpoint_every, self._config.checkpoint_every_s
        if (every and state.update % every == 0) or (every_s and time.monotonic() - self._saved_at >= every_s):
            self.checkpoint(state)

    def checkpoint(self, state: TrainingState) -> None:
        labq.checkpoint(state.to_arrays(self._origin), step=state.update)
        self._saved_at = time.monotonic()

    def told_to_stop(self) -> bool:
        return labq.should_stop()

    def stop(self, reason: str) -> None:
        labq.stop(reason)
