"""`labq show`."""

import argparse
from dataclasses import asdict
from datetime import datetime
from typing import Any

from queueing.cli.context import opened_store, print_json
from queueing.cli.resources import print_resources
from queueing.cli.words import param_words, state_words
from queueing.placeholders import FILES, fill
from queueing.rules.words import mute_words, mutes_of, notice_words
from queueing.units import format_duration, format_size
from store.errors import ExitCode, UserError
from store.findings import Diagnosis
from store.runs import Attempt, Run, short
from store.samples import Sample
from store.store import Store


def show(options: argparse.Namespace) -> int:
    """Everything that is known about one run."""
    with opened_store() as store:
        run = store.run(options.run)
        if options.diff or options.packages:
            print(_text_of(store, run, diff=options.diff), end="")
            return ExitCode.OK
        if options.resources:
            return _show_resources(run, store.samples(run.id), as_json=options.json)
        checkpoints = store.checkpoints(run.id)
        notices = store.notices(run.id)
        mutes = mutes_of(run, store.mutes())
        artifacts, now = store.artifacts(run.id), store.now()
        diagnosis = store.diagnoses([run.id]).get(run.id)
    if options.json:
        findings = diagnosis.findings if diagnosis else ()
        told = {"notices": notices, "mutes": mutes, "findings": findings}
        print_json({"run": run, "checkpoints": checkpoints, "artifacts": artifacts, **told})
        return ExitCode.OK
    for name, text in _facts(run, now):
        print(f"{name:<12} {text}")
    for line in _finding_lines(run, diagnosis):
        print(f"{'found':<12} {line}")
    for attempt in run.history:
        print(f"{'attempt ' + str(attempt.number):<12} {_attempt_words(attempt)}")
    for checkpoint in checkpoints:
        size = format_size(checkpoint.size_bytes)
        best = ", best" if checkpoint.best else ""
        print(f"{'checkpoint':<12} step {checkpoint.step}, {size}, attempt {checkpoint.attempt}{best}")
    for artifact in artifacts:
        print(f"{'artifact':<12} {artifact.name}, {format_size(artifact.size_bytes)}")
    for notice in notices:
        print(f"{'mail':<12} {notice_words(notice)}")
    for mute in mutes:
        print(f"{'muted':<12} {mute_words(mute)}")
    return ExitCode.OK


def _finding_lines(run: Run, diagnosis: Diagnosis | None) -> list[str]:
    """What stands, in a line each."""
    standing = diagnosis.standing if diagnosis else ()
    lines = []
    for finding in sorted(standing, key=lambda one: -one.severity.rank):
        about = f" ({finding.about})" if finding.about else ""
        lines.append(f"{finding.severity}: {finding.disease}{about}: {finding.evidence}")
    return [*lines, f"more: labq diagnose {short(run.id)}"] if lines else []


def _show_resources(run: Run, samples: list[Sample], *, as_json: bool) -> int:
    if as_json:
        peaks = [{"attempt": attempt.number, **asdict(attempt.peaks)} for attempt in run.history]
        print_json({"run": run.id, "peaks": peaks, "samples": samples})
    else:
        print_resources(run, samples)
    return ExitCode.OK


def _text_of(store: Store, run: Run, *, diff: bool) -> str:
    """The git diff, or the list of packages: texts that are kept once, whatever the number of runs that share them."""
    facts = run.history[-1].facts if run.history else {}
    blob_id = (run.provenance.get("git") or {}).get("diff") if diff else facts.get("packages")
    text = store.blob(blob_id) if blob_id else None
    if text is None:
        raise UserError(f"run {run.id}: no {'diff' if diff else 'list of packages'} is known")
    return text if text.endswith("\n") else text + "\n"


def _facts(run: Run, now: datetime) -> list[tuple[str, str]]:
    facts = [
        ("run", run.id),
        ("experiment", f"{run.experiment} ({run.owner})"),
        ("state", state_words(run)),
        ("what", run.task.trainer or " ".join(_filled(run))),
        ("imported", f"from {run.origin}") if run.origin else ("in", run.task.workdir),
        ("params", param_words(run, list(run.params))),
        ("queue", f"{run.queue}, priority {run.priority}"),
    ]
    if run.tags:
        facts.append(("tags", ", ".join(run.tags)))
    if run.progress:
        facts.append(("progress", f"{run.progress.fraction:.1%} ({run.progress.done:g} of {run.progress.total:g})"))
    for name, summary in run.summary.items():
        best = f"min {summary.min:.6g} at {summary.min_step}" if summary.min is not None else ""
        facts.append((name[:12], f"{summary.last:.6g} at step {summary.last_step}; {best}; {summary.count} points"))
    if after := run.provenance.get("after"):
        facts.append(("after", f"{after['run']}, because of {after['finding']}, with {_changed(after['change'])}"))
    if follows := run.provenance.get("followed_by"):
        facts.append(("tried anew", follows))
    if run.ending and run.ending.message:
        facts.append(("said", run.ending.message))
    if run.remark and run.remark not in [refusal.message for refusal in run.refusals]:
        facts.append(("remark", run.remark))
    for refusal in run.refusals:
        again = "asked again" if refusal.until <= now else f"until {refusal.until:%H:%M:%S} UTC"
        facts.append(("refused by", f"{refusal.by}, {again}: {refusal.message}"))
    return facts + _git_facts(run)


def _changed(change: dict[str, Any]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in change.items())


def _git_facts(run: Run) -> list[tuple[str, str]]:
    git = run.provenance.get("git")
    if not git:
        return [("git", "no repository")]
    dirty = ", dirty (see --diff)" if git.get("diff") else ", dirty" if git.get("dirty") else ""
    return [("git", f"{(git.get('commit') or 'no commit')[:12]} on {git.get('branch')}{dirty}, {git['repository']}")]


def _filled(run: Run) -> list[str]:
    try:
        return fill(run.task.command, run.params, run.repeat, {name: f"{{{name}}}" for name in FILES})
    except (ValueError, KeyError):
        return list(run.task.command)


def _attempt_words(attempt: Attempt) -> str:
    facts = attempt.facts
    words = [f"on {facts.get('host', attempt.worker)}"]
    if facts.get("user"):
        words.append(f"as {facts['user']}")
    if facts.get("python"):
        words.append(f"Python {facts['python']}")
    if facts.get("scheduler"):
        words.append(f"{facts['scheduler']['scheduler']} job {facts['scheduler']['job']}")
    if attempt.resumed_from_step is not None:
        words.append(f"resumed from step {attempt.resumed_from_step}")
    if attempt.ended_at is not None:
        words.append(f"took {format_duration((attempt.ended_at - attempt.started_at).total_seconds())}")
    if attempt.ending is not None:
        words.append(f"{attempt.ending.reason or 'finished'}")
        if attempt.ending.peak_memory_bytes:
            words.append(f"peak {format_size(attempt.ending.peak_memory_bytes)}")
    return ", ".join(words)
