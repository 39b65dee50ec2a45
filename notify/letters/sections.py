"""Blocks about a run: curves, results, parameters, findings, facts, commands. Pure."""

import math
from collections.abc import Iterable
from shlex import quote

from notify.letters.letter import Block, Commands, Facts, Findings, Found, Picture, Remark, Table
from notify.letters.naming import finding_words
from notify.pictures.curves import curves, sparkline
from notify.pictures.paper import WIDTH_PX
from notify.pictures.resources import resources
from notify.siblings import best_value
from notify.story import Story
from notify.words import attempt_of, duration, host_of, moment, number, params_words, size, value_words
from store.directions import greater_is_better, main_metric
from store.findings import Disease, Finding
from store.notices import Notice
from store.runs import Run, short
from store.states import State

_OF_THE_MACHINE = frozenset(
    {Disease.STUCK, Disease.SLOW, Disease.IDLE_GPU, Disease.MEMORY_GROWTH, Disease.DISK_FILLING}
)  # fmt: skip
MOST_METRICS, MOST_FINDINGS, MOST_PARAMS = 10, 6, 12


def curve_picture(_notice: Notice, story: Story) -> Iterable[Block]:
    """Training and validation against the best sibling and the band of all."""
    picture = curves(story)
    if picture is not None and story.run is not None:
        command = f"labq plot {short(story.run.id)}"
        yield Picture(
            cid="curve@labq", png=picture, width_px=WIDTH_PX, alt=_curve_words(story), title="Curves", command=command
        )


def telling_resources(notice: Notice, story: Story) -> Iterable[Block]:
    """The same, where the finding is about the machine."""
    if notice.finding is not None and notice.finding.disease in _OF_THE_MACHINE:
        yield from resource_picture(notice, story)


def resource_picture(_notice: Notice, story: Story) -> Iterable[Block]:
    """What the run used before its end, or until now."""
    picture = resources(story)
    if picture is not None and story.run is not None:
        last, is_running = story.samples[-1], story.run.state is State.RUNNING
        used = f"{size(last.memory_bytes)} of memory in use, {size(last.disk_free_bytes)} of disk free"
        yield Picture(
            cid="resources@labq",
            png=picture,
            width_px=WIDTH_PX,
            alt=f"{'Now' if is_running else 'At the end'}: {used}.",
            title="Until now" if is_running else "Before the end",
            command=f"labq show --resources {short(story.run.id)}",
        )


def results(_notice: Notice, story: Story) -> Iterable[Block]:
    """Best and last value of each metric, the best sibling's beside it."""
    run = story.run
    if run is None or not run.summary:
        return
    told = story.standing
    rival = told.best if told else None
    names = _metrics(run, told.metric if told else None)
    series = {one.name: one for one in story.series}
    rows = []
    for name in names[:MOST_METRICS]:
        summary = run.summary[name]
        best = best_value(run, name)
        theirs = best_value(rival, name) if rival else None
        row = [name, number(best[0] if best else math.nan, 4), "–" if not best or best[1] is None else f"{best[1]:,}"]
        row += [number(summary.last, 4), sparkline(series[name].values) if name in series else ""]
        rows.append((*row, number(theirs[0], 4) if theirs else "–") if rival else tuple(row))
    head = ("metric", "best", "at step", "last", "course")
    more = f"{len(names) - MOST_METRICS} more: labq show {short(run.id)}" if len(names) > MOST_METRICS else ""
    yield Table(
        title="Results",
        head=(*head, f"best of {told.best_label}") if rival and told else head,
        rows=tuple(rows),
        numeric=frozenset({1, 2, 3, 5}),
        quiet=frozenset({4}),
        strong=frozenset({0}),
        note=more,
    )


def differing(_notice: Notice, story: Story) -> Iterable[Block]:
    """The parameters in which the runs of the experiment differ; without siblings all of them."""
    run = story.run
    if run is None or not run.params:
        return
    if not story.differing:
        yield Facts(title="Parameters", rows=(("all", params_words(run.params)[:600]),))
        return
    shown = dict(list(story.differing.items())[:MOST_PARAMS])
    rival = story.standing.best_label if story.standing and story.standing.best else ""
    rows = []
    for name, value in shown.items():
        row = (name, value_words(value))
        rows.append((*row, value_words(story.best_differing.get(name, "–"))) if rival else row)
    rest = len(story.differing) - len(shown)
    fixed = {name: value for name, value in run.params.items() if name not in story.differing}
    notes = [f"{rest} more differ"] if rest > 0 else []
    notes += [f"the same in all: {params_words(fixed)[:300]}"] if fixed else []
    yield Table(
        title="Parameters that differ",
        head=("parameter", f"this run ({story.label})", f"best other ({rival})")
        if rival
        else ("parameter", "this run"),
        rows=tuple(rows),
        note="; ".join(notes),
    )


def findings(_notice: Notice, story: Story) -> Iterable[Block]:
    """What the diagnosis says."""
    if story.findings:
        items = tuple(found(finding) for finding in story.findings[:MOST_FINDINGS])
        yield Findings(title="Diagnosis", items=items, more=max(0, len(story.findings) - MOST_FINDINGS))


def found(finding: Finding, whose: str = "") -> Found:
    """One finding in words."""
    since = f"since step {finding.since_step:,}" if finding.since_step is not None else ""
    if finding.expected_at is not None:
        since = "; ".join(filter(None, [since, f"full at about {moment(finding.expected_at)}"]))
    return Found(
        severity=finding.severity,
        name=f"{whose} {finding_words(finding)}".strip(),
        evidence=finding.evidence,
        advice=finding.advice,
        since=since,
        reference=finding.reference,
    )


def facts(notice: Notice, story: Story) -> Iterable[Block]:
    """Who, where, when, from which commit."""
    run = story.run
    if run is None:
        return
    told = attempt_of(run, notice.attempt)
    rows = [("Run", f"{run.id}, {run.experiment} {story.label}"), ("State", _state(run))]
    rows += [("Duration", _duration(run, story))]
    rows.append(("Attempts", _attempts(run)))
    if told is not None:
        rows.append(("Host", ", ".join(dict.fromkeys(host_of(one) for one in run.history))[:200]))
        gpus = _gpus(story, told.facts.get("gpus"))
        rows += [("GPU", gpus)] if gpus else []
    rows += _git(run)
    if run.checkpoint is not None:
        rows.append(("Checkpoint", f"step {run.checkpoint.step:,}, {size(run.checkpoint.size_bytes)}"))
    if run.tags:
        rows.append(("Tags", ", ".join(run.tags)))
    if run.owner:
        rows.append(("Owner", run.owner))
    yield Facts(title="The run", rows=tuple(rows))


def commands(_notice: Notice, story: Story) -> Iterable[Block]:
    """To look, to go on, to begin anew."""
    run = story.run
    if run is None:
        return
    name = short(run.id)
    rows = [("Look", f"labq show {name}"), ("Output", f"labq logs {name}"), ("Curves", f"labq plot {name}")]
    if run.state is State.RUNNING:
        rows += [("Follow", f"labq logs -f {name}"), ("Stop", f"labq stop {name}")]
    elif run.state is State.FINISHED:
        rows += [("Compare", f"labq results {quote(run.experiment)}")]
    elif run.state is State.QUEUED:
        rows += [("What it waits for", f"labq why {name}")]
    elif run.checkpoint is not None:
        rows.append((f"Resume from step {run.checkpoint.step:,}", f"labq requeue {name}"))
    if run.state not in (State.RUNNING, State.QUEUED):
        rows.append(("Rerun from scratch", f"labq requeue --scratch {name}"))
    yield Commands(title="What you can do", rows=tuple(rows))


def left_out(_notice: Notice, story: Story) -> Iterable[Block]:
    """What could not be read."""
    for said in story.left_out:
        yield Remark(text=f"Left out: {said}")


def _metrics(run: Run, main: str | None) -> list[str]:
    first = main or main_metric(run.summary)
    return sorted(run.summary, key=lambda name: (name != first, name.startswith("clock_"), name))


def _curve_words(story: Story) -> str:
    told = story.standing
    if told is None or told.value is None:
        return "Curves of the run."
    kind = "Greatest" if greater_is_better(told.metric) else "Least"
    place = f" at step {told.step:,}" if told.step is not None else ""
    other = f"; best other run {told.best_label}: {number(told.best_value)}" if told.best else ""
    return f"Curves of the run. {kind} {told.metric}: {number(told.value)}{place}{other}."


def _state(run: Run) -> str:
    return f"{run.state} ({run.reason})" if run.reason else run.state.value


def _duration(run: Run, story: Story) -> str:
    spent_s = sum(((one.ended_at or story.now) - one.started_at).total_seconds() for one in run.history)
    waited_s = (run.started_at - run.queued_at).total_seconds() if run.started_at else 0.0
    words = f"{duration(spent_s)} of work" if run.history else "not started"
    return f"{words}, after {duration(waited_s)} in the queue" if waited_s >= 60 else words


def _attempts(run: Run) -> str:
    ends = [one.ending.reason for one in run.history[:-1] if one.ending and one.ending.reason]
    before = f" (before: {', '.join(dict.fromkeys(reason.value for reason in ends))})" if ends else ""
    return f"{max(run.attempt, 1)}{before}"


def _gpus(story: Story, given: object) -> str:
    uuids = [str(one) for one in given] if isinstance(given, list | tuple) else []
    indices = sorted({gpu.index for sample in story.samples for gpu in sample.gpus})
    if indices:
        return f"number {', '.join(map(str, indices))}"
    return ", ".join(uuids)[:120]


def _git(run: Run) -> list[tuple[str, str]]:
    git = run.provenance.get("git")
    if not isinstance(git, dict) or not git.get("commit"):
        return []
    state = " with changes that were not committed" if git.get("dirty") else ""
    branch = f" on {git['branch']}" if git.get("branch") else ""
    return [("Git commit", f"{str(git['commit'])[:12]}{branch}{state}")]
