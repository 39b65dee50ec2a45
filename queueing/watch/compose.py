"""From what was read of an experiment to its picture. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from statistics import median

from queueing.cli.words import differing
from queueing.live.pace import Mark, durations_s, rate, time_left_s
from queueing.watch.choice import best_first, best_of, marks
from queueing.watch.curves import Curve
from queueing.watch.picture import Found, Happening, Kind, Row, Sweep
from store.findings import Diagnosis, Finding, Severity
from store.runs import Run
from store.states import ENDED, State

HAPPENINGS = 20
_HOUR_S = 3600.0
_URGENCY = {Severity.SEVERE: 0, Severity.WARNING: 1, Severity.NOTE: 2}
_ENDINGS = {State.FINISHED: Kind.FINISHED, State.FAILED: Kind.FAILED, State.CANCELLED: Kind.CANCELLED}
_BEGUN = (State.RUNNING, *ENDED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """One round of reading. `runs` are those that were looked at, in the order of the queue."""

    now: datetime
    experiment: str
    owner: str = ""
    counts: Mapping[State, int]
    runs: Sequence[Run]
    marks: Mapping[tuple[str, int], tuple[Mark, ...]] = field(default_factory=dict)
    diagnoses: Mapping[str, Diagnosis] = field(default_factory=dict)
    metrics: tuple[str, ...] = ()
    metric: str = ""
    greatest: bool = False
    curves: Mapping[str, Curve] = field(default_factory=dict)
    unread: int = 0


def compose(read: Read) -> Sweep:
    """The experiment as it is now."""
    running = [run for run in read.runs if run.state is State.RUNNING]
    took_s = durations_s([run for run in read.runs if run.state is State.FINISHED]).get(read.experiment, ())
    paces = {run.id: rate(run, read.marks.get((run.id, run.attempt), ()), read.now) for run in running}
    lefts = {run.id: time_left_s(run, paces[run.id], read.now, took_s) for run in running}
    best = best_first(read.runs, read.metric, greatest=read.greatest)
    letters = marks(best, read.runs, read.metric)
    names = tuple(differing(read.runs))
    findings = {run.id: standing(read.diagnoses.get(run.id), run) for run in read.runs}
    return Sweep(
        experiment=read.experiment,
        owner=read.owner,
        counts=read.counts,
        shown=len(read.runs),
        share=share_done(read.counts, running),
        left_s=left_s(read.counts, running, lefts, took_s, read.now),
        per_hour=per_hour(read.runs, read.now),
        workers=tuple(sorted({run.lease.worker for run in running if run.lease})),
        metrics=read.metrics,
        metric=read.metric,
        greatest=read.greatest,
        differing=names,
        rows=tuple(
            _row(run, read, names, paces.get(run.id), lefts.get(run.id), findings[run.id], letters.get(run.id, ""))
            for run in read.runs
        ),
        best=tuple(run.id for run in best),
        curves=read.curves,
        unread=read.unread,
        findings=urgent_first([Found(run=run, finding=one) for run, some in findings.items() for one in some]),
        happenings=happenings(read.runs, read.diagnoses),
    )


def standing(diagnosis: Diagnosis | None, run: Run) -> tuple[Finding, ...]:
    """What holds of the run's newest attempt, the most urgent first. A run that waits again has nothing yet."""
    if diagnosis is None or diagnosis.attempt != run.attempt or run.state not in _BEGUN:
        return ()
    return tuple(sorted(diagnosis.standing, key=lambda one: _URGENCY[one.severity]))


def urgent_first(found: Sequence[Found]) -> tuple[Found, ...]:
    """Severe ones first, of these the newest."""
    newest = sorted(
        found, key=lambda one: one.finding.found_at.timestamp() if one.finding.found_at else 0, reverse=True
    )
    return tuple(sorted(newest, key=lambda one: _URGENCY[one.finding.severity]))


def share_done(counts: Mapping[State, int], running: Sequence[Run]) -> float | None:
    """Ended runs, and of running ones what they say; cancelled ones were not meant to be done."""
    meant = sum(n for state, n in counts.items() if state is not State.CANCELLED)
    done = counts.get(State.FINISHED, 0) + counts.get(State.FAILED, 0)
    part = sum(run.progress.fraction for run in running if run.progress)
    return min(1.0, (done + part) / meant) if meant else None


def left_s(
    counts: Mapping[State, int],
    running: Sequence[Run],
    lefts: Mapping[str, float | None],
    took_s: Sequence[float],
    now: datetime,
) -> float | None:
    """Until all but the paused runs have ended, if as many go on at once as now; None when nobody can tell.

    Runs that wait take as long as those that finished, else as those that run will probably have taken.
    """
    known = {run.id: left for run in running if (left := lefts.get(run.id)) is not None}
    if not known:
        return None
    whole_s = took_s or [
        (now - run.history[-1].started_at).total_seconds() + known[run.id]
        for run in running
        if run.id in known and run.history
    ]
    waiting_s = counts.get(State.QUEUED, 0) * (median(whole_s) if whole_s else 0.0)
    return max(max(known.values()), (sum(known.values()) / len(known) * len(running) + waiting_s) / len(running))


def per_hour(runs: Sequence[Run], now: datetime) -> float | None:
    """Runs that finished or failed in the last hour; of a younger experiment since its first run began."""
    began = min((run.started_at for run in runs if run.started_at), default=None)
    ended = [run.ended_at for run in runs if run.ended_at and run.state in (State.FINISHED, State.FAILED)]
    recent = [at for at in ended if (now - at).total_seconds() <= _HOUR_S]
    if began is None or not recent:
        return None
    return len(recent) * _HOUR_S / min(_HOUR_S, max(1.0, (now - began).total_seconds()))


def happenings(runs: Sequence[Run], diagnoses: Mapping[str, Diagnosis]) -> tuple[Happening, ...]:
    """The newest first."""
    every = [one for run in runs for one in (*_begun(run), *_ended(run), *_found(diagnoses.get(run.id)))]
    return tuple(sorted(every, key=lambda one: one.at, reverse=True)[:HAPPENINGS])


def _begun(run: Run) -> list[Happening]:
    if not run.history or run.state is State.QUEUED:
        return []
    attempt = run.history[-1]
    if run.attempt <= 1:
        return [Happening(run=run.id, at=attempt.started_at, kind=Kind.STARTED)]
    since = attempt.resumed_from_step
    said = f"attempt {run.attempt}, " + (f"from step {since}" if since is not None else "from the beginning")
    return [Happening(run=run.id, at=attempt.started_at, kind=Kind.RESUMED, said=said)]


def _ended(run: Run) -> list[Happening]:
    if run.ended_at is None or run.state not in _ENDINGS:
        return []
    message = run.ending.message if run.ending else ""
    said = ": ".join(part for part in (run.reason.value if run.reason else "", message) if part)
    return [Happening(run=run.id, at=run.ended_at, kind=_ENDINGS[run.state], said=said)]


def _found(diagnosis: Diagnosis | None) -> list[Happening]:
    return [
        Happening(run=diagnosis.run, at=one.found_at, kind=Kind.FOUND, said=f"{one.disease}: {one.evidence}")
        for one in (diagnosis.findings if diagnosis else ())
        if diagnosis is not None and one.found_at is not None
    ]


def _row(
    run: Run,
    read: Read,
    names: Sequence[str],
    per_s: float | None,
    left: float | None,
    findings: tuple[Finding, ...],
    mark: str,
) -> Row:
    summary = run.summary.get(read.metric)
    return Row(
        id=run.id,
        state=run.state,
        reason=run.reason,
        wish=run.wish.value if run.wish and run.state is State.RUNNING else "",
        attempt=run.attempt,
        fraction=run.progress.fraction if run.progress and run.progress.total > 0 else None,
        per_s=per_s,
        left_s=left,
        last=summary.last if summary else None,
        best=best_of(summary, greatest=read.greatest),
        best_step=(summary.max_step if read.greatest else summary.min_step) if summary else None,
        params={name: run.params[name] for name in names if name in run.params},
        findings=findings,
        mark=mark,
        queued_at=run.queued_at,
    )
