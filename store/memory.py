"""The in-memory twin of the MongoDB store: the same promises, for tests and for reading what they are."""

import hashlib
import threading
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from store.attempts import began, settled
from store.blobs import blob_id
from store.changes import Change, Changed
from store.courses import Afoot, Asked, Course, Reached, Track, Until, Watched
from store.damage import Damage, Fault
from store.errors import AmbiguousId, BadQuery, CheckpointDamaged, IllegalTransition, NoSuchRun, StoreFailed, Superseded
from store.events import Event
from store.experiments import Experiment
from store.files import open_regular
from store.grouping import Group, Grouping, grouped
from store.matching import matches
from store.metrics import LogChunk, Point, Series, Shipment, extended
from store.notices import Notice, NoticeState, notices_for
from store.ordering import AFTER_OR_SKIP, UNORDERED, age, ordered
from store.outcomes import Outcome, outcome_of
from store.query import Names, param_paths
from store.reports import reported, reported_points
from store.runs import Artifact, Checkpoint, Lease, MetricSummary, Run, artifact_name, worth_keeping
from store.runs import Attempt as AttemptRecord
from store.samples import Peaks, Sample, highest
from store.states import ENDED, State, Wish, check_transition
from store.store import Decision, RunQuery
from store.studies import Study, StudyState, Trial, TrialState
from store.views import View
from store.workers import Drain, Worker, fits, is_refused


@dataclass(frozen=True, slots=True)
class _Held:
    owner: str
    until: datetime
    since: datetime
    taken: datetime


class MemoryStore:
    """`store.store.Store` in one process; a lock stands in for the transaction."""

    def __init__(self, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.now = clock
        self._lock = threading.RLock()
        self._runs: dict[str, Run] = {}
        self._experiments: dict[str, Experiment] = {}
        self._blobs: dict[str, str] = {}
        self._points: dict[str, list[tuple[int, Point]]] = defaultdict(list)
        self._output: dict[tuple[str, int], list[LogChunk]] = defaultdict(list)
        self._checkpoints: dict[str, list[tuple[Checkpoint, dict[str, bytes]]]] = defaultdict(list)
        self._artifacts: dict[tuple[str, str], tuple[Artifact, bytes]] = {}
        self._outbox: dict[str, Notice] = {}
        self._locks: dict[str, _Held] = {}
        self._workers: dict[str, Worker] = {}
        self._drains: dict[str, Drain] = {}
        self._events: list[Event] = []
        self._samples: dict[str, list[tuple[Sample, datetime]]] = defaultdict(list)
        self._peaks: dict[str, Peaks] = defaultdict(Peaks)
        self._views: dict[tuple[str, str], View] = {}
        self._metric_names: dict[str, set[str]] = defaultdict(set)
        self._param_names: dict[str, set[str]] = defaultdict(set)
        self._courses: dict[str, Course] = {}
        self._rungs: dict[tuple[str, float], Reached] = {}
        self._studies: dict[str, Study] = {}
        self._trials: dict[tuple[str, int], Trial] = {}

    def close(self) -> None:
        """Nothing to give back."""

    # ── enqueue ──
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

    # ── look ──
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

    def log(self, run_id: str, attempt: int, from_offset: int = 0) -> list[LogChunk]:
        """The attempt's output from an offset on, in order."""
        return [chunk for chunk in self._output[run_id, attempt] if chunk.offset >= from_offset]

    def log_tail(self, run_id: str, attempt: int, max_bytes: int) -> bytes:
        """The last bytes of the attempt's output."""
        return b"".join(chunk.data for chunk in self._output[run_id, attempt])[-max_bytes:]

    # ── the whole lab ──
    def running(self, limit: int) -> list[Run]:
        """Running runs, of their history the last line only."""
        found = [_light(run) for run in self._runs.values() if run.state is State.RUNNING]
        return sorted(found, key=lambda run: (run.queue, *_best_first(run)))[:limit]

    def recently_ended(self, limit: int) -> list[Run]:
        """The newest endings first."""
        found = [(run.ended_at, _light(run)) for run in self._runs.values() if run.ended_at is not None]
        return [run for _, run in sorted(found, key=lambda pair: pair[0], reverse=True)][:limit]

    def newest_samples(self, runs: Sequence[str], within_s: float) -> list[Sample]:
        """What was seen of these runs in the last seconds."""
        since = self.now() - timedelta(seconds=within_s)
        found = [sample for run in runs for sample in self.samples(run) if sample.at is not None and sample.at >= since]
        return sorted(found, key=lambda sample: sample.at or since)

    def queue_lengths(self) -> dict[tuple[State, str], int]:
        """How many runs of each state are in each queue."""
        return dict(Counter((run.state, run.queue) for run in self._runs.values()))

    def waiting_experiments(self, limit: int) -> dict[tuple[str, str], int]:
        """(queue, experiment) of the queued runs that are next."""
        found: Counter[tuple[str, str]] = Counter()
        queued = sorted((run for run in self._runs.values() if run.state is State.QUEUED), key=_best_first)
        for queue in {run.queue for run in queued}:
            mine = [run for run in queued if run.queue == queue]
            found.update((queue, run.experiment) for run in mine[:limit])
        return dict(found)

    # ── saved views ──
    def save_view(self, view: View) -> None:
        """Keep a view under its owner and name."""
        self._views[view.owner, view.name] = replace(view, saved_at=self.now())

    def views(self, owner: str | None = None) -> list[View]:
        """Saved views, by owner and name."""
        return [view for (mine, _), view in sorted(self._views.items()) if owner in (None, mine)]

    def remove_view(self, owner: str, name: str) -> bool:
        """Forget a view."""
        return self._views.pop((owner, name), None) is not None

    # ── an attempt's life ──
    def claim(self, worker: Worker, lease_s: float) -> Run | None:
        """Take the best eligible run that fits the worker."""
        with self._lock:
            now = self.now()
            due = [run for run in self._runs.values() if _claimable(run, now)]
            fitting = [run for run in due if fits(run, worker) and not is_refused(run, worker, now)]
            if not fitting:
                return None
            run = min(fitting, key=_best_first)
            attempt = AttemptRecord(number=run.attempt + 1, worker=worker.name, started_at=now)
            return self._put(
                replace(
                    run,
                    state=State.RUNNING,
                    attempt=run.attempt + 1,
                    lease=Lease(worker=worker.name, until=now + timedelta(seconds=lease_s)),
                    wish=None,
                    reason=None,
                    not_before=None,
                    started_at=run.started_at or now,
                    ended_at=None,
                    history=(*run.history, attempt),
                )
            )

    def begin(self, run_id: str, attempt: int, checkpoint: Checkpoint | None, facts: dict[str, Any]) -> Run:
        """Drop the points that this attempt will make again."""
        with self._lock:
            run = self._held(run_id, attempt)
            last = (checkpoint.attempt, checkpoint.line) if checkpoint else (-1, 0)
            points = self._points[run_id]
            self._points[run_id] = [
                (made_by, p) for made_by, p in points if made_by >= attempt or (made_by, p.line) <= last
            ]
            self._record(run, "began", step=checkpoint.step if checkpoint else None)
            return self._put(replace(began(run, checkpoint, facts), summary=self._summary(run_id)))

    def renew(self, run_id: str, attempt: int, lease_s: float) -> Wish | None:
        """Extend the lease; return what a person asked for meanwhile."""
        with self._lock:
            run = self._held(run_id, attempt)
            assert run.lease is not None
            lease = replace(run.lease, until=self.now() + timedelta(seconds=lease_s))
            return self._put(replace(run, lease=lease)).wish

    def note_facts(self, run_id: str, attempt: int, facts: dict[str, Any]) -> None:
        """Add facts about the attempt to its line of history."""
        with self._lock:
            run = self._held(run_id, attempt)
            last = replace(run.history[-1], facts={**run.history[-1].facts, **facts})
            self._put(replace(run, history=(*run.history[:-1], last)))

    def ship(self, run_id: str, attempt: int, shipment: Shipment, summary: dict[str, MetricSummary]) -> None:
        """Store a shipment exactly once."""
        with self._lock:
            run = self._held(run_id, attempt)
            stored = run.shipped
            if stored.events_bytes >= shipment.events_to and stored.output_bytes >= shipment.output_to:
                return
            if stored.events_bytes != shipment.events_from or stored.output_bytes != shipment.output_from:
                raise StoreFailed(f"run {run_id}: a shipment does not begin where the last one ended")
            shipped = replace(
                stored,
                events_bytes=shipment.events_to,
                events_lines=shipment.lines_to,
                output_bytes=shipment.output_to,
            )
            progress = shipment.progress or run.progress
            remark = run.remark if shipment.remark is None else shipment.remark
            self._put(replace(run, shipped=shipped, summary=summary, progress=progress, remark=remark))
            self._metric_names[run.experiment] |= set(summary)
            self._points[run_id] += [(attempt, point) for point in shipment.points]
            if shipment.output:
                chunk = LogChunk(attempt=attempt, offset=shipment.output_from, data=shipment.output)
                self._output[run_id, attempt].append(chunk)

    def publish_checkpoint(self, checkpoint: Checkpoint, path: Path, keep: int) -> Checkpoint:
        """Store the file, then point the run to it."""
        content = _content(path)
        digest = _digest(content)
        size_bytes = sum(len(data) for data in content.values())
        stored = replace(
            checkpoint, id=uuid.uuid4().hex[:24], size_bytes=size_bytes, sha256=digest, created_at=self.now()
        )
        with self._lock:
            run = self._held(checkpoint.run, checkpoint.attempt)
            self._put(replace(run, checkpoint=stored))
            self._raise_peaks(run.experiment, Peaks(checkpoint_bytes=size_bytes))
            held = [(stored, content), *self._checkpoints[run.id]]
            kept = worth_keeping([one for one, _ in held], keep)
            self._checkpoints[run.id] = [pair for pair in held if pair[0].id in kept]
        return stored

    def checkpoints(self, run_id: str) -> list[Checkpoint]:
        """Stored checkpoints, newest first."""
        return [checkpoint for checkpoint, _ in self._checkpoints[run_id]]

    def fetch_checkpoint(self, checkpoint: Checkpoint, folder: Path) -> Path:
        """Write the checkpoint into `folder`."""
        stored = {c.id: content for c, content in self._checkpoints[checkpoint.run]}
        content = stored.get(checkpoint.id)
        if content is None or _digest(content) != checkpoint.sha256:
            raise CheckpointDamaged(f"checkpoint {checkpoint.id} of run {checkpoint.run}: SHA-256 does not match")
        target = folder / checkpoint.name
        for name, data in content.items():
            file = target / name if name else target
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
        return target

    def add_artifact(self, run_id: str, attempt: int, path: Path, source: str | None = None) -> None:
        """Keep a file with the run."""
        source = source or str(path)
        with open_regular(path) as file:
            data = file.read()
        with self._lock:
            self._held(run_id, attempt)
            name = artifact_name(path.name, source, self.artifacts(run_id))
            kept = Artifact(id=name, run=run_id, attempt=attempt, name=name, size_bytes=len(data), source=source)
            self._artifacts[run_id, name] = (kept, data)

    def artifacts(self, run_id: str) -> list[Artifact]:
        """Kept files, by name."""
        found = (artifact for (run, _), (artifact, _) in self._artifacts.items() if run == run_id)
        return sorted(found, key=lambda artifact: artifact.name)

    def fetch_artifact(self, artifact: Artifact, folder: Path) -> Path:
        """Write a kept file into `folder`."""
        target = folder / artifact.name
        target.write_bytes(self._artifacts[artifact.run, artifact.name][1])
        return target

    def settle(self, run_id: str, attempt: int, decide: Decision, *, only_expired: bool = False) -> Run:
        """End the attempt and record what is owed."""
        with self._lock:
            run, now = self._held(run_id, attempt), self.now()
            if only_expired and run.lease is not None and run.lease.until > now:
                raise Superseded(f"run {run_id}: attempt {attempt} still holds its lease")
            settlement = decide(run) if callable(decide) else decide
            check_transition(run_id, run.state, settlement.state)
            self._owe(run, settlement.state)
            said = settlement.ending.message if settlement.refused and settlement.ending else ""
            self._record(run, settlement.state.value, message=said, reason=settlement.reason)
            return self._put(settled(run, settlement, now))

    # ── resources ──
    def add_sample(self, sample: Sample, peaks: Peaks, keep_s: float) -> None:
        """Keep a sample for a while, its peaks for good."""
        with self._lock:
            run, now = self._held(sample.run, sample.attempt), self.now()
            last = replace(run.history[-1], peaks=highest([run.history[-1].peaks, peaks]))
            self._put(replace(run, history=(*run.history[:-1], last)))
            self._raise_peaks(run.experiment, peaks)
            self._samples[run.id].append((replace(sample, at=now), now + timedelta(seconds=keep_s)))

    def samples(self, run_id: str) -> list[Sample]:
        """What is still kept of the run's samples."""
        now = self.now()
        return [sample for sample, until in self._samples[run_id] if until > now]

    def peaks(self, experiment: str) -> Peaks:
        """The most that any run of the experiment used."""
        return self._peaks[experiment]

    def _raise_peaks(self, experiment: str, peaks: Peaks) -> None:
        self._peaks[experiment] = highest([self._peaks[experiment], peaks])

    # ── repair ──
    def expired(self, limit: int = 100) -> list[Run]:
        """Running runs whose lease is over, `limit` at most."""
        now = self.now()
        return [run for run in self._runs.values() if run.lease is not None and run.lease.until < now][:limit]

    def held_by(self, worker_name: str) -> list[Run]:
        """Running runs whose lease this worker holds."""
        return [run for run in self._runs.values() if run.lease is not None and run.lease.worker == worker_name]

    def lock(self, name: str, owner: str, lease_s: float, gap_s: float) -> float | None:
        """Take or extend a named short lease."""
        with self._lock:
            now, held = self.now(), self._locks.get(name)
            if held is not None and held.taken > now:
                held = None  # the clock was set back: what was agreed before means nothing any more
            if held is not None and held.owner != owner and held.until >= now:
                return None
            steady = held is not None and held.until + timedelta(seconds=gap_s) >= now
            since = held.since if held is not None and steady else now
            self._locks[name] = _Held(owner, now + timedelta(seconds=lease_s), since, now)
            return (now - since).total_seconds()

    def tidy(self, patience_s: float) -> int:  # noqa: ARG002
        """Nothing is ever left behind here."""
        return 0

    def ringable(self, limit: int) -> list[tuple[str, int, str]]:
        """Queued runs that anybody may claim now, best first."""
        now = self.now()
        claimable = (run for run in self._runs.values() if _claimable(run, now))
        due = sorted((run for run in claimable if all(r.until <= now for r in run.refusals)), key=_best_first)
        return [(run.id, run.attempt, run.queue) for run in due[:limit]]

    # ── damage ──
    def faults(self, damage: Damage, *, stale_s: float, deep: bool = False) -> Iterator[Fault]:  # noqa: ARG002
        """Stale workers and locks; of files and histories nothing can be lost here."""
        now = self.now()
        if damage is Damage.STALE_WORKER:
            earliest = now - timedelta(seconds=stale_s)
            for worker in [one for one in self._workers.values() if one.seen_at is None or one.seen_at < earliest]:
                yield Fault(damage=damage, place="workers", id=worker.name, text=f"not seen since {worker.seen_at}")
        if damage is Damage.STALE_LOCK:
            for name, held in list(self._locks.items()):
                if held.taken > now or held.until > now + timedelta(days=1):
                    yield Fault(damage=damage, place="locks", id=name, text=f"held by {held.owner} until {held.until}")

    def mend(self, fault: Fault, *, stale_s: float) -> bool:
        """Forget it, if it is still so."""
        with self._lock:
            if fault.mark not in {one.mark for one in self.faults(fault.damage, stale_s=stale_s)}:
                return False
            del (self._workers if fault.damage is Damage.STALE_WORKER else self._locks)[fault.id]
            return True

    # ── stopping rules ──
    def ruled(self) -> list[Experiment]:
        """The experiments that have rules."""
        return sorted((one for one in self._experiments.values() if one.stopping), key=lambda one: one.name)

    def set_stopping(self, experiment: str, stopping: dict[str, Any] | None) -> bool:
        """Other rules for an experiment, or none."""
        known = self._experiments.get(experiment)
        if known is not None:
            self._experiments[experiment] = replace(known, stopping=stopping)
        return known is not None

    def watched(self, experiments: Sequence[str], unread: int) -> list[Watched]:
        """Runs that are running or wait at a rung, and some that are unread."""
        runs = [run for run in self._runs.values() if run.experiment in experiments]
        present = [run for run in runs if run.state is State.RUNNING or _is_held(run)]
        others = [run for run in runs if run.judged.unread and run not in present]
        return [_watched(run) for run in (*present, *others[:unread])]

    def afoot(self, experiment: str) -> Afoot:
        """What of the experiment may still report."""
        counts = self.counts(experiment)
        return Afoot(queued=counts.get(State.QUEUED, 0) > 0, running=counts.get(State.RUNNING, 0))

    def courses(self, run_ids: Sequence[str]) -> dict[str, Course]:
        """How far the rules have read these runs."""
        return {run_id: self._courses[run_id] for run_id in run_ids if run_id in self._courses}

    def save_courses(self, courses: Sequence[Course]) -> set[str]:
        """Keep those that nobody else has saved since."""
        with self._lock:
            known = {course.id: self._courses[course.id].version for course in courses if course.id in self._courses}
            mine = [course for course in courses if known.get(course.id, 0) == course.version]
            self._courses.update({course.id: replace(course, version=course.version + 1) for course in mine})
            return {course.id for course in mine}

    def tracks(self, asked: Sequence[Asked]) -> dict[str, tuple[Track, ...]]:
        """The points asked for."""
        pairs = {one.run: zip(one.names, one.counts, strict=True) for one in asked}
        return {one.run: tuple(self._track(one, *pair) for pair in pairs[one.run]) for one in asked}

    def _track(self, asked: Asked, name: str, count: int) -> Track:
        found = [p for made_by, p in self._points[asked.run] if made_by == asked.attempt and p.name == name]
        new = [(asked.attempt, p) for p in found[count:] if p.line <= asked.to_line]
        return replace(_as_track(new), times=())

    def whole_tracks(self, run_id: str, names: Sequence[str]) -> tuple[Track, ...]:
        """All points of these series."""
        return tuple(_as_track([pair for pair in self._points[run_id] if pair[1].name == name]) for name in names)

    def reach(self, reached: Sequence[Reached], anew: Sequence[str] = ()) -> None:
        """Record with which values rungs were reached."""
        with self._lock:
            for key in [key for key in self._rungs if key[0] in anew]:
                del self._rungs[key]
            self._rungs.update({(one.run, one.at): one for one in reached})

    def reached(self, experiment: str, at: float) -> dict[str, float]:
        """The values of all runs that have reached this rung."""
        found = (one for one in self._rungs.values() if one.experiment == experiment and one.at == at)
        return {one.run: one.value for one in found}

    def fallen(self, experiment: str) -> dict[str, tuple[float, float]]:
        """The highest rungs of stopped runs."""
        rulings = {run_id: course.ruling for run_id, course in self._courses.items() if course.experiment == experiment}
        stopped = {run_id for run_id, ruling in rulings.items() if ruling is not None and not ruling.hold}
        found = sorted((one for one in self._rungs.values() if one.run in stopped), key=lambda one: one.at)
        return {one.run: (one.at, one.value) for one in found}

    def mark_read(self, runs: Sequence[tuple[str, int]]) -> None:
        """The rules have seen everything of these attempts."""
        with self._lock:
            for run_id, attempt in runs:
                run = self._runs[run_id]
                if run.attempt == attempt:
                    self._put(replace(run, judged=replace(run.judged, unread=False)))

    # ── people ──
    def change(self, run_ids: Sequence[str], change: Change) -> Changed:
        """Carry out what a person asks of these runs."""
        done: list[Run] = []
        refused: dict[str, str] = {}
        with self._lock:
            for run_id in dict.fromkeys(run_ids):
                try:
                    done.append(self._change(run_id, change))
                except (IllegalTransition, NoSuchRun) as error:
                    refused[run_id] = str(error)
        return Changed(runs=tuple(done), refused=refused)

    def _change(self, run_id: str, change: Change) -> Run:
        if run_id not in self._runs:
            raise NoSuchRun(f"no run has the id {run_id!r}")
        run, now = self._runs[run_id], self.now()
        new = change.apply(run, now)
        if new.state in ENDED and run.state not in ENDED:
            self._owe(run, new.state)
        if change.scratch:
            self._checkpoints[run_id] = []
        self._record(new, change.name, by=change.by, because=change.because_of(run.id))
        return self._put(new)

    def events(self, run_id: str) -> list[Event]:
        """What happened to the run, oldest first."""
        return [event for event in self._events if event.run == run_id]

    def ahead(self, run: Run, limit: int = 10_000) -> int:
        """Queued runs that are claimed before this one."""
        queued = (one for one in self._runs.values() if one.state is State.QUEUED and one.queue == run.queue)
        return min(limit, sum(_best_first(one) < _best_first(run) for one in queued))

    def report(self, run_id: str, values: dict[str, float]) -> Run:
        """Add figures that were found elsewhere to an ended run."""
        with self._lock:
            if run_id not in self._runs:
                raise NoSuchRun(f"no run has the id {run_id!r}")
            run, now = self._runs[run_id], self.now()
            points = reported_points(run, values, now)
            new = reported(run, points)
            self._points[run_id] += [(run.attempt, point) for point in points]
            self._metric_names[run.experiment] |= set(values)
            self._record(new, "reported")
            return self._put(new)

    # ── studies ──
    def put_study(self, study: Study) -> None:
        """Record a study, or what is new about it."""
        self._studies[study.name] = study

    def study(self, name: str) -> Study | None:
        """The study of an experiment."""
        return self._studies.get(name)

    def studies(self, *states: StudyState) -> list[Study]:
        """All studies, or those in these states, oldest first."""
        found = [study for study in self._studies.values() if not states or study.state in states]
        return sorted(found, key=lambda study: (study.created_at, study.name))

    def mark_study(self, name: str, *, state: StudyState | None = None, trouble: str | None = None) -> None:
        """Change the state, or say what went wrong."""
        if (study := self._studies.get(name)) is not None:
            trouble = study.trouble if trouble is None else trouble
            self._studies[name] = replace(study, state=state or study.state, trouble=trouble)

    def add_trial(self, trial: Trial) -> bool:
        """Fix number and parameters of a trial."""
        with self._lock:
            return self._trials.setdefault((trial.study, trial.number), trial) is trial

    def trials(self, study: str) -> list[Trial]:
        """All trials of a study, by number."""
        return [self._trials[key] for key in sorted(self._trials) if key[0] == study]

    def open_trials(self, studies: Sequence[str]) -> list[Trial]:
        """Trials that nobody has told yet, by study and number."""
        every = (trial for study in sorted(set(studies)) for trial in self.trials(study))
        return [trial for trial in every if trial.state is TrialState.OPEN]

    def tell(self, trial: Trial, told_before: str) -> bool:
        """Record what came of a trial, unless somebody has told another ending since."""
        with self._lock:
            known = self._trials.get((trial.study, trial.number))
            if known is None or known.told != told_before:
                return False
            new = {name: getattr(trial, name) for name in ("state", "values", "points", "told", "why")}
            self._trials[trial.study, trial.number] = replace(known, **new, told_at=self.now())
            return True

    # ── workers ──
    def seen(self, worker: Worker) -> Drain | None:
        """This worker lives; is it, or its host, to leave?"""
        now = self.now()
        self._workers[worker.name] = replace(worker, seen_at=now)
        orders = [self._drains[name] for name in (worker.name, worker.host) if name in self._drains]
        due = [drain for drain in orders if drain.from_at is not None and drain.from_at <= now]
        return min(due, key=lambda drain: drain.after_current, default=None)

    def gone(self, worker_name: str) -> None:
        """This worker left."""
        self._workers.pop(worker_name, None)
        self._drains.pop(worker_name, None)

    def workers(self, within_s: float) -> list[Worker]:
        """Workers seen lately."""
        earliest = self.now() - timedelta(seconds=within_s)
        recent = [w for w in self._workers.values() if w.seen_at is not None and w.seen_at >= earliest]
        return sorted(recent, key=lambda worker: worker.name)

    def drain(self, drain: Drain, in_s: float = 0.0) -> None:
        """An order to leave, from `in_s` seconds on."""
        self._drains[drain.target] = replace(drain, from_at=self.now() + timedelta(seconds=in_s))

    def undrain(self, target: str) -> bool:
        """Take the order back."""
        return self._drains.pop(target, None) is not None

    def drains(self) -> list[Drain]:
        """All orders, by target."""
        return [self._drains[target] for target in sorted(self._drains)]

    # ── outbox ──
    def notices(self, run_id: str | None = None) -> list[Notice]:
        """Notices, oldest first."""
        return [notice for notice in self._outbox.values() if run_id in (None, notice.run)]

    def claim_notice(self, owner: str, lease_s: float) -> Notice | None:
        """Take the oldest notice that is due, under a lease."""
        with self._lock:
            now = self.now()
            for notice in self._outbox.values():
                due = notice.state is NoticeState.OWED and (notice.not_before is None or notice.not_before <= now)
                held = self._locks.get(f"notice-{notice.id}")
                if due and (held is None or held.until <= now):
                    self._locks[f"notice-{notice.id}"] = _Held(owner, now + timedelta(seconds=lease_s), now, now)
                    self._outbox[notice.id] = replace(notice, tries=notice.tries + 1)
                    return self._outbox[notice.id]
            return None

    def notice_sent(self, notice_id: str, owner: str) -> bool:
        """Record the delivery."""
        return self._close(notice_id, owner, state=NoticeState.SENT, sent_at=self.now(), error="")

    def notice_failed(self, notice_id: str, owner: str, error: str, *, retry_after_s: float | None) -> bool:
        """Record a failed delivery."""
        if retry_after_s is None:
            return self._close(notice_id, owner, state=NoticeState.REFUSED, error=error)
        later = self.now() + timedelta(seconds=retry_after_s)
        return self._close(notice_id, owner, not_before=later, error=error)

    def _close(self, notice_id: str, owner: str, **changes: Any) -> bool:
        with self._lock:
            held = self._locks.get(f"notice-{notice_id}")
            notice = self._outbox[notice_id]
            if held is None or held.owner != owner or notice.state is not NoticeState.OWED:
                return False
            del self._locks[f"notice-{notice_id}"]
            self._outbox[notice_id] = replace(notice, **changes)
            return True

    # ── shared ──
    def _put(self, run: Run) -> Run:
        self._runs[run.id] = run
        return run

    def _held(self, run_id: str, attempt: int) -> Run:
        run = self._runs.get(run_id)
        if run is None or run.attempt != attempt or run.state is not State.RUNNING:
            raise Superseded(f"run {run_id}: attempt {attempt} no longer holds it")
        return run

    def _record(self, run: Run, event: str, **said: Any) -> None:
        self._events.append(Event(run=run.id, attempt=run.attempt, event=event, at=self.now(), **said))

    def _owe(self, run: Run, new: State) -> None:
        for notice in notices_for(run, new):
            self._outbox.setdefault(notice.id, replace(notice, created_at=self.now()))

    def _summary(self, run_id: str) -> dict[str, MetricSummary]:
        every = [self.series(run_id, name) for name in self.series_names(run_id)]
        summaries = {one.name: extended(None, one.steps, one.values) for one in every}
        return {name: summary for name, summary in summaries.items() if summary is not None}


def _light(run: Run) -> Run:
    return replace(run, provenance={}, history=run.history[-1:])


def _cut(found: list[Run], after: Run | None, query: RunQuery) -> list[Run]:
    """The page of a list that has the run before the page in it."""
    begin = (0 if after is None else found.index(after) + 1) + query.skip
    return found[begin : begin + query.limit] if query.limit else found[begin:]


def _is_held(run: Run) -> bool:
    return run.state is State.PAUSED and run.judged.held is not None


def _watched(run: Run) -> Watched:
    until = Until(attempt=run.checkpoint.attempt, line=run.checkpoint.line) if run.checkpoint else None
    return Watched(
        id=run.id,
        experiment=run.experiment,
        state=run.state,
        attempt=run.attempt,
        wish=run.wish,
        shipped=run.shipped,
        checkpoint=until,
        judged=run.judged,
    )


def _as_track(points: Sequence[tuple[int, Point]]) -> Track:
    return Track(
        attempts=tuple(attempt for attempt, _ in points),
        lines=tuple(point.line for _, point in points),
        steps=tuple(point.step for _, point in points),
        times=tuple(point.time for _, point in points),
        values=tuple(point.value for _, point in points),
    )


def _age(run: Run) -> tuple[datetime, int]:
    return run.queued_at, run.index


def _best_first(run: Run) -> tuple[int, datetime, int]:
    return -run.priority, run.queued_at, run.index


def _claimable(run: Run, now: datetime) -> bool:
    return run.state is State.QUEUED and (run.not_before is None or run.not_before <= now)


def _matches(run: Run, query: RunQuery, now: datetime) -> bool:
    return (
        query.experiment in (None, run.experiment)
        and (not query.states or run.state in query.states)
        and (not query.ids or run.id in query.ids)
        and (query.tag is None or query.tag in run.tags)
        and (query.where is None or matches(query.where, run, now))
    )


def _content(path: Path) -> dict[str, bytes]:
    if not path.is_dir():
        with open_regular(path) as whole:
            return {"": whole.read()}
    return {str(file.relative_to(path)): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}


def _digest(content: dict[str, bytes]) -> str:
    parts = (name.encode() + b"\0" + data for name, data in sorted(content.items()))
    return hashlib.sha256(b"\0".join(parts)).hexdigest()
