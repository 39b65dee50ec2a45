"""The page of one run. Pure."""

from collections.abc import Sequence
from itertools import pairwise, zip_longest

from rich.text import Text

from queueing.cli.words import param_words, state_words
from queueing.live.words import bar, harmless, one_line, rate_words
from queueing.units import format_duration, format_size
from queueing.watch.chart import Line, chart
from queueing.watch.curves import EMPTY, Curve
from queueing.watch.look import Look
from queueing.watch.parts import STATE_STYLES, banner, finding_lines, heading, keys_line, number_words
from queueing.watch.picture import Found, Picture, Single
from queueing.watch.single import turned
from store.families import MOST_PANELS
from store.runs import Run, short
from store.samples import Sample
from store.states import State

_STYLES = ("bright_green", "bright_yellow", "bright_cyan", "bright_magenta", "bright_blue", "bright_red")
_MARKS = "123456"
_BESIDE_FROM = 110
_PANEL_LEAST, _PANEL_MOST = 6, 18
_SPARK = " ▁▂▃▄▅▆▇█"
_SPARK_WIDTH = 16
_OUTPUT_MOST = 40


def run_lines(picture: Picture, single: Single, look: Look, width: int, height: int) -> list[Text]:
    """At most `height` lines: what is left below the curves is for the output."""
    heads = [*_header(picture, single), *banner(picture, look.note)]
    footer = keys_line(height, in_run=True)
    room = height - len(heads) - len(footer)
    found = [Found(run=single.run.id, finding=one) for one in single.findings]
    findings = finding_lines(found, width, max(1, room // 5), named=False) if room >= 4 else []
    resources = resource_lines(single.samples) if room >= 8 else []
    room -= len(findings) + len(resources)
    drawn = panel_lines(single, look, width, room - min(len(single.output) + 1, max(0, room // 3)))
    room -= len(drawn)
    return [*heads, *findings, *resources, *drawn, *output_lines(single.output, min(room, _OUTPUT_MOST)), *footer]


# ── header ──
def _header(picture: Picture, single: Single) -> list[Text]:
    run = single.run
    first = Text(f"{short(run.id)} ", style="bold")
    first.append(f"of {harmless(run.experiment)}  {picture.at:%H:%M:%S} UTC  ", "")
    first.append(state_words(run), STATE_STYLES[run.state])
    said = run.ending.message if run.ending and run.state is not State.RUNNING else run.remark
    lines = [first, _pace(picture, single), Text(harmless(param_words(run, list(run.params))) or "no parameters")]
    return [one_line(line) for line in (*lines, *([Text(harmless(said), style="red")] if said else []))]


def _pace(picture: Picture, single: Single) -> Text:
    run = single.run
    fraction = run.progress.fraction if run.progress and run.progress.total > 0 else None
    text = bar(fraction, 20) if fraction is not None else Text()
    parts = [
        f"{run.progress.done:g} of {run.progress.total:g}" if fraction is not None and run.progress else "",
        rate_words(single.per_s),
        f"{format_duration(single.left_s)} left" if single.left_s is not None else "",
        f"attempt {run.attempt}" if run.attempt else "",
        _since(picture, run),
        f"on {run.lease.worker}" if run.lease and run.state is State.RUNNING else "",
    ]
    return text + Text(("  " if fraction is not None else "") + "  ".join(part for part in parts if part))


def _since(picture: Picture, run: Run) -> str:
    if run.state is State.RUNNING and run.history:
        return f"since {format_duration(max(0.0, (picture.at - run.history[-1].started_at).total_seconds()))}"
    if run.ended_at is None:
        return f"see: labq why {short(run.id)}" if run.state is State.QUEUED else ""
    took = f"took {format_duration((run.ended_at - run.started_at).total_seconds())}, " if run.started_at else ""
    return f"{took}ended {format_duration(max(0.0, (picture.at - run.ended_at).total_seconds()))} ago"


# ── curves ──
def panel_lines(single: Single, look: Look, width: int, room: int) -> list[Text]:
    """As many panels as there is room for, on a wide terminal two beside each other."""
    groups = turned(single.panels, look.panel)[:MOST_PANELS]
    across = 2 if width >= _BESIDE_FROM and len(groups) > 1 else 1
    down = min(-(-len(groups) // across), room // _PANEL_LEAST)
    if down < 1:
        return []
    height, each = min(_PANEL_MOST, room // down), (width - across + 1) // across
    shown = groups[: down * across]
    drawn = [_panel(single, group, look, each, height) for group in shown]
    lines = [line for row in range(down) for line in _beside(drawn[row * across : (row + 1) * across], each)]
    left = len(single.panels) - len(shown)
    if left > 0:
        lines[0].append(f"  (m: {left} more)", "dim")
    return [one_line(line) for line in lines]


def _panel(single: Single, names: Sequence[str], look: Look, width: int, height: int) -> list[Text]:
    title, lines = Text(), list[Line]()
    for name, mark, style in zip(names, _MARKS, _STYLES, strict=False):
        curve = single.curves.get(name, EMPTY)
        summary = single.run.summary.get(name)
        lines.append(Line(curve=curve, style=style, mark=mark))
        title.append(f"{mark} ", style)
        title.append(f"{harmless(name)} {number_words(summary.last if summary else None)}  ", "bold")
    title.append(f"by {look.axis}{', log' if look.log else ''}", "dim")
    title.truncate(width)
    return [title, *chart(lines, list[Curve](), width, height - 1, axis=look.axis, log=look.log)]


def _beside(panels: Sequence[list[Text]], width: int) -> list[Text]:
    if len(panels) == 1:
        return panels[0]
    return [_joined(left, right, width) for left, right in zip_longest(*panels, fillvalue=Text())]


def _joined(left: Text, right: Text, width: int) -> Text:
    room = left.copy()
    room.truncate(width, pad=True)
    return room + Text(" ") + right


# ── resources ──
def resource_lines(samples: Sequence[Sample]) -> list[Text]:
    """One line: what the run uses of its machine, with the way there."""
    if not samples:
        return []
    used = [cores for before, after in pairwise(samples) if (cores := _cores(before, after)) is not None]
    memory = [float(one.memory_bytes) for one in samples]
    parts = [("cores", f"{used[-1]:.1f}" if used else "", used), ("memory", format_size(memory[-1]), memory)]
    for number, gpu in enumerate(samples[-1].gpus):
        busy = [one.gpus[number].busy or 0.0 for one in samples if len(one.gpus) > number]
        parts.append((f"GPU {gpu.index}", "" if gpu.busy is None else f"{gpu.busy:.0%}", busy))
    text = Text()
    for name, value, course in parts:
        text.append(f"{name} {value} ")
        text.append(sparkline(course), "cyan")
        text.append("  ")
    return [one_line(text.append(f"disk free {format_size(samples[-1].disk_free_bytes)}"))]


def sparkline(values: Sequence[float], width: int = _SPARK_WIDTH) -> str:
    """From 0 to the greatest; of many values in one place the greatest."""
    if not values or (most := max(values)) <= 0:
        return ""
    each = max(1.0, len(values) / width)
    cells = [
        values[int(at * each) : max(int(at * each) + 1, int((at + 1) * each))] for at in range(min(width, len(values)))
    ]
    return "".join(_SPARK[max(0, round(max(cell) / most * (len(_SPARK) - 1)))] for cell in cells)


def _cores(before: Sample, after: Sample) -> float | None:
    if before.at is None or after.at is None or after.at <= before.at:
        return None
    return max(0.0, after.cpu_s - before.cpu_s) / (after.at - before.at).total_seconds()


# ── output ──
def output_lines(output: Sequence[str], room: int) -> list[Text]:
    """Its end."""
    if room < 2 or not any(output):
        return []
    return [heading("output"), *(one_line(Text(harmless(line.expandtabs()))) for line in output[-(room - 1) :])]
