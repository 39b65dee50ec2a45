"""What leaves the process: metrics, progress, checkpoints, files, and the question whether to stop."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Protocol

import labq
from trainer.arrays import Named
from trainer.config import Common
from trainer.state import TrainingState

_PROGRESS_S = 1.0


class Reporter(Protocol):
    """What the loop asks of its surroundings."""

    def log(self, step: int, metrics: dict[str, float]) -> None: ...
    def say(self, line: str) -> None: ...
    def progress(self, done: int, total: int, *, now: bool = False) -> None: ...
    def checkpoint_if_due(self, state: TrainingState) -> None: ...
    def checkpoint(self, state: TrainingState) -> None: ...
    def artifact(self, name: str, text: str, *, append: bool = False) -> None: ...
    def told_to_stop(self) -> bool: ...
    def stop(self, reason: str) -> None: ...


class LabqReporter:
    """Reports to labq; `origin` is kept with every checkpoint.

    Every checkpoint holds the weights of the least validation loss so far beside the newest ones, and so is published
    as the best. A checkpoint of its own at every new least loss would be written more often than useful (an epoch may
    last 30 ms), and one that is written less often would not be the best: a run that is killed and goes on has the
    true best at its end only if the copy travels with the state it goes on from.
    """

    def __init__(self, config: Common, origin: Named) -> None:
        self._config, self._origin = config, origin
        self._saved_at = self._progress_at = time.monotonic()
        self._folder = Path(os.environ.get("LABQ_DIR", "."))
        self._artifacts: set[str] = set()

    def log(self, step: int, metrics: dict[str, float]) -> None:
        labq.log(step, **metrics)

    def say(self, line: str) -> None:
        """One line of the run's output."""
        print(line, flush=True)

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
        """Not of weights that are not finite: the loop finds them at the same update in every repetition of the run,
        at the end of the epoch at the latest; when a checkpoint is due must not decide about what the run reports.
        """
        if state.is_finite:
            arrays = state.to_arrays(self._origin)
            labq.checkpoint(arrays, step=state.update, best=state.best is not None)
        self._saved_at = time.monotonic()

    def artifact(self, name: str, text: str, *, append: bool = False) -> None:
        """Keep a file with the run. It is announced once: labq reads it when the attempt ends."""
        path = self._folder / name
        with open(path, "a" if append else "w", encoding="utf-8") as file:
            file.write(text)
        if name not in self._artifacts:
            self._artifacts.add(name)
            labq.artifact(path)

    def told_to_stop(self) -> bool:
        return labq.should_stop()

    def stop(self, reason: str) -> None:
        labq.stop(reason)


def log_line(epoch: int, n_batches: int, metrics: dict[str, float]) -> str:
    """Of an epoch, counted from 1, as the report has it (Knight 2015, section 2.4.2)."""
    valid = f" va loss {metrics['val_loss']:.6f}" if "val_loss" in metrics else ""
    rate = f" lr: {metrics['learning_rate']:.6f}" if "learning_rate" in metrics else ""
    return f"epoch {epoch}, mb {n_batches}/{n_batches}, tr loss {metrics['train_loss']:.6f}{valid}{rate}"
