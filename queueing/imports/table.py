"""A table of runs, or of histories, as runs of elsewhere. All of it is read and checked before anything is stored."""

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

from queueing.imports.cleaning import number, param, param_name, utc, whole
from queueing.imports.elsewhere import Elsewhere
from queueing.imports.files import FileRow, TableFile
from queueing.imports.mapping import Chosen, mapped
from queueing.imports.spool import Spool
from queueing.space.names import placed
from store.errors import UserError
from store.metrics import BUCKET_POINTS, Segment
from store.states import Reason, State

_MOST_TOLD = 20
_FINISHED, _FAILED, _CANCELLED = (State.FINISHED, None), (State.FAILED, Reason.ERROR), (State.CANCELLED, Reason.STOPPED)
STATES: dict[str, tuple[State, Reason | None]] = {
    **dict.fromkeys(("finished", "completed", "complete", "done", "success", "succeeded", "ok"), _FINISHED),
    **dict.fromkeys(("failed", "fail", "error", "crashed"), _FAILED),
    **dict.fromkeys(("cancelled", "canceled", "interrupted", "stopped", "killed", "aborted"), _CANCELLED),
    "timeout": (State.FAILED, Reason.TIME_LIMIT),
    "lost": (State.FAILED, Reason.LOST),
}


class ImportedTable:
    """The runs of a file. Raises UserError with all that is wrong, a line each."""

    def __init__(self, file: TableFile, chosen: Chosen, experiment: str, now: datetime) -> None:
        self._file, self._experiment, self._now = file, experiment, now
        self._spool, self._wrong = Spool(), list[str]()
        self.mapping = mapped(file.columns(), chosen)
        self._wanted = [*self.mapping.params, *self.mapping.metrics]
        self._fixed = [name for name in (self.mapping.state, self.mapping.step, self.mapping.time) if name]
        self._read()
        self._spool.close()
        self._compare()
        self._tell()
        if not self.count:
            raise UserError(f"{file.path}: has no row with values")

    @property
    def count(self) -> int:
        """How many runs."""
        return self._spool.count

    def runs(self) -> Iterator[Elsewhere]:
        """One at a time, in the order in which they begin in the file."""
        for place, name in self._spool.runs():
            yield self._elsewhere(place, name)

    # ── reading ──
    def _read(self) -> None:
        for row in self._file.rows():
            if len(self._wrong) >= _MOST_TOLD:
                return
            cells = [self._cell(row, column) for column in (*self._wanted, *self._fixed)]
            first = self._spool.add(self._name_of(row, cells), row.number, cells)
            if first is not None and not self.mapping.step:
                said = f"is of the same run as row {first}; with several rows for a run name the step: --step COLUMN"
                self._complain(row.number, self.mapping.run, said)

    def _name_of(self, row: FileRow, cells: list[Any]) -> str:
        """The run's name: as the file says, or made of the row; a history without a name is one run."""
        if self.mapping.run:
            value = row.values.get(self.mapping.run)
            if value is None or value == "":
                self._complain(row.number, self.mapping.run, "is empty: which run is it of?")
            return str(value)
        if self.mapping.step:
            return self._file.path.stem
        digest = hashlib.sha256(json.dumps(cells, default=str).encode()).hexdigest()[:32]
        return f"{digest} {self._spool.twin(digest)}"

    def _cell(self, row: FileRow, column: str) -> Any:
        """Checked, and as it is to be kept: a metric as a number, NaN too."""
        value = row.values.get(column)
        value = None if value == "" else value
        if column in self.mapping.metrics:
            return self._checked(row, column, value, number(value), "a number; a metric that is missing stays empty")
        if column == self.mapping.step:
            found = whole(value)
            return self._checked(row, column, value if value is not None else "", found, "a whole number")
        if column == self.mapping.time:
            return self._checked(
                row, column, value, _seconds(value), "a time such as 2026-11-01T09:30 or seconds since 1970"
            )
        if column == self.mapping.state and value is not None:
            word = str(value).lower()
            said = f"a state of an ended run; allowed: {', '.join(STATES)}"
            return self._checked(row, column, value, word if word in STATES else None, said)
        return param(value)

    def _checked(self, row: FileRow, column: str, raw: Any, found: Any, allowed: str) -> Any:
        if found is None and raw is not None:
            self._complain(row.number, column, f"{str(raw)[:60]!r} is not {allowed}")
        return found

    # ── rows of one run must agree ──
    def _compare(self) -> None:
        if not self.mapping.step or self._wrong:
            return
        for place, name in self._spool.runs():
            seen: dict[str, tuple[int, Any]] = {}
            for line, cells in self._spool.rows(place):
                for column, value in zip((*self._wanted, *self._fixed), cells, strict=True):
                    is_of_run = column in self.mapping.params or column == self.mapping.state
                    if is_of_run and value is not None:
                        self._agree(name, line, column, value, seen.setdefault(column, (line, value)))
                if len(self._wrong) >= _MOST_TOLD:
                    return

    def _agree(self, run: str, line: int, column: str, value: Any, first: tuple[int, Any]) -> None:
        if column in self.mapping.params and repr(value) != repr(first[1]):
            said = (
                f"{value!r}, but {first[1]!r} in row {first[0]} of run {run!r}; what changes within a run is a metric"
            )
            self._complain(line, column, said)

    def _complain(self, line: int, column: str, said: str) -> None:
        self._wrong.append(f"{self._file.place(line, column)}: {said}")

    def _tell(self) -> None:
        if self._wrong:
            more = "\nand more of the kind" if len(self._wrong) >= _MOST_TOLD else ""
            raise UserError("\n".join(self._wrong[:_MOST_TOLD]) + more)

    # ── runs ──
    def _elsewhere(self, place: int, name: str) -> Elsewhere:
        params: dict[str, Any] = {}
        times: list[float] = []
        state = "finished"
        for _, cells in self._spool.rows(place):
            row = dict(zip((*self._wanted, *self._fixed), cells, strict=True))
            params |= {
                known: row[column]
                for column, known in self.mapping.params.items()
                if row[column] is not None and known not in params
            }
            state = row.get(self.mapping.state) or state
            at = row.get(self.mapping.time)
            times = [at, at] if not times and at is not None else _widened(times, at)
        ends = [datetime.fromtimestamp(one, UTC) for one in times] or [self._now, self._now]
        return Elsewhere(
            original=name if self.mapping.run else f"row {place}",
            identity=("table", name),
            experiment=self._experiment,
            params=_nested(params),
            state=STATES[state][0],
            reason=STATES[state][1],
            index=place - 1,
            queued_at=utc(ends[0]),
            started_at=utc(ends[0]) if times else None,
            ended_at=utc(ends[1]),
            points=partial(self._points, place, utc(ends[1]).timestamp()),
        )

    def _points(self, place: int, default_at: float) -> Iterator[Segment]:
        """A bucket of each metric at a time."""
        open_: dict[str, list[tuple[int, int, float, float]]] = {name: [] for name in self.mapping.metrics.values()}
        begun = dict.fromkeys(open_, 0)
        columns = (*self._wanted, *self._fixed)
        for line, (_, cells) in enumerate(self._spool.rows(place), 1):
            row = dict(zip(columns, cells, strict=True))
            at = row.get(self.mapping.time)
            for column, name in self.mapping.metrics.items():
                if row[column] is None:
                    continue
                step = row[self.mapping.step] if self.mapping.step else 0
                open_[name].append((line, step, default_at if at is None else at, row[column]))
                if len(open_[name]) == BUCKET_POINTS:
                    yield _segment(name, begun[name], open_[name])
                    begun[name] += BUCKET_POINTS
                    open_[name] = []
        for name, rows in open_.items():
            if rows:
                yield _segment(name, begun[name], rows)


def _segment(name: str, index: int, rows: list[tuple[int, int, float, float]]) -> Segment:
    lines, steps, times, values = zip(*rows, strict=True)
    return Segment(name=name, index=index, lines=lines, steps=steps, times=times, values=values)


def _widened(times: list[float], at: float | None) -> list[float]:
    return times if at is None else [min(times[0], at), max(times[1], at)]


def _nested(params: dict[str, Any]) -> dict[str, Any]:
    """Dotted names are tables, unless one of them is a value as well."""
    clash = any(other.startswith(f"{name}.") for name in params for other in params)
    names = {name: ".".join(param_name(part) for part in name.split(".")) for name in params}
    if clash or any("" in name.split(".") for name in params):
        return {param_name(name): value for name, value in params.items()}
    return placed({}, {names[name]: value for name, value in params.items()})


def _seconds(value: Any) -> float | None:
    """Since 1970; None for what is no time."""
    if value is None:
        return None
    if (seconds := number(value)) is not None:
        return seconds if 0 <= seconds < 10**11 else None
    try:
        return utc(datetime.fromisoformat(str(value))).timestamp()
    except ValueError:
        return None
