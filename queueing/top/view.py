"""The picture as lines of a terminal of any size. Pure: the same picture and size give the same lines."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.text import Text

from queueing.live.tables import Column, allot, table
from queueing.live.words import bar, one_line, rate_words, size_words, time_words
from queueing.top.picture import EndedLine, Picture, QueueLine, RunLine, WorkerLine
from queueing.units import format_duration, format_size
from store.runs import short
from store.states import State

WIDE = 120
_STYLES = {State.FINISHED: "green", State.FAILED: "red", State.CANCELLED: "yellow"}


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
    return Group(*heads, *(line for lines in tables for line in lines))


def header(picture: Picture) -> list[Text]:
    """The clock, the counts, and whether this is the last picture instead of one of now."""
    counts = ", ".join(f"{n} {state}" for state, n in picture.counts) or (
        "no runs yet" if picture.counted_s is not None else ""
    )
    age = f" ({format_duration(picture.counted_s)} ago)" if picture.counted_s and picture.counted_s >= 5 else ""
    lines = [one_line(Text(f"labq  {picture.at:%H:%M:%S} UTC  {counts}{age}", style="bold"))]
    if picture.away:
        lines.append(one_line(Text(f"as of {picture.at:%H:%M:%S}: {picture.away}", style="bold red")))
    elif not picture.workers:
        lines.append(one_line(Text("no worker is there; start one with: labq worker", style="yellow")))
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


def _table(section: Section, room: int, width: int) -> list[Text]:
    """With one line less where not all fit: the last says how many are missing."""
    shown = _fitting(section, room)
    made = table(section.columns, shown, width)
    missing = section.total - len(shown)
    if missing and len(shown) < room - 1:
        made.append(Text(f"+{missing} more", style="dim"))
    return made


def _fitting(section: Section, room: int) -> Sequence[object]:
    """The lines that are shown below the titles; one at least."""
    if section.height <= room and section.total == len(section.lines):
        return section.lines
    return section.lines[: max(room - 2, 0)] or section.lines[: room - 1]


def _busy_last(workers: Sequence[WorkerLine]) -> list[WorkerLine]:
    """What idle and leaving workers do is said nowhere else."""
    return sorted(workers, key=lambda worker: (worker.run is not None and not worker.draining, worker.name))


# ── cells ──
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
    Column(title="done", cell=lambda one: bar(one.fraction)),
    Column(title="rate", cell=lambda one: rate_words(one.per_s), right=True),
    Column(title="left", cell=lambda one: time_words(one.left_s), right=True),
    Column(title="since", cell=lambda one: time_words(one.elapsed_s), right=True, from_width=WIDE),
    Column(title="cores", cell=lambda one: "" if one.cores is None else f"{one.cores:.1f}", right=True, from_width=100),
    Column(title="memory", cell=lambda one: size_words(one.memory_bytes), right=True, from_width=100),
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
    Column(title="disk free", cell=lambda one: size_words(one.disk_free_bytes), right=True),
    Column(title="GPUs", cell=lambda one: str(one.gpus or ""), right=True),
)
_GPUS: Sequence[Column] = (
    Column(title="GPU", cell=lambda one: f"{one.host}:{one.index}", share=1),
    Column(title="held", cell=lambda one: size_words(one.memory_bytes), right=True),
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
    Column(title="took", cell=lambda one: time_words(one.took_s), right=True),
    Column(title="when", cell=lambda one: f"{time_words(one.ended_s)} ago", right=True),
    Column(title="metrics", cell=lambda one: one.metrics, share=3, from_width=100),
)
