"""How somebody looks at the page, and what keys make of it. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from queueing.live.keyboard import Key
from queueing.watch.curves import Axis
from queueing.watch.picture import Picture, Row, Sweep, Wanted
from store.states import State

PAGE = 10


class Sort(StrEnum):
    """By what the table is sorted."""

    BEST = "best"
    LAST = "last"
    STATE = "state"
    PROGRESS = "progress"
    SPEED = "speed"
    FINDINGS = "findings"
    NEWEST = "newest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """`metric`: empty until one is chosen. `selected` and `opened` are ids of runs, or empty."""

    metric: str = ""
    axis: Axis = Axis.STEP
    log: bool = False
    sort: Sort = Sort.BEST
    backwards: bool = False
    selected: str = ""
    opened: str = ""
    panel: int = 0
    help: bool = False
    note: str = ""
    """Said until a key is pressed."""

    @property
    def wanted(self) -> Wanted:
        """What has to be read for it."""
        return Wanted(metric=self.metric, run=self.opened, panel=self.panel)


def pressed(look: Look, key: str, picture: Picture) -> Look | None:
    """The look after this key; None: leave. Keys that mean nothing change nothing."""
    look = replace(look, note="")
    if look.help:
        return None if key in ("q", "Q") else replace(look, help=False)
    if key in ("q", "Q") or (key == Key.ESCAPE and not look.opened):
        return None
    if key in _EVERYWHERE:
        return _EVERYWHERE[key](look)
    if look.opened:
        return _in_run(look, key)
    return _in_sweep(look, key, picture.sweep) if picture.sweep is not None else look


def ordered(sweep: Sweep, look: Look) -> list[Row]:
    """The rows of the table as they are sorted; what has no value comes last, either way."""
    value = _VALUES[look.sort]
    known = [(found, row) for row in sweep.rows if (found := value(row, sweep)) is not None]
    known.sort(key=lambda pair: (pair[0], pair[1].id), reverse=look.backwards)
    there = {row.id for _, row in known}
    return [*(row for _, row in known), *(row for row in sweep.rows if row.id not in there)]


def _in_run(look: Look, key: str) -> Look:
    if key in (Key.ESCAPE, Key.BACKSPACE, Key.LEFT, "b", "h"):
        return replace(look, opened="", panel=0)
    if key in ("m", Key.DOWN, Key.TAB, "j"):
        return replace(look, panel=look.panel + 1)
    if key in ("M", Key.UP, "k"):
        return replace(look, panel=max(0, look.panel - 1))
    return look


def _in_sweep(look: Look, key: str, sweep: Sweep) -> Look:
    if key in ("m", "M"):
        return replace(look, metric=_next(sweep.metrics, look.metric or sweep.metric, 1 if key == "m" else -1))
    rows = [row.id for row in ordered(sweep, look)]
    if not rows:
        return look
    at = rows.index(look.selected) if look.selected in rows else -1
    if key in (Key.ENTER, Key.RIGHT):
        return replace(look, opened=rows[max(0, at)], selected=rows[max(0, at)], panel=0)
    if key in _MOVES:
        return replace(look, selected=rows[min(len(rows) - 1, max(0, _MOVES[key](at, len(rows))))])
    return look


def _next(names: Sequence[str], name: str, by: int) -> str:
    if not names:
        return ""
    return names[(names.index(name) + by) % len(names)] if name in names else names[0]


def _next_sort(look: Look) -> Look:
    every = list(Sort)
    return replace(look, sort=every[(every.index(look.sort) + 1) % len(every)], backwards=False)


_EVERYWHERE: dict[str, Callable[[Look], Look]] = {
    "?": lambda look: replace(look, help=True),
    "l": lambda look: replace(look, log=not look.log),
    "x": lambda look: replace(look, axis=Axis.TIME if look.axis is Axis.STEP else Axis.STEP),
    "s": _next_sort,
    "r": lambda look: replace(look, backwards=not look.backwards),
}
_MOVES: dict[str, Callable[[int, int], int]] = {
    Key.UP: lambda at, _: at - 1,
    "k": lambda at, _: at - 1,
    Key.DOWN: lambda at, _: at + 1,
    "j": lambda at, _: at + 1,
    Key.PAGE_UP: lambda at, _: at - PAGE,
    Key.PAGE_DOWN: lambda at, _: max(0, at) + PAGE,
    Key.HOME: lambda _, __: 0,
    "g": lambda _, __: 0,
    Key.END: lambda _, count: count - 1,
    "G": lambda _, count: count - 1,
}
_STATES = (State.RUNNING, State.FAILED, State.FINISHED, State.CANCELLED, State.PAUSED, State.QUEUED)
_SEVERITIES = ("severe", "warning", "note")


def _worst(row: Row) -> tuple[int, int] | None:
    if not row.findings:
        return None
    return min(_SEVERITIES.index(one.severity) for one in row.findings), -len(row.findings)


def _signed(value: float | None, sweep: Sweep) -> float | None:
    """So that the better comes first; NaN has no place."""
    if value is None or value != value:
        return None
    return -value if sweep.greatest else value


_VALUES: dict[Sort, Callable[[Row, Sweep], Any]] = {
    Sort.BEST: lambda row, sweep: _signed(row.best, sweep),
    Sort.LAST: lambda row, sweep: _signed(row.last, sweep),
    Sort.STATE: lambda row, _: _STATES.index(row.state),
    Sort.PROGRESS: lambda row, _: None if row.fraction is None else -row.fraction,
    Sort.SPEED: lambda row, _: None if row.per_s is None else -row.per_s,
    Sort.FINDINGS: lambda row, _: _worst(row),
    Sort.NEWEST: lambda row, _: -row.queued_at.timestamp(),
}
