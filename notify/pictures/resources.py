"""What the run used of its machine in the time before it ended."""

from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

from notify.pictures import paper
from notify.pictures.canvas import Box, Canvas, frame, heading, whole_ends
from notify.pictures.palette import BAD, HUES
from notify.story import Story
from store.runs import Run
from store.samples import Sample
from store.states import State

_LEFT, _RIGHT, _PANEL_PX, _HEAD, _FOOT, _GAP = 46, 12, 84, 32, 26, 50
_GB = 1e9
_FEWEST = 3

Line = tuple[str, list[float]]
Panel = tuple[str, list[Line], float | None]


def resources(story: Story) -> bytes | None:
    """Memory over the whole width, below it processors, disk and GPUs, against the minutes before the end."""
    timed = [(one.at, one) for one in story.samples if one.at is not None]
    if len(timed) < _FEWEST:
        return None
    minutes = _minutes([at for at, _ in timed])
    chosen = _panels([sample for _, sample in timed], minutes, story.run)
    rows = 1 + len(chosen) // 2
    on = Canvas(paper.WIDTH_PX, rows * (_PANEL_PX + _HEAD + _FOOT) + 14)
    whole = paper.WIDTH_PX - _LEFT - _RIGHT
    half = (whole - _GAP) / 2
    end = "now" if story.run is not None and story.run.state is State.RUNNING else "the end"
    for place, panel in enumerate(chosen):
        row, column = (0, 0) if place == 0 else (1 + (place - 1) // 2, (place - 1) % 2)
        box = Box(
            left=_LEFT + column * (half + _GAP), top=_HEAD + row * (_PANEL_PX + _HEAD + _FOOT),
            width=whole if place == 0 else half, height=_PANEL_PX, x=whole_ends(minutes), y=_y_ends(panel),
        )  # fmt: skip
        _draw(on, box, minutes, panel, end=end, is_lowest=row == rows - 1)
    return on.png()


def _draw(on: Canvas, box: Box, minutes: Sequence[float], panel: Panel, *, end: str, is_lowest: bool) -> None:
    title, many, limit = panel
    frame(on, box, x_label=f"minutes before {end}" if is_lowest else "")
    entries = []
    for place, (name, values) in enumerate(many):
        style = {"color": HUES[place % len(HUES)], "linewidth": 1.6}
        on.lines([(box.across(minutes), box.down(values))], zorder=5, **style)
        entries += [(name, style)] if len(many) > 1 else []
    if limit is not None:
        y = float(box.down([limit])[0])
        on.lines([([box.left, box.right], [y, y])], color=BAD, linewidth=1.3, dashes=(5, 3), zorder=4)
        on.write(box.left + 4, y + 9, f"limit {limit:.3g}", color=BAD, halo=True)
    heading(on, box.left - 36, box.top - 16, title, entries, box.right)
    last = next((value for value in reversed(many[0][1]) if value == value), None)
    if last is not None and len(many) == 1:
        on.write(box.right, box.top - 16, f"{last:.3g} {end if end == 'now' else 'at the end'}", ha="right")


def _y_ends(panel: Panel) -> paper.Ends:
    """From zero, where every one of these figures begins."""
    _, many, limit = panel
    known = paper.finite([value for _, values in many for value in values] + ([] if limit is None else [limit]))
    return (0.0, 1.08 * float(known.max()), False) if len(known) and known.max() > 0 else (0.0, 1.0, False)


def _panels(samples: Sequence[Sample], minutes: Sequence[float], run: Run | None) -> list[Panel]:
    limit = run.resources.memory_bytes if run else None
    found: list[Panel] = [
        ("memory, GB", [("memory", [one.memory_bytes / _GB for one in samples])], limit / _GB if limit else None),
        ("processors in use", [("cpu", _rate([one.cpu_s for one in samples], minutes))], None),
    ]
    indices = sorted({gpu.index for one in samples for gpu in one.gpus})[:4]
    if indices:
        held = [
            (f"GPU {index}", _of_gpu(samples, index, lambda gpu: _over(gpu.memory_bytes, _GB))) for index in indices
        ]
        busy = [(f"GPU {index}", _of_gpu(samples, index, lambda gpu: _over(gpu.busy, 0.01))) for index in indices]
        found += [("GPU memory, GB", held, None), ("GPU busy, %", busy, None)]
    found.insert(2, ("free disk, GB", [("disk", [one.disk_free_bytes / _GB for one in samples])], None))
    return found


def _of_gpu(samples: Sequence[Sample], index: int, value: Callable[[Any], float]) -> list[float]:
    return [next((value(gpu) for gpu in one.gpus if gpu.index == index), float("nan")) for one in samples]


def _over(value: float | None, unit: float) -> float:
    return float("nan") if value is None else value / unit


def _minutes(times: Sequence[datetime]) -> list[float]:
    return [(at - times[-1]).total_seconds() / 60 for at in times]


def _rate(totals: Sequence[float], minutes: Sequence[float]) -> list[float]:
    """Seconds of processor time per second between two samples: so many processors were busy."""
    steps = zip(pairwise(totals), pairwise(minutes), strict=True)
    found = [max(0.0, b - a) / max((late - early) * 60, 1e-3) for (a, b), (early, late) in steps]
    return [found[0] if found else 0.0, *found]
