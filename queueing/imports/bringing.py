"""Runs of elsewhere into the store: one after another, each whole or not at all; what is there already stays.

An import that is killed leaves one run unfinished at most; the same command removes what is left of it and goes on.
"""

import os
import socket
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from queueing.imports.elsewhere import Elsewhere
from store.errors import UserError
from store.experiments import Experiment
from store.imports import TAG
from store.logbook import say
from store.metrics import Segment, Shipment, summarize
from store.runs import MetricSummary
from store.store import Store

_LOCK = "import"
_LEASE_S = 20.0
"""Nothing depends on it: points are fenced by the import's name. It only keeps two from undoing each other's work."""
_WAIT_S = 40.0
_OUTPUT_BYTES = 4 << 20
_NOTHING = Shipment(events_from=0, events_to=0, lines_to=0, output_from=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Brought:
    """What an import did. `lost`: files that the source names and has no more."""

    added: int = 0
    known: int = 0
    lost: tuple[str, ...] = ()


class Bringing:
    """One import: it holds the lock while it works, and knows itself by a name that nobody else has."""

    def __init__(self, store: Store, source: str, owner: str, *, again: bool = False) -> None:
        self._store, self._source, self._owner, self._again = store, source, owner, again
        self.name = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._experiments: set[str] = set()
        self._renewed = 0.0

    def all(self, runs: Iterable[Elsewhere], on_run: Callable[[bool], None] = lambda _: None) -> Brought:
        """Raises UserError for an experiment that has runs of its own, StoreUnavailable."""
        added, known, lost = 0, 0, []
        with _held(self._store, self.name):
            for run in runs:
                self._renew()
                self._open_experiment(run.experiment)
                is_new, missing = self._bring(run)
                added, known = added + is_new, known + (not is_new)
                lost += missing
                on_run(is_new)
        return Brought(added=added, known=known, lost=tuple(lost))

    def _bring(self, elsewhere: Elsewhere) -> tuple[bool, list[str]]:
        run = elsewhere.as_run(self._source, self._owner)
        if not self._store.begin_import(run, self.name, again=self._again):
            return False, []
        summary = self._points(run.id, elsewhere.points())
        self._output(run.id, elsewhere.output)
        lost = self._files(run.id, elsewhere)
        self._store.end_import(replace(run, summary=summary), self.name)
        return True, lost

    def _points(self, run_id: str, segments: Iterable[Segment]) -> dict[str, MetricSummary]:
        summary: dict[str, MetricSummary] = {}
        for segment in segments:
            self._renew()
            lines_to = segment.index + len(segment.lines)
            self._store.import_part(run_id, self.name, replace(_NOTHING, lines_to=lines_to, segments=(segment,)))
            summary = summarize(summary, [segment])
        return summary

    def _output(self, run_id: str, output: bytes) -> None:
        for start in range(0, len(output), _OUTPUT_BYTES):
            piece = output[start : start + _OUTPUT_BYTES]
            self._store.import_part(run_id, self.name, replace(_NOTHING, output_from=start, output=piece))

    def _files(self, run_id: str, elsewhere: Elsewhere) -> list[str]:
        """One at a time by way of a temporary folder. What was lost before we came is no reason to stop."""
        lost = []
        for file in elsewhere.files:
            self._renew()
            with tempfile.TemporaryDirectory(prefix="labq-import-") as folder:
                path = Path(folder, Path(file.name).name or "file")
                if file.fetch(path):
                    self._store.add_artifact(run_id, 1, path, source=file.name)
                else:
                    lost.append(f"{elsewhere.original}: {file.name}")
        return lost

    def _open_experiment(self, name: str) -> None:
        if name in self._experiments:
            return
        there = self._store.experiment(name)
        check_experiment(there, name)
        if there is None:
            made = Experiment(
                name=name, owner=self._owner, source=self._source, text="", tags=(TAG,), created_at=self._store.now()
            )
            self._store.add_experiment(made)
        self._experiments.add(name)

    def _renew(self) -> None:
        if time.monotonic() - self._renewed > _LEASE_S / 4:
            self._store.lock(_LOCK, self.name, _LEASE_S, 0.0)
            self._renewed = time.monotonic()


def check_experiment(there: Experiment | None, name: str) -> None:
    """Imported runs lie in experiments of their own. Raises UserError."""
    if there is not None and TAG not in there.tags:
        raise UserError(f"the experiment {name!r} has runs of labq; import into one of its own: --experiment NAME")


@contextmanager
def _held(store: Store, name: str) -> Iterator[None]:
    """One import at a time; the lock of one that was killed is waited for."""
    deadline = time.monotonic() + _WAIT_S
    waited = False
    while store.lock(_LOCK, name, _LEASE_S, 0.0) is None:
        if not waited:
            say("import-waits", for_the_lock_of="another import, or one that was killed", at_most_s=_WAIT_S)
        waited = True
        if time.monotonic() > deadline:
            raise UserError("somebody else is importing just now; try again when that is done")
        time.sleep(0.5)
    try:
        yield
    finally:
        store.lock(_LOCK, name, 0.0, 0.0)
