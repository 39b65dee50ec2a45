"""Reading one run: its curves, what it uses, what it says."""

from collections.abc import Sequence
from datetime import datetime

from queueing.live.pace import Mark, durations_s, rate, time_left_s, watched
from queueing.watch.book import Book
from queueing.watch.compose import standing
from queueing.watch.curves import EMPTY, Curve
from queueing.watch.picture import Single
from store.families import MOST_PANELS, panels
from store.plain_text import last_lines
from store.runs import Run
from store.samples import Sample
from store.states import State
from store.store import Store

LINES = 200
STROKES_OF_EACH = 50
_TAIL_BYTES = 16_384
_SAMPLES_BACK_S = 3600.0
_MOST_SAMPLES = 400
_MOST_OF_A_PANEL = 6
_SLACK_S = 5.0


class SingleReader:
    """Remembers curves, samples and the end of the output."""

    def __init__(self, store: Store, run_id: str) -> None:
        self._store, self.run_id = store, run_id
        self._books: dict[str, Book] = {}
        self._marks: tuple[Mark, ...] = ()
        self._samples: tuple[Sample, ...] = ()
        self._sampled_at: datetime | None = None
        self._told: tuple[int, int] = (0, 0)
        self._output: tuple[str, ...] = ()

    def read(self, now: datetime, siblings: Sequence[Run], first_panel: int) -> Single:
        """One round, with the curves of four panels. Raises StoreUnavailable, NoSuchRun."""
        run = self._store.run(self.run_id)
        if run.progress is not None and run.state is State.RUNNING:
            self._marks = watched(self._marks, run.progress, now)
        per_s = rate(run, self._marks, now) if run.state is State.RUNNING else None
        took_s = durations_s(siblings).get(run.experiment, ())
        groups = tuple(tuple(group[:_MOST_OF_A_PANEL]) for group in panels(list(run.summary), len(run.summary)))
        self._look(run, now)
        curves, unread = self._curves(
            run, [name for group in turned(groups, first_panel)[:MOST_PANELS] for name in group]
        )
        return Single(
            run=run,
            per_s=per_s,
            left_s=time_left_s(run, per_s, now, took_s) if run.state is State.RUNNING else None,
            panels=groups,
            curves=curves,
            unread=unread,
            samples=tuple(sample for sample in self._samples if sample.attempt == run.attempt),
            findings=standing(self._store.diagnoses([run.id]).get(run.id), run),
            output=self._output,
        )

    def _curves(self, run: Run, names: Sequence[str]) -> tuple[dict[str, Curve], int]:
        """By metric; and how many of them have more to be read."""
        found: dict[str, Curve] = {}
        unread = 0
        for name in names:
            book = self._books.setdefault(name, Book(self._store, name))
            unread += book.read([run], STROKES_OF_EACH)
            found |= dict.fromkeys([name], book.curves([run.id]).get(run.id, EMPTY))
        return found, unread

    def _look(self, run: Run, now: datetime) -> None:
        self._sample(run, now)
        told = (run.attempt, run.shipped.output_bytes)
        if run.attempt and told != self._told:
            tail = self._store.log_tail(run.id, run.attempt, _TAIL_BYTES)
            self._output, self._told = tuple(last_lines(tail, LINES).split("\n")), told

    def _sample(self, run: Run, now: datetime) -> None:
        """The last hour of the run, then only what has come since."""
        if self._sampled_at is not None:
            since_s = (now - self._sampled_at).total_seconds() + _SLACK_S
        else:
            since_s = (now - (run.ended_at or now)).total_seconds() + _SAMPLES_BACK_S
        known = {sample.at for sample in self._samples}
        new = [one for one in self._store.newest_samples([run.id], since_s) if one.at not in known]
        self._samples = (*self._samples, *new)[-_MOST_SAMPLES:]
        self._sampled_at = now


def turned(groups: Sequence[tuple[str, ...]], first: int) -> list[tuple[str, ...]]:
    """The same, from another one on."""
    at = first % len(groups) if groups else 0
    return [*groups[at:], *groups[:at]]
