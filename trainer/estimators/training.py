"""The training loop of the programme, run inside another one: metrics stay in memory, Ctrl-C leaves a whole model."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from types import FrameType, TracebackType
from typing import Any

from trainer.arrays import Named
from trainer.config import Config
from trainer.loop import Loop, Outcome, initial_state
from trainer.models import Model
from trainer.state import Phase, TrainingState

Callback = Callable[[int, dict[str, float]], object]


class MemoryReporter:
    """See trainer.report.Reporter. Keeps what is logged; a callback that returns True ends the training."""

    def __init__(self, callbacks: Iterable[Callback] = ()) -> None:
        self.history: list[dict[str, float]] = []
        self.texts: dict[str, str] = {}
        self.ends_now = False
        self._callbacks = tuple(callbacks)

    def log(self, step: int, metrics: dict[str, float]) -> None:
        self.history.append({"step": step, **metrics})
        for callback in self._callbacks:
            if callback(step, dict(metrics)) is True:
                self.ends_now = True

    def say(self, line: str) -> None:
        """The history says it."""

    def progress(self, done: int, total: int, *, now: bool = False) -> None:
        """Nobody is asking."""

    def checkpoint_if_due(self, state: TrainingState) -> None:
        """The state stays in memory."""

    def checkpoint(self, state: TrainingState) -> None:
        """The state stays in memory."""

    def artifact(self, name: str, text: str, *, append: bool = False) -> None:
        """What the loop would write to a file grows in `texts`, or begins anew."""
        self.texts[name] = (self.texts.get(name, "") if append else "") + text

    def told_to_stop(self) -> bool:
        return self.ends_now

    def stop(self, reason: str) -> None:
        """The outcome of the loop says it too."""


class InterruptedBetweenUpdates:
    """While it is entered, Ctrl-C lets the update that is under way finish; a second Ctrl-C does not wait.

    Only the main thread of a process is interrupted; elsewhere nothing changes.
    """

    def __init__(self, reporter: MemoryReporter) -> None:
        self.happened = False
        self._reporter = reporter
        self._before: Any = None
        self._is_asked = threading.current_thread() is threading.main_thread()

    def __enter__(self) -> InterruptedBetweenUpdates:
        if self._is_asked and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._before = signal.signal(signal.SIGINT, self._remember)
        return self

    def _remember(self, number: int, frame: FrameType | None) -> None:
        if self.happened:
            signal.default_int_handler(number, frame)
        self.happened = self._reporter.ends_now = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)


def run(config: Config, model: Model, saved: Named | None, reporter: MemoryReporter) -> tuple[TrainingState, Outcome]:
    """Train from the beginning for config.epochs, or from a saved state for one epoch more. Raises UserMistake."""
    state = initial_state(config, model)
    if saved is not None:
        state.restore(saved)
        _begin_epoch(state)
        config = replace(config, epochs=state.epoch + 1)
    return state, Loop(config, model, state, reporter).run()


def _begin_epoch(state: TrainingState) -> None:
    """What an interrupted training left of its epoch is not made up for: the data may be other data now."""
    if state.batch:
        state.epoch += 1
        state.sums[:] = 0
    state.batch, state.phase = 0, Phase.UPDATES


def diverged(state: TrainingState) -> ValueError:
    """What to say of a loss that is not finite."""
    found = f"the training diverged: the loss of update {state.update + 1} is not finite"
    return ValueError(f"{found}; allowed: a smaller learning_rate, or clip_norm > 0. The weights before it are kept")


def plain_numbers(history: list[dict[str, float]]) -> list[dict[str, Any]]:
    """The history as JSON can keep it."""
    return [{name: value if name == "step" else float(value) for name, value in point.items()} for point in history]
