"""Enqueueing and looking up runs."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from store.blobs import blob_id
from store.errors import AmbiguousId, BadQuery, NoSuchRun
from store.experiments import Experiment
from store.grouping import Group, Grouping, grouped
from store.matching import matches
from store.memory.shared import Shared
from store.metrics import EVERY_AXIS, Axis, Curve, LogChunk, Series, as_curve, extended
from store.ordering import AFTER_OR_SKIP, UNORDERED, age, ordered
from store.outcomes import Outcome, outcome_of
from store.query import Names, param_paths
from store.rows import RowPage, Wanted, page_of
from store.runs import MetricSummary, Run
from store.states import State
from store.store import RunQuery


class Runs(Shared):
    """Experiments, runs, series, output."""

    def add_experiment(self, experiment: Experiment) -> None:
        """Record or refresh an experiment."""
        self._experiments[experiment.name] = experiment

    def add_runs(self, runs: Sequence[Run]) -> list[str]:
        """Insert the runs that are not there yet."""
        with self._lock:
            fresh = [run for run in runs if run.id not in self._runs]
            self._runs.update({run.id: run for run in fresh})
            for run in fresh:
                self._param_names[run.experiment] |= param_paths(run.params)
                self._metric_names[run.experiment] |= set(run.summary)
            return [run.id for run in fresh]

    def add_blob(self, text: str) -> str:
        """Keep a text once under the hash of its content."""
        self._blobs.setdefault(blob_id(text), text)
        return blob_id(text)

    def blob(self, wanted: str) -> str | None:
        """A text kept by add_blob."""
        return self._blobs.get(wanted)

    def run(self, id_or_prefix: str) -> Run:
        """The run with this id or unique prefix."""
        prefix = id_or_prefix.strip().lower()
        found = [run for run in self._runs.values() if prefix and run.id.startswith(prefix)]
        exact = [run for run in found if run.id == prefix]
        if not found:
            raise NoSuchRun(f"no run has an id that begins with {id_or_prefix!r}; see: labq ls")
        if len(found) > 1 and not exact:
            raise AmbiguousId(f"{id_or_prefix!r} fits several runs: {', '.join(sorted(run.id for run in found)[:5])}")
        return (exact or found)[0]

    def runs(self, query: RunQuery) -> list[Run]:
        """Matching runs, oldest first; with a limit: the newest ones."""
        now = self.now()
        after = self.run(query.after) if query.after else None
        found = [run for run in self._runs.values() if run == after or _matches(run, query, now)]
        if query.order is None:
            page = _cut(sorted(found, key=age, reverse=True), after, query)
            return page[::-1]
        if query.after and query.skip:
            raise BadQuery(AFTER_OR_SKIP)
        if query.order.field in UNORDERED:
            raise BadQuery(f"runs cannot be sorted by {query.order.field}: a run may have several")
        return _cut(ordered(found, query.order, now), after, query)

    def count(self, query: RunQuery, at_most: int, within_s: float) -> int | None:
        """How many runs match, within bounds."""
        del within_s
        now = self.now()
        return min(at_most, sum(_matches(run, query, now) for run in self._runs.values()))

    def groups(self, query: RunQuery, grouping: Grouping) -> list[Group]:
        """The matching runs counted by the value of a field."""
        if grouping.by in UNORDERED:
            raise BadQuery(f"runs cannot be grouped by {grouping.by}: a run may have several")
        now = self.now()
        return grouped((run for run in self._runs.values() if _matches(run, query, now)), grouping, now)

    def names(self, experiments: Sequence[str] = ()) -> Names:
        """The metrics and parameters of these experiments, or of all."""
        chosen = experiments or list(self._param_names)
        return Names(
            metrics=frozenset().union(*(self._metric_names[name] for name in chosen)),
            params=frozenset().union(*(self._param_names[name] for name in chosen)),
        )

    def run_ids(self, query: RunQuery) -> list[str]:
        """The ids of all runs that match, in the order of the ids."""
        return sorted(run.id for run in self.runs(replace(query, limit=0)))

    def outcomes(self, query: RunQuery) -> Iterator[Outcome]:
        """A small part of each matching run, oldest first."""
        return map(outcome_of, self.runs(replace(query, limit=0)))

    def rows(self, query: RunQuery, wanted: Wanted) -> Iterator[RowPage]:
        """Parts of the matching runs."""
        yield page_of(self.runs(query), wanted, self.now())

    def runs_in_pages(self, query: RunQuery) -> Iterator[list[Run]]:
        """The matching runs."""
        yield self.runs(query)

    def values_at(self, steps: Mapping[str, int], names: Sequence[str]) -> dict[str, dict[str, float]]:
        """What these runs reported of these metrics at one step each."""
        return {
            run_id: {p.name: p.value for _, p in self._points[run_id] if p.step == step and p.name in names}
            for run_id, step in steps.items()
        }

    def counts(self, experiment: str | None = None, at_most: int = 0) -> dict[State, int]:
        """How many runs are in each state."""
        found = Counter(run.state for run in self._runs.values() if experiment in (None, run.experiment))
        return {state: min(count, at_most or count) for state, count in found.items()}

    def experiment(self, name: str) -> Experiment | None:
        """The experiment of this name."""
        return self._experiments.get(name)

    def experiments(self) -> list[Experiment]:
        """All experiments, newest first."""
        return sorted(self._experiments.values(), key=lambda e: e.created_at, reverse=True)

    def series_names(self, run_id: str) -> list[str]:
        """Names of the run's metrics, sorted."""
        return sorted({point.name for _, point in self._points[run_id]})

    def series(self, run_id: str, name: str) -> Series:
        """The whole history of one metric."""
        points = [point for _, point in self._points[run_id] if point.name == name]
        return Series(
            name=name,
            steps=tuple(point.step for point in points),
            times=tuple(point.time for point in points),
            values=tuple(point.value for point in points),
        )

    def curve(self, run_id: str, name: str, axes: Collection[Axis] = EVERY_AXIS) -> Curve:
        """The same as arrays."""
        found = as_curve(self.series(run_id, name))
        steps = found.steps if Axis.STEP in axes else found.steps[:0]
        return replace(found, steps=steps, times=found.times if Axis.TIME in axes else found.times[:0])

    def series_in_part(self, run_id: str, names: Sequence[str], newest: int, older: int) -> dict[str, Series]:
        """The newest points, and an even choice of those before."""
        return {name: _in_part(self.series(run_id, name), newest, older) for name in names}

    def log(self, run_id: str, attempt: int, from_offset: int = 0) -> list[LogChunk]:
        """The attempt's output from an offset on, in order."""
        return [chunk for chunk in self._output[run_id, attempt] if chunk.offset >= from_offset]

    def log_tail(self, run_id: str, attempt: int, max_bytes: int) -> bytes:
        """The last bytes of the attempt's output."""
        return b"".join(chunk.data for chunk in self._output[run_id, attempt])[-max_bytes:]

    def _summary(self, run_id: str) -> dict[str, MetricSummary]:
        every = [self.series(run_id, name) for name in self.series_names(run_id)]
        summaries = {one.name: extended(None, one.steps, one.values) for one in every}
        return {name: summary for name, summary in summaries.items() if summary is not None}


def _in_part(series: Series, newest: int, older: int) -> Series:
    count = len(series.steps)
    before = max(0, count - newest)
    chosen = [*range(0, before, -(-before // older) if before else 1), *range(before, count)]
    return Series(
        name=series.name,
        steps=tuple(series.steps[i] for i in chosen),
        times=tuple(series.times[i] for i in chosen),
        values=tuple(series.values[i] for i in chosen),
    )


def _cut(found: list[Run], after: Run | None, query: RunQuery) -> list[Run]:
    """The page of a list that has the run before the page in it."""
    begin = (0 if after is None else found.index(after) + 1) + query.skip
    return found[begin : begin + query.limit] if query.limit else found[begin:]


def _matches(run: Run, query: RunQuery, now: datetime) -> bool:
    return (
        query.experiment in (None, run.experiment)
        and (not query.states or run.state in query.states)
        and (not query.ids or run.id in query.ids)
        and (query.tag is None or query.tag in run.tags)
        and (query.where is None or matches(query.where, run, now))
    )
