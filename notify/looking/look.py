"""One look at one run: what is read, what is found, what is new about that."""

from dataclasses import dataclass, replace
from datetime import datetime

from notify.diagnosis import Siblings, diagnose
from notify.looking.gather import chart_of, experiments_runs, siblings_of
from store.findings import Diagnosis, Finding, merged, news
from store.runs import Run
from store.states import State
from store.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """`new`: findings that should be told."""

    diagnosis: Diagnosis
    new: tuple[Finding, ...]


def look_at(store: Store, run: Run, last: Diagnosis | None, now: datetime, siblings: Siblings) -> Look:
    """`last`: what is kept of the run; that of an earlier attempt is over. Writes nothing."""
    last = last if last is not None and last.attempt == run.attempt else None
    chart = chart_of(store, run, last, now, siblings)
    before = last.findings if last is not None else ()
    findings = merged(before, diagnose(chart), now)
    begun = run.shipped.attempt == run.attempt
    diagnosis = Diagnosis(
        run=run.id,
        attempt=run.attempt,
        findings=findings,
        lines=run.shipped.events_lines if begun else 0,
        output_bytes=run.shipped.output_bytes if begun else 0,
        looked_at=now,
        lines_at=chart.last_event_at,
        output_at=chart.last_output_at,
        over=run.state is not State.RUNNING,
    )
    return Look(diagnosis=diagnosis, new=news(before, findings))


def look_now(store: Store, run: Run) -> Diagnosis:
    """What a look would find at this moment, without waiting for the next round; nothing is kept.

    Raises StoreUnavailable, StoreFailed.
    """
    now = store.now()
    last = store.diagnoses([run.id]).get(run.id)
    siblings = siblings_of(experiments_runs(store, run.experiment), run, now)
    return look_at(store, run, last, now, siblings).diagnosis


def without_times(diagnosis: Diagnosis) -> Diagnosis:
    """For comparing what was found, whenever that was."""
    return replace(diagnosis, looked_at=None, lines_at=None, output_at=None)
