"""An attempt's life: claim, begin, renew, ship, settle; and what it used."""

import hashlib
import uuid
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from store.attempts import began, may_rejoin, rejoined, settled
from store.errors import CheckpointDamaged, StoreFailed, Superseded
from store.files import open_regular
from store.memory.runs import Runs
from store.memory.shared import best_first, claimable
from store.metrics import LogChunk, Shipment
from store.occasions import Occasion, entered
from store.runs import Artifact, Checkpoint, Lease, MetricSummary, Run, artifact_name, has_resumed, worth_keeping
from store.runs import Attempt as AttemptRecord
from store.samples import Peaks, Sample, highest
from store.spans import GRACE_S, KEPT, Pace, Span, is_worth, needs, together
from store.states import State, Wish, check_transition
from store.store import Decision
from store.workers import Worker, fits, is_refused


class Attempts(Runs):
    """Everything that the holder of a claim may do."""

    def claim(self, worker: Worker, lease_s: float, span: Span | None = None) -> Run | None:
        """Take the best eligible run that fits the worker, and its time."""
        with self._lock:
            now = self.now()
            due = [run for run in self._runs.values() if claimable(run, now)]
            fitting = [run for run in due if fits(run, worker) and not is_refused(run, worker, now)]
            if span is not None and worker.only is None:
                fitting = [run for run in fitting if self._is_worth(run, span)]
            if not fitting:
                return None
            run = min(fitting, key=best_first)
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

    def _is_worth(self, run: Run, span: Span) -> bool:
        experiment, paces = self._experiments.get(run.experiment), self.paces(run.experiment)
        needed = needs(
            time_s=run.resources.time_s,
            own=run.outlook,
            siblings=together(paces) if paces else None,
            ours=experiment is not None and experiment.trainer is not None,
            grace_s=run.task.grace_s if run.outlook is not None else GRACE_S,
        )
        return is_worth(span, needed)

    def begin(self, run_id: str, attempt: int, checkpoint: Checkpoint | None, facts: dict[str, Any]) -> Run:
        """Drop the points that this attempt will make again."""
        with self._lock:
            run = self._held(run_id, attempt)
            last = (checkpoint.attempt, checkpoint.line) if checkpoint else (-1, 0)
            points = self._points[run_id]
            self._points[run_id] = [
                (made_by, p) for made_by, p in points if made_by >= attempt or (made_by, p.line) <= last
            ]
            owed = Occasion.RESUMED if has_resumed(run) else None
            self._record(run, "began", owed, step=checkpoint.step if checkpoint else None)
            return self._put(replace(began(run, checkpoint, facts), summary=self._summary(run_id)))

    def renew(self, run_id: str, attempt: int, lease_s: float) -> Wish | None:
        """Extend the lease; return what a person asked for meanwhile."""
        with self._lock:
            run = self._held(run_id, attempt)
            assert run.lease is not None
            lease = replace(run.lease, until=self.now() + timedelta(seconds=lease_s))
            return self._put(replace(run, lease=lease)).wish

    def rejoin(self, run_id: str, attempt: int, worker: str, lease_s: float) -> bool:
        """Take up again an attempt that was given up as lost, unless somebody has begun another."""
        with self._lock:
            run = self._runs.get(run_id)
            if run is None or not may_rejoin(run, attempt, worker):
                return False
            self._put(rejoined(run, worker, self.now() + timedelta(seconds=lease_s)))
            self._record(run, "rejoined")
            return True

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
            self._points[run_id] += [(attempt, point) for one in shipment.segments for point in one.points()]
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
            said = settlement.ending.message if settlement.refused and settlement.ending else ""
            owed = entered(settlement.state, is_given_back=settlement.refused is not None)
            self._record(run, settlement.state.value, owed, message=said, reason=settlement.reason)
            return self._put(settled(run, settlement, now))

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

    def samples_in_part(self, run_id: str, attempt: int, at_most: int) -> list[Sample]:
        """The newest, and an even choice of those before."""
        found = [sample for sample in self.samples(run_id) if sample.attempt == attempt]
        before = max(0, len(found) - at_most // 2)
        chosen = found[: before : -(-before // (at_most // 2))] if before else []
        return [*chosen, *found[before:]]

    def peaks(self, experiment: str) -> Peaks:
        """The most that any run of the experiment used."""
        return self._peaks[experiment]

    def note_pace(self, experiment: str, pace: Pace) -> None:
        """Keep how fast an attempt went."""
        with self._lock:
            self._paces[experiment] = (*self.paces(experiment), pace)[-KEPT:]

    def paces(self, experiment: str) -> tuple[Pace, ...]:
        """How fast the newest attempts of the experiment's runs went."""
        return self._paces.get(experiment, ())

    def _raise_peaks(self, experiment: str, peaks: Peaks) -> None:
        self._peaks[experiment] = highest([self._peaks[experiment], peaks])


def _content(path: Path) -> dict[str, bytes]:
    if not path.is_dir():
        with open_regular(path) as whole:
            return {"": whole.read()}
    return {str(file.relative_to(path)): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}


def _digest(content: dict[str, bytes]) -> str:
    parts = (name.encode() + b"\0" + data for name, data in sorted(content.items()))
    return hashlib.sha256(b"\0".join(parts)).hexdigest()
