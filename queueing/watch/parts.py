"""Pieces that the page of an experiment and that of a run have in common. Pure."""

from collections.abc import Sequence
from datetime import datetime

from rich.text import Text

from queueing.live.words import harmless, one_line
from queueing.watch.picture import Found, Picture
from store.findings import Finding, Severity
from store.runs import short
from store.states import State

STATE_STYLES = {
    State.FINISHED: "green", State.FAILED: "red", State.CANCELLED: "yellow", State.RUNNING: "cyan", State.QUEUED: "dim",
    State.PAUSED: "dim",
}  # fmt: skip
_SEVERITY_STYLES = {Severity.SEVERE: "bold red", Severity.WARNING: "yellow", Severity.NOTE: "dim"}
_SIGNS = {Severity.SEVERE: "‼", Severity.WARNING: "!", Severity.NOTE: "·"}
_KEYS = {
    False: "q leave  ↑↓ ⏎ open a run  m metric  l log  x step/time  s sort  r reverse  ? help",
    True: "q leave  ⌫ back  m other curves  l log  x step/time  ? help",
}
_TWO_LINES_FROM = 110
_KEYS_FROM = 12
NOBODYS_HEIGHT = 10_000
"""Of a page that is printed: nothing is left out."""


def banner(picture: Picture, note: str) -> list[Text]:
    """That this is the last picture instead of one of now; and what the page was asked for besides."""
    away = f"as of {picture.at:%H:%M:%S}, goes on by itself: {harmless(picture.away)}" if picture.away else ""
    lines = [Text(away, style="bold red"), Text(harmless(note), style="yellow")]
    return [one_line(line) for line in lines if line]


def keys_line(height: int, *, in_run: bool) -> list[Text]:
    """What can be pressed; not on the smallest terminals, and not where nobody can press anything."""
    return [one_line(Text(_KEYS[in_run], style="dim"))] if _KEYS_FROM <= height < NOBODYS_HEIGHT else []


def heading(title: str) -> Text:
    """Above a part of the page."""
    return one_line(Text(title, style="reverse"))


def number_words(value: float | None) -> str:
    """Four digits; nothing where there is none."""
    return "" if value is None else f"{value:.4g}"


def finding_lines(found: Sequence[Found], width: int, most: int, *, named: bool = True) -> list[Text]:
    """One line each; on a narrow terminal a second one for the advice, where there is room."""
    lines: list[Text] = []
    two = width < _TWO_LINES_FROM and most >= 2 * len(found)
    for number, one in enumerate(found):
        if len(lines) + 1 + two > most - (number < len(found) - 1):
            return [*lines, Text(f"+{len(found) - number} more findings", style="dim")][:most]
        lines += _finding(one, two=two, named=named)
    return lines


def finding_cell(findings: Sequence[Finding]) -> Text:
    """`‼divergence !slow`"""
    text = Text()
    for position, one in enumerate(findings):
        text.append(
            (" " if position else "") + _SIGNS[one.severity] + one.disease.value, _SEVERITY_STYLES[one.severity]
        )
    return text


def _finding(one: Found, *, two: bool, named: bool) -> list[Text]:
    finding, style = one.finding, _SEVERITY_STYLES[one.finding.severity]
    about = f" ({finding.about})" if finding.about else ""
    since = f" since step {finding.since_step}" if finding.since_step is not None else ""
    until = f", expected at {_clock(finding.expected_at)}" if finding.expected_at else ""
    text = Text(_SIGNS[finding.severity] + " ", style=style)
    text.append(f"{short(one.run)} " if named else "")
    text.append(f"{finding.disease}{harmless(about)}{since}", style)
    text.append(f": {harmless(finding.evidence)}{until}")
    advice = Text(f"  → {harmless(finding.advice)}", style="italic")
    return [one_line(text), one_line(advice)] if two else [one_line(text + advice if finding.advice else text)]


def _clock(at: datetime) -> str:
    return f"{at:%d %b %H:%M} UTC"
