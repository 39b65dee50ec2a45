"""What of the store a message is made from: this and no more."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Protocol

from store.experiments import Experiment
from store.findings import Diagnosis
from store.metrics import Curve, Series
from store.outcomes import Outcome
from store.runs import Run
from store.samples import Sample
from store.states import State
from store.store import RunQuery
from store.workers import Worker


class Reading(Protocol):
    """A part of `store.store.Store`, whose words hold here too."""

    def now(self) -> datetime:
        """The server's clock."""

    def run(self, id_or_prefix: str) -> Run:
        """Raises NoSuchRun."""

    def runs(self, query: RunQuery) -> list[Run]:
        """A page of the matching runs."""

    def count(self, query: RunQuery, at_most: int, within_s: float) -> int | None:
        """How many match."""

    def outcomes(self, query: RunQuery) -> Iterator[Outcome]:
        """A small part of each, oldest first."""

    def counts(self, experiment: str | None = None, at_most: int = 0) -> dict[State, int]:
        """How many runs are in each state."""

    def experiment(self, name: str) -> Experiment | None:
        """The experiment of this name."""

    def series_names(self, run_id: str) -> list[str]:
        """Names of the run's metrics."""

    def series(self, run_id: str, name: str) -> Series:
        """One metric's history."""

    def curve(self, run_id: str, name: str) -> Curve:
        """The same as arrays."""

    def log_tail(self, run_id: str, attempt: int, max_bytes: int) -> bytes:
        """The end of the output."""

    def newest_samples(self, runs: Sequence[str], within_s: float) -> list[Sample]:
        """What was seen of these runs in the last seconds."""

    def diagnoses(self, run_ids: Sequence[str]) -> dict[str, Diagnosis]:
        """What was found about them."""

    def workers(self, within_s: float) -> list[Worker]:
        """Workers seen lately."""

    def held_by(self, worker_name: str) -> list[Run]:
        """Running runs of this worker."""
