"""From a notice to its story: what the message needs, read from the store in bounded time and memory.

Of an experiment MOST_RUNS runs are read, of their curves a sample; of a series what a picture can show. Whatever cannot
be read is left out with a sentence; only a store that is away, or a run that is gone, stops the message.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from notify.choosing import panels
from notify.following import as_it_was, retrying
from notify.gather_sweep import MOST_RUNS, Experiments
from notify.reading import Reading
from notify.siblings import chosen, labels, metric_of, standing, varying
from notify.story import Retrying, Standing, Story
from notify.thinning import thinned
from store.errors import LabqError, NoSuchRun, StoreUnavailable
from store.findings import Finding
from store.metrics import Series
from store.notices import Notice
from store.occasions import Occasion
from store.outcomes import outcome_of
from store.plain_text import clean
from store.query import Compared, Metric, Missing, Not, Op, Order, Stat, both
from store.runs import Run, short
from store.samples import Sample
from store.states import State
from store.store import RunQuery
from store.workers import Worker

TAIL_BYTES = 64 * 1024
MOST_POINTS = 1_000_000
"""Of a series. A longer one is not drawn: reading it would take seconds and some hundred megabytes."""
HISTORY_POINTS = 400_000
"""Of all series together, attached as CSV."""
SAMPLES_S = 3600.0
"""So much of the time before the end is shown."""
MOST_SAMPLES = 400
DIGEST_SWEEPS = 3
_T = TypeVar("_T")
_OF_A_SWEEP = frozenset({Occasion.SWEEP_FINISHED, Occasion.EVERY})
_PATIENCE_S = 2.0
_LONG_AGO_S = 30 * 86400.0


def gather(store: Reading, notice: Notice) -> Story:
    """Raises StoreUnavailable, and NoSuchRun when the run was deleted."""
    return _Gatherer(store, notice).story()


class _Gatherer:
    """One notice's reading."""

    def __init__(self, store: Reading, notice: Notice) -> None:
        self._store, self._notice = store, notice
        self._left_out: list[str] = []
        self._experiments = Experiments(store)

    def story(self) -> Story:
        """Everything."""
        story = Story(now=self._store.now())
        if self._notice.run:
            story = self._about_run(story)
        elif self._notice.finding is not None:
            story = replace(story, findings=(self._notice.finding,))
        if self._notice.about is Occasion.DIGEST:
            story = self._digest(story)
        elif self._notice.about in _OF_A_SWEEP and self._notice.experiment and not self._notice.run:
            sweep = self._try("the sweep", lambda: self._experiments.sweep(self._notice.experiment), None)
            story = replace(story, sweep=sweep)
        if self._notice.worker:
            story = self._about_worker(story)
        return replace(story, left_out=tuple(self._left_out))

    def _try(self, what: str, read: Callable[[], _T], otherwise: _T) -> _T:
        try:
            return read()
        except (StoreUnavailable, NoSuchRun):
            raise
        except (LabqError, ValueError, KeyError, TypeError, ArithmeticError, MemoryError) as error:
            self._left_out.append(f"{what} could not be read: {type(error).__name__}: {error}"[:300])
            return otherwise

    # ── a run ──
    def _about_run(self, story: Story) -> Story:
        now_run = self._store.run(self._notice.run)
        run = as_it_was(self._notice, now_run)
        story = replace(story, run=run, label=short(run.id), retrying=self._retrying(now_run))
        story = self._try("the other runs", lambda: self._beside_siblings(story, run), story)
        own: tuple[Series, ...] = self._try("the curves", lambda: self._series(run), ())
        findings: tuple[Finding, ...] = self._try("the findings", lambda: self._findings(run), ())
        tail = self._try("the output", lambda: self._store.log_tail(run.id, run.attempt, TAIL_BYTES), b"")
        return replace(
            story,
            series=own,
            findings=findings,
            output=clean(tail),
            samples=self._try("what the machine saw", lambda: self._samples(story, run), ()),
            history=self._try("the history", lambda: self._history(run), ()) if self._notice.with_history else (),
        )

    def _retrying(self, run: Run) -> Retrying | None:
        return retrying(self._notice, run)

    def _beside_siblings(self, story: Story, run: Run) -> Story:
        outcomes = self._experiments.outcomes(run.experiment)
        if all(one.id != run.id for one in outcomes):
            outcomes = [*outcomes, outcome_of(run)]
        names = labels(outcomes)
        differing = varying(outcomes)
        story = replace(story, label=names[run.id], differing=chosen(run.params, differing))
        metric = self._notice.metric if self._notice.metric in run.summary else metric_of([outcome_of(run)])
        if metric is None:
            return story
        also_running = self._notice.about in (Occasion.BEST_SO_FAR, Occasion.EVERY)
        found = standing(run, metric, outcomes, names, also_running=also_running)
        if len(outcomes) >= MOST_RUNS:
            found = self._try("the rank", lambda: self._counted(found, run), replace(found, rank=None))
        if found.best is None:
            return replace(story, standing=found)
        wanted = [metric, *self._experiments.partners(metric, found.best.summary)]
        best = tuple(self._read(found.best.id, name) for name in wanted)
        return replace(
            story,
            standing=found,
            best_series=tuple(one for one in best if one is not None),
            best_differing=chosen(found.best.params, differing),
            band=self._experiments.band(run, metric, outcomes),
        )

    def _counted(self, found: Standing, run: Run) -> Standing:
        """Too many runs to read them all: the server counts those that are ahead, and finds the best."""
        field = Metric(name=found.metric, stat=Stat.MAX if found.greatest else Stat.MIN)
        ended = RunQuery(experiment=run.experiment, states=(State.FINISHED,))
        among = replace(ended, where=Not(part=Missing(field=field)))
        all_of_them = self._store.count(among, 1_000_000, _PATIENCE_S)
        ahead = None
        if found.value is not None:
            further = Compared(field=field, op=Op.GREATER if found.greatest else Op.LESS, value=found.value)
            ahead = self._store.count(replace(ended, where=both(further)), 1_000_000, _PATIENCE_S)
        best = self._store.runs(replace(among, order=Order(field=field, descending=found.greatest), limit=2))
        other = next((one for one in best if one.id != run.id), None)
        if ahead is None or all_of_them is None:
            return replace(found, rank=None)
        summary = other.summary[found.metric] if other else None
        return replace(
            found,
            rank=ahead + 1,
            among=all_of_them + (run.state is not State.FINISHED),
            best=outcome_of(other) if other else found.best,
            best_label=short(other.id) if other else found.best_label,
            best_value=(summary.max if found.greatest else summary.min) if summary else found.best_value,
        )

    def _series(self, run: Run) -> tuple[Series, ...]:
        about = self._notice.finding.about if self._notice.finding else self._notice.metric
        names = [name for panel in panels(list(run.summary), about) for name in panel]
        return tuple(one for name in names if (one := self._read(run.id, name, run)) is not None)

    def _read(self, run_id: str, name: str, run: Run | None = None) -> Series | None:
        """One series, thinned; None for one that is empty or too long."""
        points = run.summary[name].count if run and name in run.summary else 0
        if points > MOST_POINTS:
            self._left_out.append(f"{name} has {points:,} points; labq plot {short(run_id)} -m {name} draws them")
            return None
        series = thinned(self._store.curve(run_id, name))
        return series if series.steps else None

    def _findings(self, run: Run) -> tuple[Finding, ...]:
        known = self._store.diagnoses([run.id]).get(run.id)
        told = [self._notice.finding] if self._notice.finding else []
        names = {one.name for one in told}
        return (*told, *(one for one in (known.standing if known else ()) if one.name not in names))

    def _samples(self, story: Story, run: Run) -> tuple[Sample, ...]:
        """Those of this attempt in the last hour before its end."""
        attempt = next((one for one in run.history if one.number == run.attempt), None)
        end = (attempt.ended_at if attempt else None) or story.now
        ago_s = max(0.0, (story.now - end).total_seconds())
        if ago_s > _LONG_AGO_S:
            return ()
        found = [one for one in self._store.newest_samples([run.id], ago_s + SAMPLES_S) if one.attempt == run.attempt]
        stride = -(-len(found) // MOST_SAMPLES) if found else 1
        return tuple(found[::-1][::stride][::-1])

    def _history(self, run: Run) -> tuple[Series, ...]:
        """Every series, until there are too many points."""
        kept: list[Series] = []
        left = HISTORY_POINTS
        for name in self._store.series_names(run.id):
            points = run.summary[name].count if name in run.summary else 0
            if points > left:
                self._left_out.append(f"{name} is not in the attached history: {points:,} points are too many")
                continue
            kept.append(self._store.series(run.id, name))
            left -= len(kept[-1].steps)
        return tuple(kept)

    # ── a worker, a digest ──
    def _about_worker(self, story: Story) -> Story:
        worker = self._try("the worker", self._worker, None)
        held: list[Run] = self._try("its runs", lambda: self._store.held_by(self._notice.worker), [])
        names: dict[str, str] = dict(story.labels)
        for run in held:
            names |= {run.id: labels(self._experiments.outcomes(run.experiment)).get(run.id, short(run.id))}
        return replace(story, worker=worker, held=tuple(held), labels=names)

    def _worker(self) -> Worker | None:
        everybody = self._store.workers(_LONG_AGO_S)
        return next((one for one in everybody if one.name == self._notice.worker), None)

    def _digest(self, story: Story) -> Story:
        """Pictures of the experiments that most of it is about."""
        names = [part.experiment for part in self._notice.parts if part.experiment]
        often = sorted(dict.fromkeys(names), key=lambda name: -names.count(name))[:DIGEST_SWEEPS]
        if self._notice.experiment and self._notice.experiment not in often:
            often = [self._notice.experiment, *often][:DIGEST_SWEEPS]
        sweeps = [self._try(f"{name}", lambda name=name: self._experiments.sweep(name), None) for name in often]  # type: ignore[misc]
        found: dict[str, str] = {}
        for name in often:
            found |= labels(self._experiments.outcomes(name))
        wanted = {part.run for part in self._notice.parts}
        return replace(
            story,
            sweeps=tuple(one for one in sweeps if one is not None),
            labels={run: label for run, label in found.items() if run in wanted},
        )
