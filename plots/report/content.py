"""What a report says, in which order: blocks, as letters have them, and pictures."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from shlex import quote
from typing import ClassVar

from notify.letters.letter import Block, Facts, Remark, Table
from notify.letters.sweeps import best_of, failures_of, findings_of
from notify.siblings import failures
from notify.story import Ranked, Sweep
from notify.words import duration
from plots.asking import Ask, Kind
from plots.chosen import Chosen, chosen
from plots.making import drawn_from
from plots.picture import Picture
from plots.report.provenance import hosts, provenance
from plots.words import value_words
from queueing.results.asking import Ask as Results
from queueing.results.record import Directions, best_value
from queueing.results.report import report as results
from queueing.results.table import Table as Columns
from queueing.results.words import cell_words, is_numeric, numeral
from store.errors import UserError
from store.experiments import Experiment
from store.states import State
from store.store import Store

BEST_ROWS, LOOKED_AT, MOST_FINDINGS = 10, 500, 12
_DIGITS = 4
_VALUES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """A picture with its title; `command` draws it again."""

    kind: ClassVar[str] = "drawing"
    title: str
    picture: Picture
    command: str


Part = Block | Drawing


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """From top to bottom."""

    title: str
    made_at: datetime
    lead: tuple[str, ...]
    parts: tuple[Part, ...]


def content(name: str, store: Store, *, metric: str | None, by: tuple[str, ...], directions: Directions) -> Report:
    """Of one experiment. Raises UserError."""
    experiment = store.experiment(name)
    if experiment is None:
        from queueing.query.mistake import guess

        raise UserError(f"there is no experiment {name!r}{guess(name, [one.name for one in store.experiments()])}")
    ask = Ask(which=(name,), y=(metric,) if metric else (), greater=directions.greater, smaller=directions.smaller)
    among = chosen(ask, store)
    if metric:
        among.metric(metric)
    has_metrics = bool(among.metrics)
    main = metric or (among.main_metric() if has_metrics else "")
    parts: list[Part] = [_what_was_run(experiment, among)]
    if has_metrics:
        parts += _results(name, main, by, among, store)
        parts += _pictures(replace(ask, y=(main,)), among, store)
    else:
        parts.append(Remark(text="No run has reported a metric, so there are no results and no pictures."))
    parts += _findings(among, store)
    parts += failures_of(Sweep(experiment=name, failures=failures(among.outcomes, among.names)))
    parts += hosts(among, store)
    parts += provenance(experiment, among, store)
    return Report(title=name, made_at=store.now(), lead=_lead(among), parts=tuple(parts))


# ── words ──
def _lead(among: Chosen) -> tuple[str, ...]:
    counts = {state: sum(one.state is state for one in among.outcomes) for state in State}
    told = ", ".join(f"{count:,} {state}" for state, count in counts.items() if count)
    waiting = f", {among.waiting:,} not begun" if among.waiting else ""
    said = [f"{len(among.outcomes) + among.waiting:,} runs: {told}{waiting}."]
    started = [one.started_at for one in among.outcomes if one.started_at]
    ended = [one.ended_at for one in among.outcomes if one.ended_at]
    if started:
        is_over = len(ended) == len(among.outcomes) and not among.waiting
        end = f"{max(ended):%d %b %Y %H:%M}" if is_over else "still going on"
        said.append(
            f"{min(started):%d %b %Y %H:%M} to {end} (UTC)."
            if is_over
            else f"Begun {min(started):%d %b %Y %H:%M} UTC, {end}."
        )
        spent = sum(
            (one.ended_at - one.started_at).total_seconds() for one in among.outcomes if one.started_at and one.ended_at
        )
        said.append(f"From first start to end the runs took {duration(spent)} together.")
    return tuple(said)


def _what_was_run(experiment: Experiment, among: Chosen) -> Facts:
    rows = [("Experiment", experiment.name)]
    rows += [("Trainer", experiment.trainer)] if experiment.trainer else []
    command = experiment.definition.get("command")
    rows += [("Command", command if isinstance(command, str) else " ".join(map(str, command)))] if command else []
    rows += [("Varied", line) for line in _varied(among)]
    rows += [("By", experiment.owner)] if experiment.owner else []
    rows += [("Tags", ", ".join(experiment.tags))] if experiment.tags else []
    rows += [("File", experiment.source)] if experiment.source else []
    return Facts(title="What was run", rows=tuple(rows))


def _varied(among: Chosen) -> Iterator[str]:
    """`l1: 1e-06, 1e-05, 0.0001, 0.001`"""
    for name, values in list(among.varying.items())[:20]:
        shown = ", ".join(map(value_words, values[:_VALUES]))
        yield f"{name}: {shown}" + (f", … ({len(values):,} values)" if len(values) > _VALUES else "")


# ── results ──
def _results(name: str, metric: str, by: tuple[str, ...], among: Chosen, store: Store) -> Iterable[Part]:
    metrics = tuple(filter(None, [among.partner(metric), metric]))
    asked = Results(text=name, metrics=metrics, by=by or _few_groups(among), bests=True, directions=among.directions)
    if any(one.state is State.FINISHED for one in among.outcomes):
        table = results(asked, store).pivots[0]
        yield as_block(table, title="Best results")
    else:
        yield as_block(results(replace(asked, unfinished=True), store).pivots[0], title="Best results so far")
    order = [one for one in among.ranked(metric) if (value := among.value(one, metric)) is not None and value == value]
    finished = [one for one in order if one.state is State.FINISHED] or order
    ranked = tuple(
        Ranked(outcome=one, label=among.names[one.id], value=value, step=step)
        for one in finished[:BEST_ROWS]
        for value, step in [best_value(one.summary[metric], greatest=among.greatest(metric))]
    )
    yield from best_of(Sweep(experiment=name, metric=metric, varying=among.varying, ranked=ranked))


def _few_groups(among: Chosen) -> tuple[str, ...]:
    """A parameter with two or three values that are no numbers, such as with and without: the first one."""
    from plots.colours import is_number

    for name, values in among.varying.items():
        if 2 <= len(values) <= 3 and not all(is_number(value) for value in values):
            return (name,)
    return ()


def as_block(table: Columns, title: str) -> Table:
    """A table of results in words."""
    number = numeral(_DIGITS)
    rows = [
        tuple(cell_words(value, column.kind, number) for column, value in zip(table.columns, row, strict=True))
        for row in table.rows()
    ]
    numeric = frozenset(place for place, column in enumerate(table.columns) if is_numeric(column.kind))
    return Table(
        title=title,
        head=tuple(column.name for column in table.columns),
        rows=tuple(rows),
        numeric=numeric,
        note=table.caption,
        strong=frozenset({0}),
    )


# ── pictures ──
def _pictures(ask: Ask, among: Chosen, store: Store) -> Iterable[Part]:
    """The grid where the runs make one; what cannot be drawn says why in one line."""
    from notify.siblings import grid_of

    pair = grid_of(among.varying, list(among.params.values()))
    kinds = [(Kind.GRID, "Figure grid"), (Kind.HEATMAP, "Heat map")] if pair else [(Kind.CURVES, "Curves")]
    if len(among.varying):
        kinds += [(Kind.SCATTER, "The metric against each parameter")]
        kinds += [(Kind.IMPORTANCE, "Which parameters matter")]
    for kind, title in kinds:
        command = f"labq plot {quote(ask.which[0])} --kind {kind} -y {quote(ask.y[0])}"
        try:
            yield Drawing(title=title, picture=drawn_from(replace(ask, kind=kind), among, store), command=command)
        except UserError as error:
            yield Remark(text=f"{title}: {error}")


def _findings(among: Chosen, store: Store) -> Iterable[Part]:
    looked = [one.id for one in among.outcomes[:LOOKED_AT]]
    known = store.diagnoses(looked)
    pairs = [(among.names[run], finding) for run, diagnosis in known.items() for finding in diagnosis.standing]
    yield from findings_of(pairs, MOST_FINDINGS)
    if not pairs:
        yield Remark(text=f"The diagnosis has found nothing wrong with the {len(known):,} runs that it has looked at.")
    if len(among.outcomes) > LOOKED_AT:
        yield Remark(text=f"Findings of the first {LOOKED_AT} of {len(among.outcomes):,} runs; of all: labq diagnose")
