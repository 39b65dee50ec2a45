"""Runs in a notebook: tables without scripts or styles, every text escaped."""

from collections.abc import Iterable, Sequence
from html import escape

from queueing.cli.words import differing, metric_words, param_words, state_words, value_words
from store.directions import greater_is_better
from store.runs import Run, short

_MOST_TEXT = 120


def runs_html(runs: Sequence[Run], count: str) -> str:
    """A few of them, and how many there are."""
    names = differing(runs)
    rows = [
        (short(run.id), run.experiment, state_words(run), param_words(run, names), metric_words(run)) for run in runs
    ]
    heads = ("run", "experiment", "state", "params", "metrics")
    shown = f"{len(runs)} of {count} runs" if str(len(runs)) != count else f"{count} runs"
    body = "".join(_row("td", row) for row in rows)
    return f"<table><caption>{escape(shown)}</caption>{_row('th', heads)}{body}</table>"


def run_html(run: Run) -> str:
    """What is known of one run."""
    facts = [("run", run.id), ("experiment", run.experiment), ("state", state_words(run))]
    facts += [("tags", ", ".join(run.tags))] if run.tags else []
    facts += [("found", ", ".join(run.findings))] if run.findings else []
    facts += [(f"params.{name}", value_words(value)) for name, value in run.params.items()]
    for name, summary in run.summary.items():
        greatest = greater_is_better(name)
        best, step = (summary.max, summary.max_step) if greatest else (summary.min, summary.min_step)
        said = f"{value_words(summary.last)} at step {summary.last_step}"
        facts.append((name, said if best is None else f"{said}, best {value_words(best)} at step {step}"))
    facts += [("said", run.ending.message)] if run.ending and run.ending.message else []
    return f"<table>{''.join(_row('td', fact) for fact in facts)}</table>"


def _row(cell: str, texts: Iterable[str]) -> str:
    shown = (text if len(text) <= _MOST_TEXT else text[: _MOST_TEXT - 1] + "…" for text in texts)
    return f"<tr>{''.join(f'<{cell}>{escape(text)}</{cell}>' for text in shown)}</tr>"
