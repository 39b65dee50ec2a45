"""Blocks about an experiment, a worker, many things at once. Pure."""

import re
from collections.abc import Iterable
from shlex import quote

from notify.letters.letter import Block, Commands, Facts, Findings, Picture, Table
from notify.letters.sections import MOST_FINDINGS, found
from notify.pictures.paper import WIDTH_PX
from notify.pictures.sweep import sides_of, sweep_picture
from notify.siblings import chosen
from notify.story import Story, Sweep
from notify.words import count, number, size, value_words, wrapped
from store.directions import greater_is_better
from store.findings import Finding, Severity
from store.notices import Notice
from store.runs import short
from store.states import State

MOST_COLUMNS, MOST_PARTS = 5, 60
_SEVERITIES = (Severity.SEVERE, Severity.WARNING, Severity.NOTE)


def sweep_curves(_notice: Notice, story: Story) -> Iterable[Block]:
    """The grid, or what fits instead; of a digest one for each experiment."""
    for place, sweep in enumerate(_sweeps(story)):
        picture = sweep_picture(sweep)
        if picture is not None:
            yield Picture(
                cid=f"sweep{place or ''}@labq",
                png=picture,
                width_px=WIDTH_PX,
                alt=_words(sweep),
                title=f"{sweep.experiment}: every run" if len(_sweeps(story)) > 1 else "Every run",
                command=f"labq best {quote(sweep.experiment)} -m {quote(sweep.metric or '')}",
            )


def best_table(_notice: Notice, story: Story) -> Iterable[Block]:
    """The best runs with the parameters in which they differ."""
    for sweep in _sweeps(story):
        yield from best_of(sweep, whose=f" in {sweep.experiment}" if len(_sweeps(story)) > 1 else "")


def best_of(sweep: Sweep, whose: str = "") -> Iterable[Table]:
    """One table, where there are runs with a value."""
    if not sweep.ranked or sweep.metric is None:
        return
    names = list(sweep.varying)[:MOST_COLUMNS]
    rows = []
    for place, row in enumerate(sweep.ranked, 1):
        values = chosen(row.outcome.params, names)
        words = [value_words(values[name]) if name in values else "–" for name in names]
        step = "–" if row.step is None else f"{row.step:,}"
        rows.append((str(place), row.label, number(row.value, 4), step, *words))
    left = len(sweep.varying) - len(names)
    yield Table(
        title=f"The best {len(rows)}{whose}" if len(rows) > 1 else f"The best{whose}",
        head=("", "run", sweep.metric, "at step", *names),
        rows=tuple(rows),
        numeric=frozenset({0, 2, 3}),
        strong=frozenset({0}),
        note=f"{count(left, 'more parameter')} vary" if left > 0 else "",
    )


def failure_groups(_notice: Notice, story: Story) -> Iterable[Block]:
    """Failed runs by their cause."""
    for sweep in _sweeps(story):
        yield from failures_of(sweep)


def failures_of(sweep: Sweep) -> Iterable[Table]:
    """One table, where there are failures."""
    if not sweep.failures:
        return
    rows = [
        (str(group.count), group.cause, wrapped(group.message, 120) or "–", _named(group.labels, group.count))
        for group in sweep.failures[:10]
    ]
    total = sum(group.count for group in sweep.failures)
    yield Table(
        title=f"{count(total, 'failure')}, by cause",
        head=("runs", "cause", "message", "which"),
        rows=tuple(rows),
        numeric=frozenset({0}),
        note=f"{len(sweep.failures) - 10} rarer causes" if len(sweep.failures) > 10 else "",
    )


def sweep_findings(_notice: Notice, story: Story) -> Iterable[Block]:
    """What the diagnosis found in the runs, the severest first."""
    yield from findings_of([pair for sweep in _sweeps(story) for pair in sweep.findings])


def findings_of(every: Iterable[tuple[str, Finding]], most: int = MOST_FINDINGS) -> Iterable[Findings]:
    """(label of the run, finding) of all; the severest first."""
    ordered = sorted(every, key=lambda pair: _SEVERITIES.index(pair[1].severity))
    if ordered:
        items = tuple(found(finding, whose=f"{label}:") for label, finding in ordered[:most])
        yield Findings(title="Diagnosis", items=items, more=max(0, len(ordered) - most))


def sweep_commands(_notice: Notice, story: Story) -> Iterable[Block]:
    """To see all of it, and to try the failed ones again."""
    rows: list[tuple[str, str]] = []
    for sweep in _sweeps(story):
        name = quote(sweep.experiment)
        if sweep.metric is not None:
            most = " --max" if greater_is_better(sweep.metric) else ""
            rows.append(("The best", f"labq best {name} -m {quote(sweep.metric)}{most}"))
        rows.append(("All results", f"labq results {name}"))
        if sweep.counts.get(State.FAILED):
            where = f"experiment={_as_text(sweep.experiment)} and state=failed"
            rows += [("Look at the failed", f"labq ls {quote(where)}")]
            rows += [("Try them again", f"labq requeue --where {quote(where)}")]
    if rows:
        yield Commands(title="What you can do", rows=tuple(rows))


def parts(notice: Notice, story: Story) -> Iterable[Block]:
    """The lines of a digest."""
    if not notice.parts:
        return
    shown = notice.parts[-MOST_PARTS:]
    left = len(notice.parts) - len(shown) + notice.more
    many_days = len({part.at.date() for part in shown}) > 1
    rows = []
    for part in shown:
        label = story.labels.get(part.run, short(part.run)) if part.run else ""
        at = f"{part.at:%d %b %H:%M}" if many_days else f"{part.at:%H:%M}"
        rows.append((at, f"{part.experiment} {label}".strip() or "–", part.about.value, wrapped(part.text, 140)))
    yield Table(
        title="What happened",
        head=("UTC", "what", "event", ""),
        rows=tuple(rows),
        note=f"and {left:,} more like these" if left else "",
    )


def worker_facts(notice: Notice, story: Story) -> Iterable[Block]:
    """The worker, and what it held."""
    worker = story.worker
    rows = [("Worker", notice.worker)] if notice.worker else []
    if worker is not None:
        rows += [("Host", worker.host), ("Queues", ", ".join(worker.queues)), ("Processors", str(worker.cpus))]
        rows += [("Memory", size(worker.memory_bytes))] if worker.memory_bytes else []
        rows += [("GPUs", str(worker.gpus))] if worker.gpus else []
        rows += [("Last seen", f"{worker.seen_at:%d %b %Y %H:%M:%S} UTC")] if worker.seen_at else []
    if rows:
        yield Facts(title="The worker", rows=tuple(rows))
    if story.held:
        held = [
            (f"{run.experiment} {story.labels.get(run.id, short(run.id))}", run.state.value, _point(run.checkpoint))
            for run in story.held[:20]
        ]
        yield Table(title="Its runs", head=("run", "state", "goes on from"), rows=tuple(held))


def worker_commands(_notice: Notice, story: Story) -> Iterable[Block]:
    """What to look at on that machine."""
    host = story.worker.host if story.worker else ""
    rows = [("Who lives", "labq workers"), ("Mend what it left", "labq doctor --fix")]
    if host:
        rows.append(("Start another there", f"ssh {quote(host)} labq worker"))
    yield Commands(title="What you can do", rows=tuple(rows))


def disk_facts(_notice: Notice, story: Story) -> Iterable[Block]:
    """How much is left."""
    if story.samples:
        last = story.samples[-1]
        yield Facts(
            title="The disk",
            rows=(
                ("Host", last.host),
                ("Free", size(last.disk_free_bytes)),
                ("Written by this run", size(last.written_bytes)),
            ),
        )


def setup(_notice: Notice, _story: Story) -> Iterable[Block]:
    """What a person may want to do after a test message."""
    rows = (("Which rules there are", "labq rules"), ("What is still owed", "labq outbox"), ("Settings", "labq config"))
    yield Commands(title="What you can do", rows=rows)


def _sweeps(story: Story) -> tuple[Sweep, ...]:
    return (story.sweep,) if story.sweep is not None else story.sweeps


def _named(labels: tuple[str, ...], total: int) -> str:
    return ", ".join(labels) + (f" and {total - len(labels)} more" if total > len(labels) else "")


def _point(checkpoint: object) -> str:
    step = getattr(checkpoint, "step", None)
    return "the beginning" if step is None else f"step {step:,}"


def _as_text(name: str) -> str:
    """As the query language takes it."""
    return name if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name) else f'"{name}"'


def _words(sweep: Sweep) -> str:
    sides = sides_of(sweep)
    shown = f"Curves of {sweep.metric} over {sides[0]} and {sides[1]}." if sides else f"Curves of {sweep.metric}."
    best = sweep.ranked[0] if sweep.ranked else None
    return f"{shown} Best: {best.label} with {number(best.value)}." if best else shown
