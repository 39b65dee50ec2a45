"""What the run used of its machine in the time before it ended."""

from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

from notify.pictures import paper
from notify.pictures.palette import BAD, HUES, SOFT
from notify.story import Story
from store.runs import Run
from store.samples import Sample

_LEFT, _RIGHT, _PANEL_PX, _HEAD_PX, _FOOT_PX = 52, 14, 84, 30, 36
_GB = 1e9
_FEWEST = 3

Line = tuple[str, list[float]]
Panel = tuple[str, list[Line], float | None]


def resources(story: Story) -> bytes | None:
    """Memory, processors and, where there are some, GPUs and disk, against the minutes before the end."""
    timed = [(one.at, one) for one in story.samples if one.at is not None]
    if len(timed) < _FEWEST:
        return None
    minutes = _minutes([at for at, _ in timed])
    chosen = _panels([sample for _, sample in timed], minutes, story.run)
    height = _HEAD_PX + len(chosen) * (_PANEL_PX + _HEAD_PX) + _FOOT_PX - _HEAD_PX
    made = paper.figure(paper.WIDTH_PX, height)
    for place, panel in enumerate(chosen):
        top = _HEAD_PX + place * (_PANEL_PX + _HEAD_PX)
        axis = paper.axes(made, _LEFT, top, paper.WIDTH_PX - _LEFT - _RIGHT, _PANEL_PX)
        _draw(made, axis, top, minutes, panel)
        is_last = place == len(chosen) - 1
        paper.steps_axis(axis, minutes, label="minutes before the end" if is_last else "")
        if not is_last:
            axis.tick_params(labelbottom=False)
    return paper.png(made)


def _draw(made: Any, axis: Any, top: float, minutes: Sequence[float], panel: Panel) -> None:
    title, lines, limit = panel
    paper.words(made, 12, top - 14, title, weight="bold")
    entries = []
    for place, (name, values) in enumerate(lines):
        style = {"color": HUES[place % len(HUES)], "linewidth": 1.6}
        axis.plot(minutes, paper.as_drawn(values), zorder=5, **style)
        if len(lines) > 1:
            entries.append((name, style))
    seen = [value for _, values in lines for value in values]
    if limit is not None:
        axis.axhline(limit, color=BAD, linewidth=1.2, dashes=(5, 3), zorder=4)
        entries.append((f"limit {limit:.3g}", {"color": BAD, "linewidth": 1.2}))
        seen.append(limit)
    paper.scale(axis, paper.limits([0.0, *seen]))
    paper.legend(made, 12 + 7.2 * len(title) + 18, top - 14, entries, paper.WIDTH_PX - 4)
    last = next((value for value in reversed(lines[0][1]) if value == value), None)
    if last is not None and len(lines) == 1 and limit is None:
        paper.words(made, paper.WIDTH_PX - 14, top - 14, f"{last:.3g} at the end", ha="right", color=SOFT, fontsize=8.5)


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
    return [*found, ("free disk, GB", [("disk", [one.disk_free_bytes / _GB for one in samples])], None)]


def _of_gpu(samples: Sequence[Sample], index: int, value: Callable[[Any], float]) -> list[float]:
    return [next((value(gpu) for gpu in one.gpus if gpu.index == index), float("nan")) for one in samples]


def _over(value: float | None, unit: float) -> float:
    return float("nan") if value is None else value / unit


def _minutes(times: Sequence[datetime]) -> list[float]:
    return [(at - times[-1]).total_seconds() / 60 for at in times]


def _rate(totals: Sequence[float], minutes: Sequence[float]) -> list[float]:
    """Seconds of processor time per second between two samples: so many processors were busy."""
    pairs = zip(pairwise(totals), pairwise(minutes), strict=True)
    found = [max(0.0, b - a) / ((later - earlier) * 60) if later > earlier else 0.0 for (a, b), (earlier, later) in pairs]  # fmt: skip
    return [found[0] if found else 0.0, *found]
