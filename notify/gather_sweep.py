"""Experiments as wholes, each read once for a message."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice

from notify.choosing import partner
from notify.reading import Reading
from notify.siblings import chosen, failures, flat, grid_of, key_of, labels, metric_of, ranked, varying
from notify.story import Band, Curve, Ranked, Sweep
from notify.thinning import band, thinned
from store.findings import Finding
from store.metrics import Series
from store.outcomes import Outcome
from store.runs import MetricSummary, Run
from store.states import State
from store.store import RunQuery

MOST_RUNS = 2000
"""Of one experiment; about 20 MB while a message is made."""
BAND_RUNS = 24
GRID_PER_CELL = 3
FAN_RUNS = 40
BEST_ROWS = 10
LOOKED_AT = 500
_LONG_SERIES = 100_000
_COLUMNS = 160
_COUNTED = 1_000_000


class Experiments:
    """What a message needs of them."""

    def __init__(self, store: Reading) -> None:
        self._store = store
        self._known: dict[str, list[Outcome]] = {}

    def outcomes(self, experiment: str) -> list[Outcome]:
        """The oldest MOST_RUNS runs."""
        if experiment not in self._known:
            found = self._store.outcomes(RunQuery(experiment=experiment))
            self._known[experiment] = list(islice(found, MOST_RUNS))
        return self._known[experiment]

    def partners(self, metric: str, summary: Mapping[str, MetricSummary]) -> list[str]:
        """The same figure of the training data, where there is one."""
        found = partner(metric, summary)
        return [found] if found else []

    def band(self, run: Run, metric: str, outcomes: Sequence[Outcome]) -> Band | None:
        """Of at most BAND_RUNS others that have finished, from the best to the worst at equal distances."""
        others = [one for one in outcomes if one.id != run.id and one.state is State.FINISHED]
        rows = ranked(others, metric, labels(outcomes))
        rows = [row for row in rows if row.outcome.summary[metric].count <= _LONG_SERIES]
        return band(metric, [self._thin(row.outcome, metric) for row in _evenly(rows, BAND_RUNS)])

    def sweep(self, experiment: str) -> Sweep:
        """The whole experiment."""
        outcomes = self.outcomes(experiment)
        names, values = labels(outcomes), varying(outcomes)
        metric = metric_of(outcomes)
        counts = {state: count for state, count in self._store.counts(experiment, _COUNTED).items() if count}
        known = self._store.experiment(experiment)
        base = Sweep(
            experiment=experiment,
            total=sum(counts.values()),
            read=len(outcomes),
            counts=counts,
            metric=metric,
            varying=values,
            failures=failures(outcomes, names),
            findings=tuple(self._findings(outcomes, names)),
            owner=known.owner if known else "",
            started_at=min((one.started_at for one in outcomes if one.started_at), default=None),
            ended_at=max((one.ended_at for one in outcomes if one.ended_at), default=None),
        )
        if metric is None:
            return base
        rows = ranked(outcomes, metric, names)
        finished = [row for row in rows if row.outcome.state is State.FINISHED]
        training = partner(metric, {name: None for one in outcomes[:50] for name in one.summary})
        return replace(
            base,
            training_metric=training,
            ranked=tuple(finished[:BEST_ROWS] or rows[:BEST_ROWS]),
            curves=(*self._curves(base, rows, outcomes, metric, training), *_without(outcomes, rows, base, names)),
        )

    def _curves(
        self, sweep: Sweep, rows: Sequence[Ranked], outcomes: Sequence[Outcome], metric: str, training: str | None
    ) -> Iterable[Curve]:
        """Every run's place and value; the series of those that the picture shows."""
        pair = grid_of(sweep.varying, [flat(one.params) for one in outcomes])
        drawn = _of_cells(rows, pair) if pair else {row.outcome.id for row in _evenly(rows, FAN_RUNS)}
        firsts = _of_cells(rows, pair, 1) if pair else {row.outcome.id for row in rows[:1]}
        for row in rows:
            one = row.outcome
            usable = one.id in drawn and one.summary[metric].count <= _LONG_SERIES
            with_training = usable and one.id in firsts and training in one.summary
            yield Curve(
                run=one.id,
                label=row.label,
                params=chosen(one.params, sweep.varying),
                state=one.state,
                best=row.value,
                series=self._thin(one, metric) if usable else None,
                training=self._thin(one, training) if with_training and training else None,
            )

    def _thin(self, outcome: Outcome, metric: str) -> Series:
        return thinned(self._store.curve(outcome.id, metric), _COLUMNS)

    def _findings(self, outcomes: Sequence[Outcome], names: Mapping[str, str]) -> Iterable[tuple[str, Finding]]:
        known = self._store.diagnoses([one.id for one in outcomes[:LOOKED_AT]])
        for run_id, diagnosis in known.items():
            for finding in diagnosis.standing:
                yield names[run_id], finding


def _without(
    outcomes: Sequence[Outcome], rows: Sequence[Ranked], sweep: Sweep, names: Mapping[str, str]
) -> Iterable[Curve]:
    """Runs that have no number: their places in the grid are not empty."""
    known = {row.outcome.id for row in rows}
    for one in outcomes:
        if one.id not in known:
            params = chosen(one.params, sweep.varying)
            yield Curve(run=one.id, label=names[one.id], params=params, state=one.state, best=None)


def _evenly(rows: Sequence[Ranked], most: int) -> list[Ranked]:
    """At most so many, the first and the last among them."""
    if len(rows) <= most:
        return list(rows)
    return [rows[round(place * (len(rows) - 1) / (most - 1))] for place in range(most)]


def _of_cells(rows: Sequence[Ranked], pair: tuple[str, str] | None, most: int = GRID_PER_CELL) -> set[str]:
    """The best few runs of every cell of the grid."""
    if pair is None:
        return set()
    cells: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        values = flat(row.outcome.params)
        cell = cells.setdefault((key_of(values.get(pair[0])), key_of(values.get(pair[1]))), [])
        if len(cell) < most:
            cell.append(row.outcome.id)
    return {run for cell in cells.values() for run in cell}
