"""The run's curves against the best of its siblings and the band in which they all lie."""

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from notify.choosing import is_training, panels
from notify.pictures import paper
from notify.pictures.canvas import NORMAL, SMALL, Box, Canvas, frame, heading, whole_ends
from notify.pictures.palette import BAD, BAND, BEST, BEST_TRAINING, INK, MIDDLE, OTHERS, PAPER, RUN, RUN_TRAINING, SOFT
from notify.story import Story
from store.families import stem
from store.metrics import Series

LEFT, RIGHT, HEAD, FOOT = 50, 12, 34, 44
_FIRST_PX, _OTHER_PX = 214, 104
_FEW = 40
_KINDS = {"val": "validation", "valid": "validation", "train": "training"}

Style = dict[str, Any]
Entry = tuple[str, Style]


def curves(story: Story) -> bytes | None:
    """One panel for each group of metrics, the main one first and largest; None when there is nothing to draw."""
    by_name = {one.name: one for one in story.series if one.steps}
    about = story.standing.metric if story.standing else ""
    groups = [[by_name[name] for name in group if name in by_name] for group in panels(list(by_name), about)]
    groups = [group for group in groups if group]
    if not groups:
        return None
    heights = [_FIRST_PX] + [_OTHER_PX] * (len(groups) - 1)
    on = Canvas(paper.WIDTH_PX, sum(heights) + (HEAD + FOOT) * len(groups) - 14 * (len(groups) - 1))
    top = float(HEAD)
    for place, (group, height) in enumerate(zip(groups, heights, strict=True)):
        is_last = place == len(groups) - 1
        box = _box(story, group, top, height, with_siblings=place == 0)
        frame(on, box, x_label="step" if is_last else "")
        entries = _panel(on, box, story, group, with_siblings=place == 0)
        title = stem(group[0].name) if len(group) > 1 else group[0].name
        heading(on, 12, top - 18, title, entries, paper.WIDTH_PX - 4)
        top = box.bottom + FOOT + HEAD - 14
    return on.png()


def _box(story: Story, group: Sequence[Series], top: float, height: float, *, with_siblings: bool) -> Box:
    hints = _hints(story, group) if with_siblings else []
    rest = [value for one in group[1:] for value in one.values]
    return Box(
        left=LEFT, top=top, width=paper.WIDTH_PX - LEFT - RIGHT, height=height,
        x=_step_ends(story, group, with_siblings=with_siblings),
        y=paper.limits(group[0].values, hints, rest),
    )  # fmt: skip


def _hints(story: Story, group: Sequence[Series]) -> list[float]:
    """What others have there, without their first peaks, which would press everything flat."""
    found: list[float] = []
    for series in _best_of(story, group):
        found += _robust(series.values)
    if _has_band(story, group) and story.band is not None:
        found += _robust([*story.band.low, *story.band.high])
    return found


def _robust(values: Iterable[float]) -> list[float]:
    known = paper.finite(values)
    return [float(known.min()), float(np.quantile(known, 0.98))] if len(known) else []


def _step_ends(story: Story, group: Sequence[Series], *, with_siblings: bool) -> paper.Ends:
    """Its own steps; those of others as far as they are not several times as many."""
    own = [float(step) for one in group for step in (min(one.steps), max(one.steps))]
    reach = max(own) - min(own)
    if with_siblings and reach:
        others = [float(step) for one in _best_of(story, group) for step in one.steps[-1:]]
        own += [min(step, max(own) + 1.5 * reach) for step in others]
    return whole_ends(own)


def _panel(on: Canvas, box: Box, story: Story, group: Sequence[Series], *, with_siblings: bool) -> list[Entry]:
    others = _siblings(on, box, story, group) if with_siblings else []
    styles = _styles(group)
    for series, style in reversed(list(zip(group, styles, strict=True))):
        dots = {"marker": "o", "markersize": 2.8} if len(series.steps) < _FEW else {}
        on.lines([(box.across(series.steps), box.down(series.values))], zorder=5, **style, **dots)
    for series in group:
        _not_finite(on, box, series)
    if with_siblings:
        _best_point(on, box, story, group)
    return [(_name(one, group), style) for one, style in zip(group, styles, strict=True)] + others


def _siblings(on: Canvas, box: Box, story: Story, group: Sequence[Series]) -> list[Entry]:
    """Behind the run's own curves: the band, its middle, the best."""
    entries: list[Entry] = []
    for series in _best_of(story, group):
        is_main = story.standing is not None and series.name == story.standing.metric
        style = {"color": BEST if is_main else BEST_TRAINING, "linewidth": 1.5 if is_main else 1.1}
        on.lines([(box.across(series.steps), box.down(series.values))], zorder=4 if is_main else 3, **style)
        if is_main and story.standing is not None:
            entries.append((f"best other ({story.standing.best_label})", style))
    band = story.band
    if band is not None and _has_band(story, group):
        steps = box.across(band.steps)
        on.between(steps, box.clipped(band.low), box.clipped(band.high), color=BAND, linewidth=0, zorder=1.5)
        on.lines([(steps, box.down(band.middle))], color=MIDDLE, linewidth=1, zorder=2, dashes=(4, 2))
        entries.append((f"80 % of {band.count} others", {"color": BAND, "linewidth": 7, "solid_capstyle": "butt"}))
    return entries


def _best_of(story: Story, group: Sequence[Series]) -> list[Series]:
    stems = {stem(one.name) for one in group}
    return [one for one in story.best_series if stem(one.name) in stems and one.steps]


def _has_band(story: Story, group: Sequence[Series]) -> bool:
    return story.band is not None and any(one.name == story.band.metric for one in group)


def _styles(group: Sequence[Series]) -> list[Style]:
    """The first is the main one, in the run's own colour; training data paler; further ones in other colours."""
    others = iter(OTHERS)
    styles: list[Style] = [{"color": RUN, "linewidth": 1.9}]
    for series in group[1:]:
        is_first = all(style["color"] != RUN_TRAINING for style in styles)
        colour = RUN_TRAINING if is_training(series.name) and is_first else next(others, SOFT)
        styles.append({"color": colour, "linewidth": 1.3})
    return styles


def _name(series: Series, group: Sequence[Series]) -> str:
    if len(group) == 1:
        return "this run"
    whose = series.name.removesuffix(stem(series.name)).rstrip("_/-. ").lower()
    return _KINDS.get(whose, whose or series.name)


def _best_point(on: Canvas, box: Box, story: Story, group: Sequence[Series]) -> None:
    """A ring around the best value, with the number beside it."""
    told = story.standing
    if told is None or told.value is None or told.step is None or all(one.name != told.metric for one in group):
        return
    x, y = float(box.across([told.step])[0]), float(box.down([told.value])[0])
    if not math.isfinite(x + y):
        return
    on.lines([([x], [y])], marker="o", markersize=7, mfc=PAPER, mec=RUN, mew=1.7, zorder=8, linestyle="none")
    x = min(max(x, box.left + 20), box.right - 20)
    below = told.greatest if box.top + 26 < y < box.bottom - 26 else y < box.top + 26
    text = f"{told.value:.4g}"
    on.write(x, y + (15 if below else -15), text, ha="center", fontsize=NORMAL, color=INK, weight="bold", halo=True)


def _not_finite(on: Canvas, box: Box, series: Series) -> None:
    """Where there is no number: marked at the foot of the panel."""
    bad = [step for step, value in zip(series.steps, series.values, strict=True) if not math.isfinite(value)]
    if not bad:
        return
    xs = box.across(bad)
    edge = box.bottom - 3
    on.lines([_stretch(part, edge) for part in _stretches(series, box)], color=BAD, linewidth=3.2, zorder=7)
    marks = {"marker": "|", "markersize": 6, "mew": 1.6, "linestyle": "none", "color": BAD}
    on.lines([(xs[:1], [edge])], zorder=7, **marks)
    kind = next(value for value in series.values if not math.isfinite(value))
    words = f"{kind:g} {'from' if len(bad) > 1 else 'at'} step {bad[0]:,}"
    x, is_late = float(xs[0]), float(xs[0]) > (box.left + box.right) / 2
    if math.isfinite(x):
        on.write(x + (-5 if is_late else 5), box.bottom - 16, words, ha="right" if is_late else "left", color=BAD,
              fontsize=SMALL, halo=True)  # fmt: skip


def _stretches(series: Series, box: Box) -> list[Any]:
    """Where it is not finite for a while: x of the first and the last point of each such stretch."""
    found: list[list[int]] = [[]]
    for step, value in zip(series.steps, series.values, strict=True):
        if not math.isfinite(value):
            found[-1].append(step)
        elif found[-1]:
            found.append([])
    return [box.across([part[0], part[-1]]) for part in found if part]


def _stretch(xs: Any, y: float) -> tuple[Any, Any]:
    return xs + np.array([-1.0, 1.0]), [y, y]


def sparkline(values: Sequence[float], width: int = 16) -> str:
    """`█▅▃▂▁▁`: the course of a metric in text; a value that is not finite is `×`."""
    edges = np.linspace(0, len(values), min(width, len(values)) + 1).astype(int).tolist()
    ends = [next((v for v in reversed(values[a:b]) if math.isfinite(v)), math.nan) for a, b in pairwise(edges)]
    known = [one for one in ends if math.isfinite(one)]
    if not known:
        return "×" * len(ends)
    least, room = min(known), max(known) - min(known)
    if not math.isfinite(room):
        return ""
    return "".join(_bar((v - least) / room if room else 0.0) for v in ends)


def _bar(share: float) -> str:
    return "▁▂▃▄▅▆▇█"[round(7 * share)] if math.isfinite(share) else "×"
