"""Tables of runs and of groups of runs, on a terminal and as JSON."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from queueing.cli.words import ago, differing, metric_words, param_words, state_words, value_words
from queueing.query.columns import Column
from queueing.units import format_duration, format_size
from store.errors import UserError
from store.grouping import Group, Reached
from store.query import KINDS, Kind, RunField
from store.runs import Run, short
from store.states import State

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions

MISSING = "–"


def run_table(runs: Sequence[Run], chosen: Sequence[Column], now: datetime) -> None:
    """One line per run."""
    if not chosen:
        _print(*_usual(runs, now))
        return
    heads = ["run", *(column.title for column in chosen)]
    _print(heads, [[short(run.id), *(cell(one, one.value(run, now), now) for one in chosen)] for run in runs])


def run_row(run: Run, chosen: Sequence[Column], now: datetime) -> dict[str, Any]:
    """A run for programmes. What is missing is null; NaN and infinity are texts, for JSON has no such numbers."""
    row: dict[str, Any] = {
        "id": run.id,
        "experiment": run.experiment,
        "state": run.state,
        "reason": run.reason,
        "attempt": run.attempt,
        "params": run.params,
        "repeat": run.repeat,
        "progress": run.progress.fraction if run.progress else None,
        "metrics": {name: summary.last for name, summary in run.summary.items()},
        "queued_at": run.queued_at,
        "ended_at": run.ended_at,
    }
    return row | ({"columns": {column.title: column.value(run, now) for column in chosen}} if chosen else {})


def group_table(title: str, by: Column, found: Sequence[Group], chosen: Sequence[Column]) -> None:
    """One line per group: how many runs, in which states, the best values and who reached them."""
    states = [state for state in State if any(group.states.get(state) for group in found)]
    heads = [title, "runs", *(state.value for state in states)]
    for column in chosen:
        heads += [column.title, "run"]
    rows = []
    for group in found:
        counts = [str(group.states.get(state) or "") for state in states]
        best = [text for one in group.reached for text in _reached_words(one)]
        rows.append([cell(by, group.value, None), str(group.count), *counts, *best])
    _print(heads, rows)


def group_rows(found: Sequence[Group], chosen: Sequence[Column]) -> list[dict[str, Any]]:
    """Groups for programmes."""
    return [
        {
            "group": group.value,
            "runs": group.count,
            "states": {state.value: count for state, count in sorted(group.states.items())},
            **({"best": {one.title: best for one, best in zip(chosen, group.reached, strict=True)}} if chosen else {}),
        }
        for group in found
    ]


def in_group_order(found: list[Group], sort: str, chosen: Sequence[Column]) -> list[Group]:
    """By `runs`, or by one of the columns; those without a value last. Raises UserError."""
    if not sort:
        return found
    name, descending = sort.removeprefix("-"), sort.startswith("-")
    if name == "runs":
        return sorted(found, key=lambda group: group.count, reverse=descending)
    titles = [column.title for column in chosen]
    if name not in titles:
        raise UserError(f"--sort {sort}: groups are sorted by: {', '.join(['runs', *titles])}")
    place = titles.index(name)
    there = [group for group in found if group.reached[place] is not None]
    there.sort(key=lambda group: _value(group.reached[place]), reverse=descending)
    return there + [group for group in found if group.reached[place] is None]


def cell(column: Column, value: Any, now: datetime | None) -> str:
    """A value in words; a dash where there is none."""
    if value is None or value == []:
        return MISSING
    if isinstance(value, datetime):
        return ago(value, now) if now is not None else f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, list) and isinstance(column.field, RunField):
        return " ".join(dict.fromkeys(str(one) for one in value))
    kind = KINDS.get(column.field) if isinstance(column.field, RunField) else None
    if kind is Kind.ID:
        return str(value)[:12]
    if kind is Kind.SIZE:
        return format_size(value)
    if kind is Kind.DURATION:
        return format_duration(value)
    return f"{value:.0%}" if column.field is RunField.PROGRESS else value_words(value)


def _reached_words(one: Reached | None) -> list[str]:
    return [MISSING, ""] if one is None else [f"{one.value:.6g}", short(one.run)]


def _value(one: Reached | None) -> float:
    return one.value if one is not None else 0.0


def _usual(runs: Sequence[Run], now: datetime) -> tuple[list[str], list[list[str]]]:
    names = differing(runs)
    heads = ["run", "experiment", "state", "done", "try", "params", "metrics", "queued"]
    rows = [
        [
            short(run.id),
            run.experiment,
            state_words(run),
            f"{run.progress.fraction:.0%}" if run.progress else "",
            str(run.attempt or ""),
            param_words(run, names),
            metric_words(run),
            ago(run.queued_at, now),
        ]
        for run in runs
    ]
    return heads, rows


def _print(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*heads, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(Text(text) for text in row))  # Text: a value in brackets is no markup
    console = Console()
    if not console.is_terminal:  # a file or a pipe is as wide as it must be
        console = Console(width=max(console.width, console.measure(table, options=_endless(console)).maximum))
    console.print(table)


def _endless(console: "Console") -> "ConsoleOptions":
    return console.options.update(width=10_000)
