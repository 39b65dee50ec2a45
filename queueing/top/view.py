"""The picture as lines of a terminal of any size. Pure: the same picture and size give the same lines."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from rich.cells import cell_len
from rich.console import Group, JustifyMethod, RenderableType
from rich.table import Table
from rich.text import Text

from queueing.top.picture import EndedLine, Picture, QueueLine, RunLine, WorkerLine
from queueing.units import format_duration, format_size
from store.runs import short
from store.states import State

T = TypeVar("T")
WIDE = 120
_BAR = 8
_STYLES = {State.FINISHED: "green", State.FAILED: "red", State.CANCELLED: "yellow"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """`from_width`: shown on terminals that are at least so wide. `share`: it may shrink, and takes what is left."""

    title: str
    cell: Callable[..., str | Text]
    from_width: int = 0
    right: bool = False
    share: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A table with its lines, out of `total`. `weight`: how much of the height it gets when there is too little."""

    columns: Sequence[Column]
    lines: Sequence[object]
    weight: int
    total: int

    @property
    def height(self) -> int:
        """Rows that show everything, the titles among them."""
        return len(self.lines) + (self.total > len(self.lines)) + 1 if self.lines else 0


def render(picture: Picture, width: int, height: int) -> RenderableType:
    """At most `height` lines of at most `width` characters."""
    heads = header(picture)
    shown = [section for section in sections(picture) if section.lines]
    rows = allot([section.height for section in shown], [section.weight for section in shown], height - len(heads))
    tables = [_table(section, room, width) for section, room in zip(shown, rows, strict=True) if room > 1]
    return Group(*heads, *tables)


def header(picture: Picture) -> list[Text]:
    """The clock, the counts, and whether this is the last picture instead of one of now."""
    counts = ", ".join(f"{n} {state}" for state, n in picture.counts) or (
        "no runs yet" if picture.counted_s is not None else ""
    )
    age = f" ({format_duration(picture.counted_s)} ago)" if picture.counted_s and picture.counted_s >= 5 else ""
    lines = [_line(Text(f"labq  {picture.at:%H:%M:%S} UTC  {counts}{age}", style="bold"))]
    if picture.away:
        lines.append(_line(Text(f"as of {picture.at:%H:%M:%S}: {picture.away}", style="bold red")))
    elif not picture.workers:
        lines.append(_line(Text("no worker is there; start one with: labq worker", style="yellow")))
    return lines


def sections(picture: Picture) -> list[Section]:
    """From top to bottom."""
    running = dict(picture.counts).get(State.RUNNING, 0)
    return [
        Section(columns=_RUNS, lines=picture.running, weight=5, total=max(running, len(picture.running))),
        Section(columns=_WORKERS, lines=_busy_last(picture.workers), weight=3, total=len(picture.workers)),
        Section(columns=_MACHINES, lines=picture.machines, weight=2, total=len(picture.machines)),
        Section(columns=_GPUS, lines=picture.gpus, weight=2, total=len(picture.gpus)),
        Section(columns=_QUEUES, lines=picture.queues, weight=2, total=len(picture.queues)),
        Section(columns=_ENDED, lines=picture.ended, weight=2, total=len(picture.ended)),
    ]


def allot(wanted: Sequence[int], weights: Sequence[int], height: int) -> list[int]:
    """How many rows each gets: a title and one line first, then by weight, none more than it wants."""
    rows = [0] * len(wanted)
    left = height
    for i, want in enumerate(wanted):
        rows[i] = min(2, want) if left >= 2 else 0
        left -= rows[i]
    while left > 0 and (hungry := [i for i, want in enumerate(wanted) if 0 < rows[i] < want]):
        i = min(hungry, key=lambda one: (rows[one] / weights[one], one))
        rows[i] += 1
        left -= 1
    return rows


def _table(section: Section, room: int, width: int) -> Table:
    """With one line less where not all fit: the last says how many are missing."""
    columns = [column for column in section.columns if width >= column.from_width]
    rows = [[column.cell(line) for column in columns] for line in _fitting(section, room)]
    is_wide = _natural_width(columns, rows) > width
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), width=width if is_wide else None)
    table.header_style = "reverse"
    for column in columns:
        justify: JustifyMethod = "right" if column.right else "left"
        share = column.share or None if is_wide else None
        table.add_column(column.title, justify=justify, no_wrap=True, overflow="ellipsis", ratio=share)
    for row in rows:
        table.add_row(*row)
    missing = section.total - len(rows)
    if missing and len(rows) < room - 1:
        table.add_row(Text(f"+{missing} more", style="dim"))
    return table


def _fitting(section: Section, room: int) -> Sequence[object]:
    """The lines that are shown below the titles; one at least."""
    if section.height <= room and section.total == len(section.lines):
        return section.lines
    return section.lines[: max(room - 2, 0)] or section.lines[: room - 1]


def _natural_width(columns: Sequence[Column], rows: Sequence[Sequence[str | Text]]) -> int:
    """What the table would take if it could."""
    titles = [column.title for column in columns]
    return sum(max(cell_len(str(cell)) for cell in cells) + 1 for cells in zip(titles, *rows, strict=True))


def _line(text: Text) -> Text:
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def _busy_last(workers: Sequence[WorkerLine]) -> list[WorkerLine]:
    """What idle and leaving workers do is said nowhere else."""
    return sorted(workers, key=lambda worker: (worker.run is not None and not worker.draining, worker.name))


# ── cells ──
def _bar(line: RunLine) -> Text:
    if line.fraction is None:
        return Text("?", style="dim")
    full = int(line.fraction * _BAR)
    return Text("━" * full, style="green") + Text("─" * (_BAR - full), style="dim") + Text(f" {line.fraction:4.0%}")


def _rate(per_s: float | None) -> str:
    """`3.2/s`, `4.1/min`, `2.5/h`: the unit that leaves a number above 1."""
    if not per_s:
        return "" if per_s is None else "0/s"
    for unit, size in (("s", 1), ("min", 60), ("h", 3600)):
        if per_s * size >= 1:
            return f"{per_s * size:.3g}/{unit}"
    return f"{per_s * 86400:.2g}/d"


def _time(seconds: float | None) -> str:
    return "" if seconds is None else format_duration(max(0.0, seconds))


def _size(size_bytes: float | None) -> str:
    return "" if size_bytes is None else format_size(size_bytes)


def _of(part: float | None, whole: float, words: Callable[[float], str]) -> str:
    """`3.1 of 16`; what was not measured is a question mark."""
    return f"{'?' if part is None else words(part)} of {words(whole)}"


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _state(line: WorkerLine) -> Text:
    if line.draining:
        return Text("draining", style="yellow")
    return Text("busy", style="green") if line.run else Text("idle")


def _next(line: QueueLine) -> str:
    return ", ".join(f"{name} {n}" for name, n in line.next)


def _ending(line: EndedLine) -> Text:
    reason = f" ({line.reason})" if line.reason and line.state is not State.FINISHED else ""
    return Text(f"{line.state}{reason}", style=_STYLES.get(line.state, ""))


def _count(number: int | None) -> str:
    return "?" if number is None else str(number)


def _run_name(line: RunLine) -> str:
    return short(line.id) + (f" ({line.wish} asked)" if line.wish else "")


_RUNS: Sequence[Column] = (
    Column(title="run", cell=_run_name),
    Column(title="experiment", cell=lambda one: one.experiment, share=2),
    Column(title="try", cell=lambda one: str(one.attempt), right=True),
    Column(title="done", cell=_bar),
    Column(title="rate", cell=lambda one: _rate(one.per_s), right=True),
    Column(title="left", cell=lambda one: _time(one.left_s), right=True),
    Column(title="since", cell=lambda one: _time(one.elapsed_s), right=True, from_width=WIDE),
    Column(title="cores", cell=lambda one: "" if one.cores is None else f"{one.cores:.1f}", right=True, from_width=100),
    Column(title="memory", cell=lambda one: _size(one.memory_bytes), right=True, from_width=100),
    Column(title="worker", cell=lambda one: one.worker, share=2, from_width=WIDE),
    Column(title="metrics", cell=lambda one: one.metrics, share=3),
)
_WORKERS: Sequence[Column] = (
    Column(title="worker", cell=lambda one: one.name, share=3),
    Column(title="state", cell=_state),
    Column(title="run", cell=lambda one: short(one.run) if one.run else ""),
    Column(title="queue", cell=lambda one: ",".join(one.queues), share=1),
    Column(title="tags", cell=lambda one: ",".join(one.tags), share=1),
    Column(title="host", cell=lambda one: one.host, share=1, from_width=WIDE),
    Column(title="pid", cell=lambda one: str(one.pid), right=True, from_width=100),
    Column(title="seen", cell=lambda one: f"{format_duration(one.seen_s)} ago", right=True),
)
_MACHINES: Sequence[Column] = (
    Column(title="machine", cell=lambda one: one.host, share=2),
    Column(title="workers", cell=lambda one: f"{one.busy} of {one.workers} busy"),
    Column(title="cores", cell=lambda one: _of(one.cores, one.cpus, _number), right=True),
    Column(title="memory", cell=lambda one: _of(one.memory_bytes, one.total_bytes, format_size), right=True),
    Column(title="disk free", cell=lambda one: _size(one.disk_free_bytes), right=True),
    Column(title="GPUs", cell=lambda one: str(one.gpus or ""), right=True),
)
_GPUS: Sequence[Column] = (
    Column(title="GPU", cell=lambda one: f"{one.host}:{one.index}", share=1),
    Column(title="held", cell=lambda one: _size(one.memory_bytes), right=True),
    Column(title="load", cell=lambda one: "" if one.busy is None else f"{one.busy:.0%}", right=True),
    Column(title="power", cell=lambda one: "" if one.power_w is None else f"{one.power_w:.0f} W", right=True),
    Column(title="heat", cell=lambda one: "" if one.celsius is None else f"{one.celsius:.0f} °C", right=True),
    Column(title="runs", cell=lambda one: " ".join(short(run) for run in one.runs), share=2),
)
_QUEUES: Sequence[Column] = (
    Column(title="queue", cell=lambda one: one.queue, share=1),
    Column(title="queued", cell=lambda one: _count(one.queued), right=True),
    Column(title="paused", cell=lambda one: _count(one.paused), right=True),
    Column(title="running", cell=lambda one: _count(one.running), right=True),
    Column(title="next", cell=_next, share=3),
)
_ENDED: Sequence[Column] = (
    Column(title="ended", cell=lambda one: short(one.id)),
    Column(title="experiment", cell=lambda one: one.experiment, share=2),
    Column(title="how", cell=_ending),
    Column(title="took", cell=lambda one: _time(one.took_s), right=True),
    Column(title="when", cell=lambda one: f"{_time(one.ended_s)} ago", right=True),
    Column(title="metrics", cell=lambda one: one.metrics, share=3, from_width=100),
)
