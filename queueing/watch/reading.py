"""Reading an experiment or a run round by round: what has changed, and of curves only what is new."""

import time
from collections.abc import Mapping, Sequence
from datetime import datetime

from queueing.live.pace import Mark, watched
from queueing.watch.book import Book
from queueing.watch.choice import best_first, is_greatest, metric_of, wanted
from queueing.watch.compose import Read, compose
from queueing.watch.picture import Picture, Sweep, Wanted
from queueing.watch.single import SingleReader
from store.experiments import Experiment
from store.findings import Diagnosis
from store.glances import Pulse
from store.runs import Run
from store.states import State
from store.store import Store

OF_EACH_STATE = 400
"""So many runs of each state are looked at: one look at all of them takes the server a few milliseconds."""
MOST_COUNTED = 10_000
_FINDINGS_S = 10.0
"""Findings of runs that do not run are read so often; those of running ones in every round."""
_BOOKS = 4
"""Curves of so many metrics are kept, so that going to and fro reads nothing again."""


class SweepReader:
    """Remembers the runs as they were, how far each was lately, and the curves."""

    def __init__(self, store: Store, experiment: str) -> None:
        self._store, self._name = store, experiment
        self._experiment: Experiment | None = None
        self._pulses: dict[str, Pulse] = {}
        self._runs: dict[str, Run] = {}
        self._marks: dict[tuple[str, int], tuple[Mark, ...]] = {}
        self._diagnoses: dict[str, Diagnosis] = {}
        self._findings_again = 0.0
        self._books: dict[str, Book] = {}

    def read(self, metric: str, now: datetime) -> Sweep:
        """One round. Raises StoreUnavailable."""
        self._experiment = self._experiment or self._store.experiment(self._name)
        self._look()
        self._watch(now)
        self._diagnose()
        runs = list(self._runs.values())
        metrics = tuple(sorted({name for run in runs for name in run.summary}))
        definition, stopping = self._said()
        chosen = metric if metric in metrics else metric_of(metrics, definition, stopping)
        greatest = is_greatest(chosen, definition, stopping)
        shown = wanted(runs, best_first(runs, chosen, greatest=greatest), chosen)
        book = self._book(chosen)
        unread = book.read(shown)
        return compose(
            Read(
                now=now,
                experiment=self._name,
                owner=self._experiment.owner if self._experiment else "",
                counts=self._store.counts(self._name, at_most=MOST_COUNTED + 1),
                runs=runs,
                marks=self._marks,
                diagnoses=self._diagnoses,
                metrics=metrics,
                metric=chosen,
                greatest=greatest,
                curves=book.curves(run.id for run in shown),
                unread=unread,
            )
        )

    def siblings(self) -> Sequence[Run]:
        """The runs as they were last seen."""
        return list(self._runs.values())

    def _look(self) -> None:
        """Runs that have changed are read again, all others stay as they were."""
        pulses = {one.id: one for one in self._store.pulses(self._name, OF_EACH_STATE)}
        changed = [run for run, pulse in pulses.items() if self._pulses.get(run) != pulse]
        fresh = {run.id: run for run in self._store.light_runs(changed)} if changed else {}
        self._pulses = {run: pulse for run, pulse in pulses.items() if run in fresh or run in self._runs}
        known = ((run, fresh.get(run) or self._runs[run]) for run in self._pulses)
        self._runs = dict(sorted(known, key=lambda pair: (pair[1].queued_at, pair[1].index, pair[0])))

    def _watch(self, now: datetime) -> None:
        self._marks = {
            (run.id, run.attempt): watched(self._marks.get((run.id, run.attempt), ()), run.progress, now)
            for run in self._runs.values()
            if run.state is State.RUNNING and run.progress is not None
        }

    def _diagnose(self) -> None:
        everyone = time.monotonic() >= self._findings_again
        asked = [run.id for run in self._runs.values() if everyone or run.state is State.RUNNING]
        found: Mapping[str, Diagnosis] = self._store.diagnoses(asked) if asked else {}
        self._diagnoses = {**({} if everyone else self._diagnoses), **found}
        if everyone:
            self._findings_again = time.monotonic() + _FINDINGS_S

    def _book(self, metric: str) -> Book:
        book = self._books.pop(metric, None) or Book(self._store, metric)
        self._books = {**dict(list(self._books.items())[1 - _BOOKS :]), metric: book}
        return book

    def _said(self) -> tuple[dict[str, object], dict[str, object] | None]:
        return (self._experiment.definition, self._experiment.stopping) if self._experiment else ({}, None)


class Reader:
    """What the page is about: an experiment, or the run that somebody has opened in it."""

    def __init__(self, store: Store, experiment: str) -> None:
        self._store = store
        self._sweep = SweepReader(store, experiment)
        self._single: SingleReader | None = None
        self._wanted = Wanted()
        self._last = Picture(at=store.now())

    def want(self, wanted: Wanted) -> None:
        """From the next round on."""
        self._wanted = wanted

    def read(self) -> Picture:
        """One round. Raises StoreUnavailable. While a run is open, its experiment stays as it was."""
        asked, now = self._wanted, self._store.now()
        sweep = self._last.sweep if asked.run else self._sweep.read(asked.metric, now)
        single = self._of(asked.run).read(now, self._sweep.siblings(), asked.panel) if asked.run else None
        self._last = Picture(at=now, sweep=sweep, single=single, number=self._last.number + 1)
        return self._last

    def _of(self, run: str) -> SingleReader:
        if self._single is None or self._single.run_id != run:
            self._single = SingleReader(self._store, run)
        return self._single
