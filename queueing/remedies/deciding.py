"""From findings to a remedy, and from a run to the one that follows it. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from queueing.keys import run_id, run_key
from queueing.remedies.change import new_values, with_values
from queueing.remedies.table import Do, RemedyTable
from store.findings import Finding
from store.judged import Judged
from store.remedies import Remedy
from store.runs import Run
from store.states import ENDED, State, Wish

_ACTING = (Do.STOP, Do.REQUEUE)


def ruling_name(disease: str) -> str:
    """As what a remedy stands among the rulings about a run, which a person may overrule."""
    return f"diagnosis: {disease}"


def decide(run: Run, findings: Iterable[Finding], rules: Sequence[RemedyTable]) -> Remedy | None:
    """What is to be done about a run with these standing findings; None: nothing, or nothing any more.

    The strongest of the rules counts, and among equals the first. A run that somebody has stopped, or that somebody has
    let go on although it was stopped for the same finding, is left alone.
    """
    if run.state is State.CANCELLED or run.wish is Wish.CANCEL:
        return None
    standing = sorted(findings, key=lambda finding: -finding.severity.rank)
    called = [
        (rule, finding)
        for rule in sorted(rules, key=lambda rule: -_ACTING.index(rule.do) if rule.do in _ACTING else 1)
        for finding in standing
        if rule.do in _ACTING and rule.is_about(finding) and not _is_overruled(run.judged, finding)
    ]
    if not called:
        return None
    rule, finding = called[0]
    remedy = Remedy(rule=finding.disease.value, because=_because(finding))
    if rule.do is Do.REQUEUE:
        return _with_change(remedy, run, rule)
    return None if run.state in ENDED else remedy


def _with_change(remedy: Remedy, run: Run, rule: RemedyTable) -> Remedy | None:
    """Where it has been tried often enough, or cannot be changed, the run is only stopped, and is told why."""
    only_stopped = None if run.state in ENDED else remedy
    before = line_of(run)
    if before >= rule.most:
        said = f"{remedy.because}; after {before} changed run{'s' if before > 1 else ''} no other one is tried"
        return only_stopped and replace(only_stopped, because=said)
    try:
        values = new_values(run.params, rule.change)
    except ValueError as error:
        return only_stopped and replace(only_stopped, because=f"{remedy.because}; no other run is tried: {error}")
    return replace(remedy, change=values, number=before + 1)


def line_of(run: Run) -> int:
    """How many runs came before this one, each a changed version of the other."""
    number = (run.provenance.get("after") or {}).get("number", 0)
    return number if isinstance(number, int) else 0


def _is_overruled(judged: Judged, finding: Finding) -> bool:
    return judged.is_overruled(ruling_name(finding.disease), None)


def _because(finding: Finding) -> str:
    since = f" since step {finding.since_step}" if finding.since_step is not None else ""
    about = f" ({finding.about})" if finding.about else ""
    return f"{finding.disease}{about}{since}: {finding.evidence}"


def successor(run: Run, remedy: Remedy, now: datetime) -> Run | None:
    """The run that is tried instead, from the beginning. Its id is a hash of what it is, so it cannot be made twice.

    None: there is no change, or it changes nothing.
    """
    if remedy.change is None:
        return None
    params = with_values(run.params, remedy.change)
    task = run.task
    key = run_key(run.experiment, task.command, task.trainer, params, run.repeat, [file.blob for file in task.files])
    if key == run.key:
        return None
    return Run(
        id=run_id(key),
        key=key,
        experiment=run.experiment,
        params=params,
        task=task,
        repeat=run.repeat,
        index=run.index,
        queue=run.queue,
        priority=run.priority,
        tags=run.tags,
        resources=run.resources,
        retry=run.retry,
        notify=run.notify,
        owner=run.owner,
        provenance={**_inherited(run), "after": _after(run, remedy)},
        queued_at=now,
    )


def _inherited(run: Run) -> dict[str, Any]:
    return {name: value for name, value in run.provenance.items() if name not in ("after", "followed_by")}


def _after(run: Run, remedy: Remedy) -> dict[str, Any]:
    return {
        "run": run.id,
        "finding": remedy.rule,
        "because": remedy.because,
        "change": dict(remedy.change or {}),
        "number": remedy.number,
    }
