"""How fast the training goes. The names of these metrics begin with PREFIX: of all that is logged they alone depend
on the machine and on where a run was cut; everything else is the same to the last bit in every repetition.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from trainer.config import Common, ModelKind
from trainer.state import TrainingState

PREFIX = "clock_"


@dataclass(slots=True)
class _Stretch:
    """The part of an epoch that this process has made."""

    began: float
    sequences: int  # made before it
    weight: float  # of the losses before it
    is_whole: bool
    updates_s: float = 0.0


class Clock:
    """Seconds of an epoch, and how many sequences or words a second its updates took."""

    def __init__(self, config: Common, n_train: int) -> None:
        self._batch_size, self._n_train = config.batch_size, n_train
        self._counts_words = config.model is ModelKind.LANGUAGE_MODEL
        self._stretch: _Stretch | None = None

    def begin(self, state: TrainingState) -> None:
        """The updates of an epoch begin, or go on after a resume."""
        made = state.batch * self._batch_size
        self._stretch = _Stretch(time.perf_counter(), made, float(state.sums[3]), state.batch == 0)

    def updates_made(self) -> None:
        """All updates of the epoch are made; validation follows."""
        if self._stretch is not None:
            self._stretch.updates_s = time.perf_counter() - self._stretch.began

    def metrics(self, state: TrainingState) -> dict[str, float]:
        """At the end of an epoch: empty if its updates were made before this process began, rates alone if some were.

        Seconds are those of updates and validation; rates are those of the updates.
        """
        stretch, self._stretch = self._stretch, None
        if stretch is None:
            return {}
        rates = {"sequences": self._n_train - stretch.sequences}
        if self._counts_words:
            rates["words"] = int(state.sums[3] - stretch.weight)
        found = {f"{PREFIX}{unit}_per_s": n / max(stretch.updates_s, 1e-9) for unit, n in rates.items()}
        return found | ({f"{PREFIX}epoch_s": time.perf_counter() - stretch.began} if stretch.is_whole else {})
