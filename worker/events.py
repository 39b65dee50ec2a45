"""The event file of an attempt, read line by line into points, checkpoints, progress: pure."""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from store.metrics import Segment
from store.runs import Progress

INT64 = 2**63
RESERVED = ("_checkpoint", "_best", "_progress", "_artifact", "_stop", "_final")


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """A checkpoint the child published: its name in the folder, its step, and the line that says so."""

    name: str
    step: int
    line: int
    best: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What a piece of the event file says."""

    segments: tuple[Segment, ...] = ()
    checkpoints: tuple[Announced, ...] = ()
    artifacts: tuple[str, ...] = ()
    progress: Progress | None = None
    stop: str | None = None
    broken: tuple[str, ...] = ()


@dataclass(slots=True)
class _Column:
    """A segment that grows."""

    index: int
    lines: list[int] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def segment(self, name: str) -> Segment:
        return Segment(
            name=name, index=self.index, lines=self.lines, steps=self.steps, times=self.times, values=self.values
        )


@dataclass(slots=True)
class EventReader:
    """Counts lines and points of one attempt; `read` takes whole lines only."""

    lines: int = 0
    last_step: int = -1
    reached: int = -1
    """The highest step of this attempt and of what earlier ones left: where a final value belongs."""
    _counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def read(self, data: bytes, now: float, offset_s: float = 0.0) -> Batch:
        """The meaning of further lines. A line that cannot be understood is named and skipped: the rest counts.

        `now` and `offset_s`: the time of this host, and what is added to every time of it.
        """
        series: dict[str, _Column] = {}
        checkpoints: list[Announced] = []
        artifacts: list[str] = []
        broken: list[str] = []
        progress: Progress | None = None
        stop: str | None = None
        for raw in data.splitlines():
            self.lines += 1
            if not raw.strip():
                continue
            try:
                event = _event(raw)
                self._add_points(series, event, now, offset_s)
                if "_checkpoint" in event:
                    checkpoints.append(self._announced(event))
                if "_progress" in event:
                    progress = _progress(event["_progress"])
                if "_artifact" in event:
                    artifacts.append(_text("_artifact", event["_artifact"]))
                if "_stop" in event:
                    stop = _text("_stop", event["_stop"])[:500]
            except (ValueError, TypeError, OverflowError) as error:
                broken.append(f"event line {self.lines}: {error}")
        return Batch(
            segments=tuple(column.segment(name) for name, column in series.items()),
            checkpoints=tuple(checkpoints),
            artifacts=tuple(artifacts),
            progress=progress,
            stop=stop,
            broken=tuple(broken),
        )

    def _add_points(self, series: dict[str, "_Column"], event: dict[str, Any], now: float, offset_s: float) -> None:
        """All points of a line, or none when one of them cannot be understood."""
        names = [name for name in event if name != "step" and not name.startswith("_")]
        if not names:
            return
        step, at = self._step_of(event), float(event.get("_t", now)) + offset_s
        self.last_step, self.reached = step, max(step, self.reached)
        metrics = {_metric_name(name): _number(name, event[name]) for name in names}
        for name, value in metrics.items():
            column = series.get(name)
            if column is None:
                column = series[name] = _Column(index=self._counts[name])
            column.lines.append(self.lines)
            column.steps.append(step)
            column.times.append(at)
            column.values.append(value)
            self._counts[name] += 1

    def _step_of(self, event: dict[str, Any]) -> int:
        if "step" in event:
            return _step(event["step"])
        return max(self.reached, 0) if event.get("_final") is True else self.last_step + 1

    def _announced(self, event: dict[str, Any]) -> Announced:
        name = _text("_checkpoint", event["_checkpoint"])
        if not name or "/" in name or name.startswith("."):
            raise ValueError(f"_checkpoint is {name!r}; allowed: the name of a file in LABQ_CHECKPOINTS")
        best = event.get("_best", False)
        if not isinstance(best, bool):
            raise ValueError(f"_best is {str(best)[:40]!r}; allowed: true or false")
        step = _step(event.get("step", max(self.last_step, 0)))
        return Announced(name=name, step=step, line=self.lines, best=best)


def worth_publishing(announced: Sequence[Announced]) -> list[Announced]:
    """Of several that wait, oldest first: the newest best and the newest. Those overtaken are not worth the traffic.

    Of one name the last alone counts: its file has replaced the others.
    """
    newest = {one.name: one.line for one in announced}
    there = [one for one in announced if newest[one.name] == one.line]
    best = [one for one in there if one.best][-1:]
    return [*best, *(one for one in there[-1:] if one not in best)]


def _event(raw: bytes) -> dict[str, Any]:
    try:
        event = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"is not JSON: {raw[:80]!r}") from error
    if not isinstance(event, dict):
        raise ValueError(f"is no JSON object: {raw[:80]!r}")
    unknown = [key for key in event if key.startswith("_") and key not in RESERVED and key != "_t"]
    if unknown:
        raise ValueError(f"{unknown[0]!r} is no reserved key; there are: {', '.join(RESERVED)}")
    return event


def _step(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < INT64 or value != int(value):
        raise ValueError(f"step is {str(value)[:40]}; allowed: a whole number of at most 64 bits")
    return int(value)


def _text(key: str, value: Any) -> str:
    text = str(value)
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError(f"{key} is {text[:80]!r}; allowed: a text without NUL and half characters")
    return text


def _number(name: str, value: Any) -> float:
    if value is None:
        return float("nan")
    if not isinstance(value, int | float):
        raise ValueError(f"metric {name!r} is {value!r}; allowed: a number")
    return float(value)


def _metric_name(name: str) -> str:
    """MongoDB paths are separated by dots and operators begin with $: neither may stand in a key of the summary."""
    return _text("a metric's name", name.replace(".", "/").replace("$", "_").replace("\0", "_") or "_")[:200]


def _progress(value: Any) -> Progress:
    if not isinstance(value, list) or len(value) != 2:
        raise ValueError(f"_progress is {value!r}; allowed: [done, total]")
    return Progress(done=float(value[0]), total=float(value[1]))
